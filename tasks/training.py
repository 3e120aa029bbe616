"""What every inner loop needs: named random streams, and one state that is saved, restored and evaluated.

A training draws its first weights, its order and its augmentation from separate generators, so that changing one leaves
the others as they were, and it never touches the global generators of the process.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from suite.task import Checkpoint, Configuration, Split

Data = Mapping[str, torch.Tensor]
Model = TypeVar("Model", bound=nn.Module)


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The arrays as tensors on the CPU, which share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def stream(seed: int, name: str) -> torch.Generator:
    """A generator on the CPU, the same for the same ``seed`` and ``name`` and independent of any other."""
    digest = hashlib.sha256(f"{seed}|{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """torch's global CPU generator follows ``generator`` inside and is given back untouched.

    torch's layers draw their first weights from the global generator; build them on the CPU inside this block.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(generator.get_state())
        yield


@dataclass
class Training(Generic[Model]):
    """The moving parts of a training; ``counters`` are plain numbers that it must remember beside its fidelity."""

    configuration: Configuration
    seed: int
    model: Model
    optimiser: torch.optim.Optimizer
    streams: Mapping[str, torch.Generator] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def checkpoint(self, fidelity: int) -> Checkpoint:
        """A live view of the state: valid until the training goes on."""
        state = {
            "configuration": dict(self.configuration),
            "seed": self.seed,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict()["state"],
            "streams": {name: generator.get_state() for name, generator in self.streams.items()},
            "counters": dict(self.counters),
        }
        return Checkpoint(fidelity, state)

    def resume(self, start: Checkpoint) -> int:
        """Go back to ``start``, which stays as it is; returns its fidelity.

        The optimiser's moments come from ``start``, its learning rate and other settings from this configuration, which
        may differ in mutable hyper-parameters.
        """
        state = copy.deepcopy(dict(start.state))
        self.model.load_state_dict(state["model"])
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        for name, generator in self.streams.items():
            generator.set_state(state["streams"][name].cpu())
        self.counters.update(state["counters"])
        return start.fidelity


def restored(
    build: Callable[[Configuration], Model], state: Mapping[str, Any]
) -> tuple[Model, Configuration, torch.device]:
    """From a checkpoint's ``state``: the model ready to be evaluated, its configuration and its device."""
    device = next(iter(state["model"].values())).device
    with torch.random.fork_rng(devices=[]):
        model = build(state["configuration"])
    model.load_state_dict(state["model"])
    return model.to(device).eval(), state["configuration"], device


@torch.no_grad()
def error_rate(build: Callable[[Configuration], nn.Module], data: Data, checkpoint: Checkpoint, split: Split) -> float:
    """Share of the examples ``x`` (n, ...) of ``split`` whose class ``y`` (n,) the net in ``checkpoint`` misses."""
    model, _, device = restored(build, checkpoint.state)
    predicted = model(data[f"{split}_x"].to(device)).argmax(dim=1)
    return float((predicted != data[f"{split}_y"].to(device)).float().mean())


def require_finite(loss: torch.Tensor, fidelity: int) -> None:
    """Raises ``FloatingPointError`` once a training has diverged."""
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the training loss must be finite, but by fidelity {fidelity} it is {value}")
