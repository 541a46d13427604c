"""Small classifiers of windows, some of which a convolutionalized network must equal, and some not."""

import keras
import numpy as np
from keras import layers
from trained_like import trained_like

RANDOM = np.random.default_rng(7)
IMAGE = RANDOM.uniform(0, 1, (57, 66, 3)).astype("float32")
WINDOW = (32, 24)


def valid(head: str = "flatten", *, window=WINDOW, activation=None) -> keras.Model:
    """No layer pads: pools of stride 2 and 2, a window that is not square, with sides that pools cut."""
    image = keras.Input((*window, 3), name="image")
    x = layers.Conv2D(6, 3, activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(8, (3, 2), name="conv2")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.AveragePooling2D(2, name="pool2")(x)
    if head == "flatten":
        x = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flatten")(x))
        x = layers.BatchNormalization(name="norm2")(layers.Dense(16, activation="relu", name="hidden")(x))
    elif head == "max":
        x = layers.GlobalMaxPooling2D(name="pool")(x)
    elif head == "keepdims":  # MobileNet's end
        x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
        x = layers.Reshape((8,), name="row")(layers.Conv2D(8, 1, name="score")(x))
    else:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    scores = layers.Dense(5, activation=activation, name="scores")(x)
    return trained_like(keras.Model(image, scores, name=f"valid_{head}"))


def padded() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((*WINDOW, 3), name="image"),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ],
        name="padded",
    )
    return trained_like(model)


def crops(model: keras.Model, image: np.ndarray, stride) -> np.ndarray:
    """The oracle: each window cut out by slicing, and classified; a row of them at a time."""
    (h, w), (down, right) = model.input_shape[1:3], (stride, stride) if isinstance(stride, int) else stride
    found = []
    for y in range(0, image.shape[0] - h + 1, down):
        row = np.stack([image[y : y + h, x : x + w] for x in range(0, image.shape[1] - w + 1, right)])
        found.append(keras.ops.convert_to_numpy(model(row, training=False)))
    return np.array(found)
