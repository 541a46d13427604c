"""Trains a network that labels every pixel and finds the edges of the labels.

An edge predictor beside the class predictor of a U-Net learns the boundaries of the masks (Takikawa
et al. 2019, arXiv 1907.05740). The exported model spreads the class probabilities inside the
regions between these edges, which makes the boundaries of its answers sharper. The strength of this
fusion is chosen on validation images. The test images are used once, after the training.

Run:      kvision edges                                        scenes of digits, no download
          kvision edges --data FOLDER --classes classes.txt    folders `images` and `masks`
          kvision edges --data camvid --classes camvid --compare
Expect:   CamVid in 120 x 90, a short training of 81 images (--longest-side 120 --train-images 90 --epochs 12
          --learning-rate 0.002 --compare), seed 0, EfficientNetLite0, 2 busy CPU cores, 179 s for `unet`
          and 245 s for `unet-edges`: boundary F1 of 101 test images .208 with `unet`, .233 with
          `unet-edges`, .236 with `edges-fused`; mIoU .389 [.380, .396], .385 and .386 [.380, .391].
          CamVid in 240 x 180 (--epochs 15 --compare), seed 0: boundary F1 .321 and .336, mIoU .437
          [.428, .444] and .432 [.423, .440]; the fit chooses 0 steps of fusion
"""

import dataclasses
import functools
import sys
from pathlib import Path

import kvision as kv
from kvision import runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

_FUSION = {"steps": int, "power": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.decoders.DecoderSettings):
    """Settings of `kvision edges`."""

    compare: bool = runs.setting(False, "also train a plain U-Net in the same way", group="model")
    steps: int | None = runs.setting(
        None, "steps of the fusion (default: chosen on validation images)", group="model", check=limits.between(0, 100)
    )
    thickness: int = runs.setting(1, "true edges: pixels on each side of a boundary", check=limits.between(1, 20))
    # GSCNN's 20 makes short trainings of the classes worse: mIoU .347 instead of .363 after 12 epochs on 81 images of
    # CamVid in 120 x 90.
    edge_weight: float = runs.setting(5.0, "weight of the loss of the edges", check=limits.between(0, 1e6))


SMOKE = Config(epochs=2, crop="64x64", longest_side=64, train_images=16, test_images=6, weights="none")


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the built-in data. If None, a temporary folder is used.

    Returns:
        The data of the run. If the fusion is chosen and there are no validation images, a tenth of the training images
        becomes the validation part.
    """
    return runs.decoders.load(config, cache=cache, chooses=config.steps is None)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains a U-Net with an edge predictor, and measures it on the test images with and without the fusion.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished parts are recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model is the network with the fusion.
    """
    records, classes, found = records or runs.Records(), len(split.class_names), {}
    if config.compare:
        build = functools.partial(runs.decoders.unet, config, classes)
        found["unet"] = runs.decoders.train("unet", build(), build, split, config, records)
    build = functools.partial(_model, config, classes)
    model = build()
    loss = functools.partial(kv.losses.EdgedLoss, thickness=config.thickness, edge_weight=config.edge_weight)
    plain = kv.segmentation.fuse_edges(model, steps=0)
    record = runs.decoders.train("unet-edges", model, build, split, config, records, loss=loss, network=plain)
    found["unet-edges"] = record
    fused = kv.segmentation.fuse_edges(model, **_fusion(model, split, config, records))
    best = "edges-fused"
    if not (row := records.done_or_wait(best, mean_iou=float, ious=list)):
        row = runs.masked.score(fused, split.test, seed=config.seed)
        records.finish(best, row)
    found[best] = {**row, "seconds": record["seconds"], "history": record["history"]}
    edges = functools.partial(kv.segmentation.edge_map, model, longest_side=split.test.longest_side)
    return runs.masked.result(fused, found, best, split.test, column="network", edges=edges)


def _model(config: Config, classes: int):
    return kv.decoders.with_edges(runs.decoders.unet(config, classes))


def _fusion(model, split: runs.Split, config: Config, records: runs.Records) -> dict:
    """Returns the steps and the power of the fusion: those of the settings, or chosen on the validation images."""
    if config.steps is not None:
        return {"steps": config.steps}
    if not (chosen := records.done_or_wait("fusion", **_FUSION)):
        best = kv.segmentation.choose_fusion(model, split.validation)
        scores = [[*setting, *values] for setting, values in best.table.items()]
        chosen = {"steps": best.steps, "power": best.power, "steps_power_miou_boundary_f1": scores}
        records.finish("fusion", chosen)
    print(f"fusion: {chosen['steps']} steps, power {chosen['power']:g}", flush=True)
    return {name: chosen[name] for name in _FUSION}


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
