"""Training steps of the networks that `bench_networks.py train` compares with, in PyTorch, channels last.

Imports nothing of kvision.
Environment: python -m venv TORCH && TORCH/bin/pip install torch torchvision numpy
Run (by bench_networks.py): TORCH/bin/python tests/benchmarks/torch_networks.py NAME BATCH float32|bfloat16 STEPS
"""

# pyright: reportMissingImports=false
import sys
import time

import torch
import torchvision
from torch import nn


def lite0() -> nn.Module:
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6 is EfficientNet-Lite0."""
    model = torchvision.models.efficientnet_b0()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, torchvision.ops.SqueezeExcitation):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.SiLU):
                setattr(module, name, nn.ReLU6(inplace=True))
    return model


NETWORKS = {
    "ResNet50": torchvision.models.resnet50,
    "MobileNetV2": torchvision.models.mobilenet_v2,
    "EfficientNetLite0": lite0,
}


def main(name: str, batch: int, precision: str, steps: int) -> None:
    torch.manual_seed(0)
    model = NETWORKS[name]().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    images = torch.rand(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    times = []
    for _ in range(steps + 2):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
    print(batch * steps / sum(times[2:]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
