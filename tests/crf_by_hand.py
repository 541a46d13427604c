"""A dense CRF in plain loops over pairs of pixels, by another hand, and images to try it on."""

import math

import numpy as np


def pair_weights(image: np.ndarray, parameters) -> np.ndarray:
    """The weights of all pairs, normalized symmetrically, each kernel by itself; (N, N) float64 without a diagonal."""
    height, width = image.shape[:2]
    diagonal = math.sqrt(height**2 + width**2)
    far, near = parameters.bilateral_distance * diagonal, parameters.spatial_distance * diagonal
    places = [(y, x) for y in range(height) for x in range(width)]
    colors = image.reshape(-1, 3).astype("float64")
    total = np.zeros((len(places),) * 2)
    for weight, bilateral in ((parameters.bilateral_weight, True), (parameters.spatial_weight, False)):
        kernel = np.empty_like(total)
        for i, (y, x) in enumerate(places):
            for j, (v, u) in enumerate(places):
                apart = (y - v) ** 2 + (x - u) ** 2
                if bilateral:
                    color = ((colors[i] - colors[j]) ** 2).sum()
                    kernel[i, j] = math.exp(-apart / (2 * far**2) - color / (2 * parameters.bilateral_color**2))
                else:
                    kernel[i, j] = math.exp(-apart / (2 * near**2))
        sums = kernel.sum(axis=1)
        total += weight * kernel / np.sqrt(np.outer(sums, sums))
    np.fill_diagonal(total, 0)
    return total


def mean_field(probabilities: np.ndarray, weights: np.ndarray, iterations: int, sign: float = 1) -> np.ndarray:
    """The update with the cost of different labels written out, as in the paper. sign -1 flips this cost."""
    classes = probabilities.shape[-1]
    different = 1 - np.eye(classes)
    unary = -np.log(np.maximum(probabilities.reshape(-1, classes).astype("float64"), 1e-8))
    found = np.exp(-unary) / np.exp(-unary).sum(axis=1, keepdims=True)
    for _ in range(iterations):
        cost = sign * (weights @ found) @ different
        found = np.exp(-unary - cost)
        found /= found.sum(axis=1, keepdims=True)
    return found.reshape(probabilities.shape)


def energy(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The energy of labels: unary, and the weights of all pairs with different labels, each pair once."""
    flat = labels.ravel()
    chosen = probabilities.reshape(len(flat), -1)[np.arange(len(flat)), flat]
    return float(-np.log(np.maximum(chosen, 1e-8)).sum() + (weights * (flat[:, None] != flat)).sum() / 2)


def two_regions(height: int, width: int, *, noise: float, seed: int = 0):
    """An image of two colors that meet at 60 % of the width, its labels, and noisy, blurred probabilities."""
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), int)
    labels[:, int(0.6 * width) :] = 1
    image = np.where(labels[..., None] == 1, (200, 60, 40), (60, 90, 180)) + random.normal(0, 4, (height, width, 3))
    edge = 1 / (1 + np.exp(-(np.arange(width) - 0.6 * width + 2) / 2))  # the network's boundary is 2 pixels off
    logits = np.log(edge / (1 - edge)) + random.normal(0, noise, (height, width))
    second = 1 / (1 + np.exp(-logits))
    return image.clip(0, 255).astype("uint8"), labels, np.stack([1 - second, second], axis=-1).astype("float32")


def photograph(height: int, width: int, classes: int, *, seed: int = 0):
    """A smooth color image with edges, and probabilities that partly follow it, as those of a coarse network."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    regions = np.stack([gaussian_filter(random.normal(size=(height, width)), 5) for _ in range(classes)]).argmax(axis=0)
    colors = random.uniform(20, 235, (classes, 3))
    texture = np.stack([gaussian_filter(random.normal(size=(height, width)), 2) * 30 for _ in range(3)], axis=-1)
    image = (colors[regions] + texture + random.normal(0, 3, (height, width, 3))).clip(0, 255).astype("uint8")
    logits = np.stack([gaussian_filter((regions == c) * 6.0, 3) for c in range(classes)], axis=-1)
    logits += random.normal(0, 0.5, logits.shape)
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return image, regions, (scores / scores.sum(axis=-1, keepdims=True)).astype("float32")
