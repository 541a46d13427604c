"""Joins the networks of an R-CNN, a classifier and a box regression into one model."""

import keras
from keras import layers, ops

from kvision.detection.rcnn import RCNN
from kvision.heads import BoxRidge, MinedSVM
from kvision.layers import Detections, MovedBoxes, Regroup

__all__ = ["detector"]


def detector(
    networks: RCNN,
    proposals: keras.layers.Layer | int | None,
    *,
    svm: MinedSVM | None = None,
    ridge: BoxRidge | None = None,
    iou: float = 0.3,
    limit: int = 100,
) -> keras.Model:
    """Creates a model from an image to its objects.

    Args:
        networks: The trained networks. The model shares their layers.
        proposals: The number of proposals of the learned proposer, or a layer from images to boxes such as
            `kv.layers.Grid`. If None, the model has a second input `boxes` `(batch, n, 4)`.
        svm: Scores the features of each box. Its margins become scores by a sigmoid, which keeps their order. If None,
            the softmax of the network gives the scores.
        ridge: Moves the boxes. If None, boxes stay where they are.
        iou: Of two boxes of a class with a larger intersection over union, only the one with the higher score stays.
        limit: The largest number of objects.

    Returns:
        A model from `image` `(batch, height, width, 3)` in [0, 255] to `detections` `(batch, limit, 6)`: the box, the
        score in [0, 1] and the label, the highest score first. Rotated boxes need 7 columns. Unused rows are 0 and have
        the label -1.

    Raises:
        UserError: If there is no learned proposer.
    """
    image = networks.image
    if proposals is None:
        boxes = keras.Input((None, 5 if networks.rotated else 4), name="boxes")
    elif isinstance(proposals, int):
        boxes = networks.proposals(proposals).outputs[0]
    else:
        boxes = proposals(image)
    found = networks.described(boxes)
    if svm is None:
        scores = layers.Softmax(name="probabilities", dtype="float32")(found["logits"])[..., 1:]
    else:
        scores = ops.sigmoid(svm.to_layer()(found["feature"]))
    sides = boxes[..., 2:4] if networks.rotated else boxes[..., 2:] - boxes[..., :2]
    scores = scores * ops.cast(ops.all(sides > 0, axis=-1, keepdims=True), "float32")  # 0 where there is no proposal
    moved = boxes
    if ridge is not None:
        deltas = ridge.to_layer()(ops.reshape(found["map"], (-1, found["map"].shape[-1])))
        moved = MovedBoxes(name="moved", dtype="float32")(boxes, Regroup(name="deltas_of_boxes")(deltas, boxes), image)
    last = Detections(limit=limit, iou=iou, name="detections", dtype="float32")
    inputs = image if proposals is not None else {"image": image, "boxes": boxes}
    return keras.Model(inputs, last(moved, scores), name="detector")
