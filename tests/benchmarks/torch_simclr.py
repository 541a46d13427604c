"""The step of SimCLR that `bench_selfsup.py step` compares with, in PyTorch, channels last. Imports nothing of kvision.

Environment: python -m venv TORCH && TORCH/bin/pip install torch numpy
Run (by bench_selfsup.py): TORCH/bin/python tests/benchmarks/torch_simclr.py VIEWS.npz STEPS -> images a second
"""

# pyright: reportMissingImports=false
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + self.shortcut(x), inplace=True)


def network(width: int = 64) -> nn.Module:
    """ResNet-18 with the stem for 32 pixels, and SimCLR's projector."""
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    before = width
    for stage in range(4):
        for block in range(2):
            layers.append(Block(before, width << stage, 2 if stage and not block else 1))
            before = width << stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(before, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, 128)]
    return nn.Sequential(*layers)


def nt_xent(z, temperature: float):
    z = F.normalize(z)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    count = len(z)
    return F.cross_entropy(similarity, (torch.arange(count) + count // 2) % count)


def main(path: str, steps: int) -> None:
    torch.manual_seed(0)
    with np.load(path) as file:
        views = [torch.from_numpy(file[name].transpose(0, 3, 1, 2).copy()) for name in ("a", "b")]
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    model = network().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9)
    batch = len(views[0]) // steps
    for timed in (False, True):
        started = time.perf_counter()
        for step in range(steps):
            x = torch.cat([view[step * batch : (step + 1) * batch] for view in views])
            x = ((x / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
            loss = nt_xent(model(x), 0.5)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if timed:
            print(len(views[0]) / (time.perf_counter() - started))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
