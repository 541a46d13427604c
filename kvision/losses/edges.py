"""The losses of networks that predict classes and the edges between them."""

from keras import ops

from kvision import checks
from kvision.losses.pixels import pixel_cross_entropy
from kvision.ops import edge_targets

__all__ = ["edge_attention", "edge_cross_entropy"]


def edge_cross_entropy(labels, edges, *, neighbors: int = 4, thickness: int = 1, ignore: int | None = 255):
    """Computes the class-balanced binary cross entropy of predicted edges for each image.

    The true edges come from the labels (`kv.ops.edge_targets`). An edge pixel has as weight the share of the other
    pixels, and another pixel has as weight the share of the edge pixels. So the few edge pixels of an image weigh as
    much as all its other pixels together.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or class numbers.
        edges: Logits of edges `(batch, height, width)`.
        neighbors: 4 or 8, see `kv.ops.edge_targets`.
        thickness: Width of the edges on each side of a boundary, in pixels.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch,)` losses, float32: the weighted mean over the pixels that count. The loss is 0 if all pixels of an
        image are ignored, or if an image has no edge.

    Raises:
        UserError: If the shapes do not fit, or an option of the edges is not valid.

    Example:
        >>> labels = np.array([[[0, 0, 1, 1]]])
        >>> round(float(kv.losses.edge_cross_entropy(labels, np.zeros((1, 1, 4)))[0]), 4)  # ln 2 / 2
        0.3466

    References:
        Xie and Tu 2015, arXiv 1504.06375 (HED), equation 2. Takikawa et al. 2019, arXiv 1907.05740 (GSCNN), whose code
        balances the classes of a batch. Here each image is balanced, as in HED, so that several devices compute the
        same loss as one.
    """
    if tuple(labels.shape) != tuple(edges.shape):
        raise checks.UserError("edges", expected=f"the labels' shape {tuple(labels.shape)}", received=edges.shape)
    target = edge_targets(labels, neighbors=neighbors, thickness=thickness, ignore=ignore)
    logits = ops.cast(edges, "float32")
    is_edge, is_other = (ops.cast(target == value, "float32") for value in (1, 0))
    edge_count, other_count = (ops.sum(mask, axis=(1, 2)) for mask in (is_edge, is_other))
    edge_loss = ops.sum(ops.softplus(-logits) * is_edge, axis=(1, 2))
    other_loss = ops.sum(ops.softplus(logits) * is_other, axis=(1, 2))
    count = ops.maximum(edge_count + other_count, 1.0)
    return (other_count * edge_loss + edge_count * other_loss) / ops.square(count)


def edge_attention(labels, logits, edges, *, threshold: float = 0.8, class_weights=None, ignore: int | None = 255):
    """Computes the mean cross entropy of the pixels of each image where the network is sure of an edge.

    The choice of the pixels has no gradient.

    Args:
        labels: Integers `(batch, height, width)`, `ignore` or 0 to K - 1.
        logits: Logits of the classes `(batch, height, width, K)`.
        edges: Logits of edges `(batch, height, width)`.
        threshold: Pixels with a larger edge probability count. Defaults to 0.8, the value of the published code.
        class_weights: K weights of the classes. If None, all classes have the weight 1.
        ignore: Label of the pixels that do not count. If None, all pixels count.

    Returns:
        `(batch,)` losses, float32. The loss is 0 for an image without such pixels.

    Example:
        >>> labels, logits = np.array([[[0, 1]]]), np.array([[[[0.0, 9.0], [0.0, 0.0]]]])
        >>> round(float(kv.losses.edge_attention(labels, logits, np.array([[[-5.0, 5.0]]]))[0]), 4)  # ln 2
        0.6931

    References:
        Takikawa et al. 2019, arXiv 1907.05740 (GSCNN), section 3.3 and the published code.
    """
    absent = 255 if ignore is None else ignore
    sure = ops.sigmoid(ops.cast(edges, "float32")) > threshold
    kept = ops.where(sure, ops.cast(labels, "int32"), absent)
    return pixel_cross_entropy(kept, logits, class_weights=class_weights, ignore=absent)
