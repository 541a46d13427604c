"""Every self-supervised method, as its smoke preset has it and in the variants that hold more, with its views."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import trainings

import kvision as kv
from kvision import selfsup

RANDOM = np.random.default_rng(0)
ROWS, BATCH = 24, 8
IMAGES = RANDOM.integers(0, 256, (ROWS, 16, 16, 3)).astype("float32")
VIEWS = {
    "a": IMAGES,
    "b": np.clip(IMAGES[:, :, ::-1] + RANDOM.normal(0, 20, IMAGES.shape), 0, 255).astype("float32"),
    "c": IMAGES[:, :8, 4:12].copy(),
    "index": np.arange(ROWS, dtype="int32"),
    "label": (np.arange(ROWS) % 3).astype("int32"),
}


def vit() -> keras.Model:
    return kv.backbones.vit(depth=1, width=16, heads=2, patch_size=4, image_size=16)


def smoke(name: str) -> kv.training.Objective:
    """The method of a preset, on a smaller encoder and the views above."""
    preset = selfsup.preset(name, "smoke")
    facts = {"images": ROWS, "classes": 3, "steps": ROWS // BATCH, "image_size": 16, "seed": 1}
    return preset.method(vit() if preset.vit else trainings.encoder(), None, **facts)


# groups=1: with groups the twin's statistics are not those of the whole batch, which two devices have
METHODS: dict[str, Callable[[], kv.training.Objective]] = {
    # NPID++ is NPID with other views
    **{name: functools.partial(smoke, name) for name in selfsup.METHODS if name != "npid_plus_plus"},
    "moco": lambda: selfsup.MoCo(trainings.encoder(), sizes=(8,), queue_size=16, momentum=0.9, groups=1),
    "npid_noise": lambda: selfsup.NPID(trainings.encoder(), count=ROWS, width=8, negatives=6, temperature=0.2, seed=1),
    "swav": lambda: selfsup.SwAV(trainings.encoder(), sizes=(16, 8), prototypes=6, frozen_steps=2),
    "swav_queue": lambda: selfsup.SwAV(
        trainings.encoder(), crop_sizes={"c": 8}, sizes=(16, 8), prototypes=6, queue_size=16, queue_start=1
    ),
    "mae": lambda: selfsup.MAE(vit(), decoder_width=8, decoder_depth=1, decoder_heads=2, seed=1),  # faster
}
# whose numbers do not hang on draws made in the step, so that backends agree
DRAWLESS = ("supervised", "simclr", "moco", "npid", "swav", "swav_queue")


def made(name: str, optimizer=None, *, eager: bool = False) -> kv.training.Objective:
    """eager: without a graph, whose trace takes longer than a few steps."""
    keras.utils.set_random_seed(0)
    method = METHODS[name]()
    method.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), run_eagerly=eager)
    return method


def trained(
    name: str, *, views=None, optimizer=None, epochs: int = 2, eager: bool = False, **options
) -> kv.training.Objective:
    """Whole batches of 8 of the 24 images, in the order of a seed."""
    method = made(name, optimizer, eager=eager)
    kv.training.fit(method, views or VIEWS, epochs=epochs, batch_size=BATCH, verbose=0, **options)
    return method
