"""Linear filters along rows and columns, another one for each image, as two batched matrix products."""

from keras import ops

__all__ = ["separable"]


def separable(images, rows, columns):
    """images (B, H, W, 3), rows (B, h, H), columns (B, w, W), float32 -> (B, h, w, 3).

    Pixel (i, j) of the result is the sum of rows[i, y] * columns[j, x] * images[y, x]. It is a matrix product: a GPU
    with TF32 switched on rounds it to 0.1 of 255.
    """
    batch, height, width, channels = (ops.shape(images)[axis] for axis in range(4))
    new_height, new_width = rows.shape[1] or ops.shape(rows)[1], columns.shape[1] or ops.shape(columns)[1]
    x = ops.matmul(rows, ops.reshape(images, (batch, height, width * channels)))
    x = ops.transpose(ops.reshape(x, (batch, new_height, width, channels)), (0, 2, 1, 3))
    x = ops.matmul(columns, ops.reshape(x, (batch, width, new_height * channels)))
    return ops.transpose(ops.reshape(x, (batch, new_width, new_height, channels)), (0, 2, 1, 3))
