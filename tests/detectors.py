"""Small detectors: bright squares on dark images are the objects."""

from typing import Any

import keras
import numpy as np
from keras import ops

import kvision as kv

CELL, LIMIT = 8, 12


class Squares(keras.layers.Layer):
    """Finds the cells of 8 x 8 pixels that are bright, and makes them boxes; class 1 if a cell is more red than blue.

    The score is the brightness of a cell in [0, 1]. Of neighboring boxes that overlap, the brightest stays.
    """

    def __init__(self, rotated: bool = False, **options):
        super().__init__(**options)
        self.rotated = rotated

    def call(self, cells):
        import tensorflow as tf

        return tf.map_fn(self._rows, cells) if cells.shape[0] != 1 else self._rows(cells[0])[None]

    def _rows(self, cells):
        import tensorflow as tf

        rows, columns = tf.unstack(tf.shape(cells)[:2])
        y, x = tf.meshgrid(tf.range(rows), tf.range(columns), indexing="ij")
        top, left = (tf.reshape(tf.cast(value * CELL // 2, tf.float32), (-1,)) for value in (y, x))
        boxes = tf.stack([top, left, top + CELL, left + CELL], -1)
        colors = tf.reshape(cells, (-1, 3))
        scores = tf.reduce_mean(colors, -1)
        kept = kv.detection.nms(boxes, scores, iou=0.2)
        scores = tf.where(kept & (scores > 0.2), scores, 0.0)
        largest: Any = ops.top_k(tf.concat([scores, tf.zeros(LIMIT)], 0), LIMIT)  # its declared type is None
        scores, order = largest
        count = tf.shape(boxes)[0]
        order = tf.minimum(order, count - 1)
        boxes, colors, used = tf.gather(boxes, order), tf.gather(colors, order), scores > 0
        labels = tf.where(used, tf.cast(colors[:, 0] > colors[:, 2], tf.float32), -1.0)
        if self.rotated:
            center = (boxes[:, :2] + boxes[:, 2:]) / 2
            boxes = tf.concat([center, tf.fill((LIMIT, 1), 8.0), tf.fill((LIMIT, 1), 6.0), tf.fill((LIMIT, 1), 0.5)], 1)
        boxes = tf.where(used[:, None], boxes, 0.0)
        return tf.concat([boxes, scores[:, None], labels[:, None]], 1)


def detector(side: int | None = None, *, rotated: bool = False) -> keras.Model:
    """A model whose network has a weight; cells start at every multiple of 4 pixels."""
    image = keras.Input((side, side, 3), name="image")
    scaled = keras.layers.Rescaling(1 / 255)(image)
    pool = keras.layers.AveragePooling2D(CELL, strides=CELL // 2, padding="valid")(scaled)
    mix = keras.layers.Dense(3, use_bias=False, name="mix")
    rows = Squares(rotated, name="rows")(mix(pool))
    model = keras.Model(image, rows, name="squares")
    mix.set_weights([np.eye(3, dtype="float32")])
    return model


def scene(size: tuple[int, int], squares: list[tuple], side: int = CELL) -> np.ndarray:
    """A dark image with bright squares at (top, left); a third value "red" or "blue" gives their color."""
    image = np.zeros((*size, 3), "uint8")
    for top, left, color in squares:
        image[top : top + side, left : left + side] = {"red": (250, 220, 180), "blue": (180, 220, 250)}[color]
    return image
