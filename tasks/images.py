"""Large sets of labelled images, kept as bytes: how they are split, how a classifier is trained on them, and judged.

For the tasks of the download tier that tell images apart.
"""

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from suite.task import Checkpoint, Fidelity
from tasks.optimisers import descend
from tasks.training import Data, Training, require_finite, stream

BATCH, EVALUATION_BATCH = 128, 1000

Scale = Callable[[torch.Tensor], torch.Tensor]  # from bytes to what a model takes


class Labelled(NamedTuple):
    """Images (n, channels, height, width) uint8 and their classes (n,) int64."""

    x: np.ndarray
    y: np.ndarray


def dealt(train: Labelled, test: Labelled, validation: int, variant: int) -> dict[str, np.ndarray]:
    """``x`` and ``y`` of ``train``, ``validation`` and ``test``: the last ``validation`` of the official training
    images validate, and the official test images test. A variant deals all images out anew, in the same numbers."""
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    order = np.arange(len(y)) if variant == 0 else np.random.Generator(np.random.PCG64(variant)).permutation(len(y))
    first, second = len(train.y) - validation, len(train.y)
    parts = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    return {f"{name}_{kind}": values[part] for name, part in parts.items() for kind, values in (("x", x), ("y", y))}


def batches(examples: int, seed: int, done: int) -> Iterator[torch.Tensor]:
    """The (128,) places of each batch after the first ``done``, without end.

    Every pass has a new order and leaves out the few examples that fill no batch. It depends on ``seed`` and its number
    alone, so that there is no state to save.
    """
    per_pass = examples // BATCH
    for number in count(done // per_pass):
        order = torch.randperm(examples, generator=stream(seed, f"order of pass {number}"))
        yield from islice(torch.split(order, BATCH), done % per_pass, per_pass)
        done = 0


def train(
    training: Training[nn.Module], data: Data, device: str, done: int, fidelity: Fidelity, inputs: Scale
) -> Iterator[Checkpoint]:
    """Go on with ``training`` after ``done`` iterations, by cross-entropy; ``inputs`` also augments."""
    x, y = data["train_x"].to(device), data["train_y"].to(device)
    schedule, total = str(training.configuration["schedule"]), fidelity.maximum
    for iteration, places in enumerate(islice(batches(len(y), training.seed, done), total - done), done):
        batch = places.to(device)
        loss = functional.cross_entropy(training.model(inputs(x[batch])), y[batch])
        descend(training.optimiser, loss, schedule, iteration / total)
        if (iteration + 1) % fidelity.step == 0:
            require_finite(loss.detach(), iteration + 1)
            yield training.checkpoint(iteration + 1)


@torch.no_grad()
def error_rate(model: nn.Module, x: torch.Tensor, y: torch.Tensor, scaled: Scale) -> float:
    """Share of the images ``x`` (bytes) that ``model`` puts into another class than ``y``."""
    device = next(model.parameters()).device
    wrong = 0
    for images, classes in zip(torch.split(x, EVALUATION_BATCH), torch.split(y, EVALUATION_BATCH), strict=True):
        predicted = model(scaled(images.to(device))).argmax(dim=1)
        wrong += int((predicted != classes.to(device)).sum())
    return wrong / len(y)
