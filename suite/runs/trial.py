"""One trial, as a worker makes it: train up to the fidelity asked for, keep the checkpoint, validate, test."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from suite.energy.ledger import Phase
from suite.search.strategy import Status
from suite.space import Configuration
from suite.task import Checkpoint, Split, Task


class Order(NamedTuple):
    """What a worker is asked for. ``start`` is a checkpoint file to go on from, ``save`` where to keep the result."""

    trial: int
    configuration: Configuration
    fidelity: int
    seed: int
    start: str | None = None
    save: str | None = None


class Outcome(NamedTuple):
    """What came of it. Values are None unless the trial is ok; ``reason`` says why it failed."""

    status: Status
    validation: float | None = None
    test: float | None = None
    reason: str = ""


class _Failed(Exception):
    """The trial came to no value; the message says why."""


def make(task: Task, data: Any, order: Order, device: str, enter: Callable[[Phase], None]) -> Outcome:
    """Carry ``order`` out. ``enter`` is told of each change of phase after training.

    Whatever the task raises fails the trial.
    """
    try:
        checkpoint = _train(task, data, order, device)
        enter("validate")
        validation = _value(task, data, checkpoint, "validation")
        enter("test")
        return Outcome("ok", validation, _value(task, data, checkpoint, "test"))
    except _Failed as error:
        return Outcome("failed", reason=str(error))
    except Exception as error:
        return Outcome("failed", reason=f"{type(error).__name__}: {error}")


def _train(task: Task, data: Any, order: Order, device: str) -> Checkpoint:
    start = read_checkpoint(order.start) if order.start else None
    reached = start if start is not None and start.fidelity >= order.fidelity else None
    if reached is None:
        training = task.train(data, order.configuration, order.seed, device, start)
        reached = next((checkpoint for checkpoint in training if checkpoint.fidelity >= order.fidelity), None)
    if reached is None:
        raise _Failed(f"the training ended before {order.fidelity} {task.spec.fidelity.unit}")
    if order.save:
        write_checkpoint(reached, Path(order.save))
    return reached


def _value(task: Task, data: Any, checkpoint: Checkpoint, split: Split) -> float:
    value = float(task.evaluate(data, checkpoint, split))
    if not math.isfinite(value):
        raise _Failed(f"diverged: the {split} value is {value}")
    return value


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write to a file beside ``path``, sync, rename: whoever finds ``path`` finds it whole."""
    import torch  # only where checkpoints are kept

    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save({"fidelity": checkpoint.fidelity, "state": dict(checkpoint.state)}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_checkpoint(path: str) -> Checkpoint:
    import torch

    kept = torch.load(path, weights_only=True)
    return Checkpoint(kept["fidelity"], kept["state"])
