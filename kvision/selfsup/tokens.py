"""A vision transformer as the methods see it that hide patches: its grid, and a model up to its patches."""

import keras

from kvision import checks

__all__ = ["grid", "patch_model", "pooled"]


def grid(vit: keras.Model) -> tuple[int, int, int]:
    """-> patch size in pixels, rows, columns of a model that `kv.backbones.vit` made; UserError for any other."""
    names = {layer.name for layer in vit.layers}
    if not {"patches", "positions", "block1_attention", "norm"} <= names:
        raise checks.error(
            "vit",
            expected="a model of kv.backbones.vit, or a ViT of kv.backbones.create",
            received=f"{vit.name!r}, without its layers 'patches', 'positions', 'block1_attention', 'norm'",
        )
    _, rows, columns, _ = vit.get_layer("patches").output.shape
    return vit.input_shape[1] // rows, rows, columns


def patch_model(vit: keras.Model) -> keras.Model:
    """image (B, S, S, C) in [0, 255] -> its patches' embeddings (B, h, w, D), before positions; the same weights."""
    return keras.Model(vit.inputs[0], vit.get_layer("patches").output, name="patch_model")


def pooled(vit: keras.Model) -> keras.Model:
    """image -> the mean of its tokens (B, D); the model itself where it pools already."""
    if len(vit.output_shape) == 2:
        return vit
    return keras.Model(vit.inputs[0], keras.layers.GlobalAveragePooling2D(name="pool")(vit.output), name=vit.name)
