"""Small trainings with everything in them that a kill or a second device could spoil."""

import dataclasses
import hashlib

import keras
import numpy as np
from keras import ops

import kvision as kv
from kvision import distribute
from kvision.distribute.values import read

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (45, 16, 16, 3)).astype("uint8")
LABELS = (np.arange(45) % 3).astype("int32")


@keras.saving.register_keras_serializable("tests")
class Queue(keras.layers.Layer):
    """The last `size` rows: gives those from before this step, then takes in the keys of all replicas."""

    def __init__(self, size: int, width: int):
        super().__init__(dtype="float32")
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.rows = self.add_weight((size, width), initializer="random_normal", **options)
        self.place = self.add_weight((), initializer="zeros", dtype="int32", **options)
        self.built = True

    def call(self, keys, training=False):
        old = ops.copy(self.rows)
        if training:
            keys = distribute.gather_replicas(ops.stop_gradient(keys))
            rows, count = ops.shape(old)[0], ops.shape(keys)[0]
            where = (self.place + ops.arange(count, dtype="int32")) % rows
            self.rows.assign(ops.scatter_update(old, where[:, None], keys))
            self.place.assign((self.place + count) % rows)
        return old


@keras.saving.register_keras_serializable("tests")
class Twin(keras.layers.Layer):
    """A slow copy of a model, averaged before it runs."""

    def __init__(self, model: keras.Model, rate: float = 0.9):
        super().__init__(dtype="float32")
        self.twin, self.rate = keras.models.clone_model(model), rate
        self.twin.set_weights(model.get_weights())
        for variable in self.twin.trainable_variables:
            variable.trainable = False
        self.pairs = list(zip(self.twin.weights, model.weights, strict=True))
        self.slow = [v.path for v in model.trainable_variables]
        self.built = True

    def call(self, x, training=False):
        if training:
            for slow, fast in self.pairs:
                if fast.path in self.slow:
                    slow.assign(self.rate * slow + (1 - self.rate) * ops.cast(fast, "float32"))
        return ops.stop_gradient(self.twin(x, training=training))


def encoder(size: int | None = 16) -> keras.Model:
    image = keras.Input((size, size, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    x = keras.layers.Conv2D(8, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")


class Contrast(kv.training.Objective):
    """MoCo's and SimCLR's terms together: negatives of all replicas, a queue, a momentum twin."""

    def __init__(self, *, gathers: bool = True):
        super().__init__()
        self.gather = distribute.gather_replicas if gathers else lambda x: x
        self.encoder = encoder()
        self.twin, self.queue = Twin(self.encoder), Queue(24, 8)
        self.noise = keras.layers.GaussianNoise(1.0, seed=3)

    def call(self, views, training=False):
        features = self.encoder(self.noise(views["a"], training=training), training=training)
        query = ops.normalize(ops.cast(features, "float32"))
        key = ops.normalize(ops.cast(self.twin(views["b"], training=training), "float32"))
        positive = ops.sum(query * key, axis=-1, keepdims=True)
        negative = ops.matmul(query, ops.transpose(ops.normalize(self.queue(key, training=training))))
        return {"logits": ops.concatenate([positive, negative], axis=-1) / 0.2, "query": query, "key": key}

    def objective(self, outputs):
        moco = -ops.mean(ops.log_softmax(outputs["logits"])[:, 0])
        query, key = (self.gather(outputs[name]) for name in ("query", "key"))
        own = ops.matmul(query, ops.transpose(key)) / 0.2
        return moco - ops.mean(ops.diagonal(ops.log_softmax(own)))

    def trivial(self, outputs):
        return ops.log(float(outputs["logits"].shape[-1]))

    def embedding(self, outputs):
        return outputs["query"]


def contrast(
    optimizer, *, epochs: int = 3, rows: int = 45, noise: float = 0.0, gathers: bool = True, **options
) -> keras.Model:
    """Trains the toy above on the whole batches of 8 in the first `rows` images."""
    model = Contrast(gathers=gathers)
    model.noise.stddev = noise
    model.compile(optimizer)
    views = IMAGES[:rows].astype("float32")
    kv.training.fit(model, {"a": views, "b": views[:, :, ::-1]}, epochs=epochs, batch_size=8, verbose=0, **options)
    return model


def fine_tuned(optimizer, *, epochs: int = 3, rows: int = 45, dropout: float = 0.0, **options) -> keras.Model:
    """Head first, then all with moving statistics; 45 images in batches of 8: five of eight and one of five."""
    model = kv.transfer.attach(encoder(), keras.Sequential([keras.layers.Dropout(dropout, seed=5), _head()]))
    steps = [
        kv.schedules.Phase(0, "top", 1e-2),
        kv.schedules.Phase(1, "all", 1e-2, norm="train", curve=kv.schedules.Constant()),
    ][-epochs:]
    steps[0] = dataclasses.replace(steps[0], epoch=0)
    data = {"validation_data": (IMAGES[:13], LABELS[:13])}
    kv.schedules.fit(
        model,
        (IMAGES[:rows], LABELS[:rows]),
        steps,
        epochs=epochs,
        optimizer=optimizer,
        batch_size=8,
        verbose=0,
        **data,
        **options,
    )
    return model


def _head() -> keras.layers.Layer:
    return keras.layers.Dense(3, activation="softmax", name="probabilities")


def arrays(model: keras.Model) -> list[np.ndarray]:
    """All state of model and optimizer."""
    return [read(v) for v in [*model.variables, *model.optimizer.variables]]


def checksum(model: keras.Model) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays(model))).hexdigest()


def attached(seed: int = 0) -> keras.Model:
    """A classifier of three classes whose body has a convolution and a normalization."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((16, 16, 3), name="image")
    x = kv.layers.Preprocess("tf")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")
    return kv.transfer.attach(backbone, 3)


class Record(keras.callbacks.Callback):
    """What every step saw: learning rate, iterations, count of trainable variables."""

    def __init__(self):
        super().__init__()
        self.rates, self.iterations, self.trainable = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.iterations.append(int(self.model.optimizer.iterations))
        self.trainable.append(len(self.model.trainable_variables))
