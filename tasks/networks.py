"""Small networks, by name: activations, normalisations, a multilayer perceptron, convolutional nets.

torch's layers draw their first weights from the global generator: build inside ``tasks.training.drawn_from``.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn


class Sine(nn.Module):
    """sin(x), for smooth targets (Sitzmann et al. 2020, without their initialisation)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def activation(name: str) -> nn.Module:
    """The activation called ``name``; raises ``KeyError`` where there is none."""
    kinds: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "tanh": nn.Tanh,
        "sine": Sine,
    }
    return kinds[name]()


def normalisation(name: str, channels: int, dimensions: int = 1) -> nn.Module:
    """The normalisation called ``name`` over ``channels``; group normalisation has groups of four channels."""
    match name:
        case "none":
            return nn.Identity()
        case "batch":
            return nn.BatchNorm2d(channels) if dimensions == 2 else nn.BatchNorm1d(channels)
        case "group":
            return nn.GroupNorm(channels // 4, channels)
        case _:
            raise KeyError(f"a normalisation is 'none', 'batch' or 'group', got {name!r}")


def mlp(sizes: Sequence[int], act: str) -> nn.Sequential:
    """Linear layers between ``sizes`` with activation ``act`` between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation(act)]
    return nn.Sequential(*layers[:-1])


def signal_cnn(length: int, outputs: int, width: int, depth: int, norm: str, act: str = "relu") -> nn.Sequential:
    """(batch, 1, length) -> (batch, outputs): ``depth`` convolutions of kernel 5, stride 2, then one linear layer."""
    layers: list[nn.Module] = []
    channels = 1
    for _ in range(depth):
        convolution = nn.Conv1d(channels, width, kernel_size=5, stride=2, padding=2, bias=norm == "none")
        layers += [convolution, normalisation(norm, width), activation(act)]
        channels, length = width, (length + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * length, outputs))


def image_cnn(
    side: int, outputs: int, width: int, depth: int, norm: str, act: str = "relu", channels: int = 1
) -> nn.Sequential:
    """(batch, channels, side, side) -> (batch, outputs): ``depth`` convolutions of kernel 3, then one linear layer.

    Their stride is 2, but 1 where the image has come down to a side of 4 or less.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        stride = 2 if side > 4 else 1
        convolution = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=norm == "none")
        layers += [convolution, normalisation(norm, width, dimensions=2), activation(act)]
        channels, side = width, (side + stride - 1) // stride
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * side * side, outputs))
