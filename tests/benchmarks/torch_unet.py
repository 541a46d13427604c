"""The U-Net that `bench_unet.py` compares with: segmentation_models.pytorch, channels last. Imports nothing of kvision.

Environment: python -m venv TORCH && TORCH/bin/pip install torch torchvision timm segmentation_models_pytorch
Run (by bench_unet.py): TORCH/bin/python tests/benchmarks/torch_unet.py ENCODER IMAGES.npz
The process reads lines "forward STEPS" or "train STEPS" and answers each with the seconds that the steps took.
"""

# pyright: reportMissingImports=false
import sys
import time

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional as F


def main(encoder: str, path: str) -> None:
    torch.manual_seed(0)
    with np.load(path) as file:
        images = torch.from_numpy((file["images"] / 127.5 - 1).astype("float32").transpose(0, 3, 1, 2).copy())
        labels, classes = torch.from_numpy(file["labels"].astype("int64")), int(file["classes"])
    images = images.contiguous(memory_format=torch.channels_last)
    model = smp.Unet(encoder, encoder_weights=None, classes=classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    print(sum(weight.numel() for weight in model.parameters()), flush=True)

    def forward() -> None:
        model.eval()
        with torch.inference_mode():
            model(images)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    for line in sys.stdin:
        what, steps = line.split()
        step = {"forward": forward, "train": train}[what]
        started = time.perf_counter()
        for _ in range(int(steps)):
            step()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
