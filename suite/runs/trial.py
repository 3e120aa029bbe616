"""One trial, as a worker makes it: train up to the fidelity asked for, keep the checkpoint, validate, test."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from suite.energy.ledger import Phase
from suite.energy.processes import own_cpu_ns
from suite.search.strategy import Status
from suite.space import Configuration
from suite.task import Checkpoint, Split, Task


class Order(NamedTuple):
    """What a worker is asked for. ``start`` is a checkpoint file to go on from, ``save`` where to keep the result.
    ``record``: evaluate at every step of the fidelity, for a recorded curve."""

    trial: int
    configuration: Configuration
    fidelity: int
    seed: int
    start: str | None = None
    save: str | None = None
    record: bool = False


class Point(NamedTuple):
    """A training as it stood at ``fidelity``, and the CPU nanoseconds from the point before to there, by phase."""

    fidelity: int
    validation: float
    test: float
    train_cpu_ns: int
    validate_cpu_ns: int
    test_cpu_ns: int


class Outcome(NamedTuple):
    """What came of it. Values are None unless the trial is ok; ``reason`` says why it failed. ``curve``: all points, of
    a trial that was recorded; ``lost_cpu_ns``: what it took from the last point to its failure."""

    status: Status
    validation: float | None = None
    test: float | None = None
    reason: str = ""
    curve: Sequence[Point] | None = None
    lost_cpu_ns: int = 0

    def to_record(self) -> dict[str, Any]:
        """For the log; what belongs to recordings is left out of others."""
        record = self._asdict()
        if self.curve is None:
            del record["curve"], record["lost_cpu_ns"]
        else:
            record["curve"] = [tuple(point) for point in self.curve]  # plain, as JSON has it
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Outcome":
        """Inverse of ``to_record``; ``record`` may hold more."""
        known = {name: record[name] for name in cls._fields if name in record}
        curve = known.get("curve")
        return cls(**{**known, "curve": None if curve is None else [Point(*point) for point in curve]})


class _Failed(Exception):
    """The trial came to no value; the message says why."""


def make(task: Task, data: Any, order: Order, device: str, enter: Callable[[Phase], None]) -> Outcome:
    """Carry ``order`` out. ``enter`` is told of each change of phase after training.

    Whatever the task raises fails the trial.
    """
    if order.record:
        return _recorded(task, data, order, device)
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


def _recorded(task: Task, data: Any, order: Order, device: str) -> Outcome:
    """A training that is evaluated at every step on its way. The ledger knows it as one stretch, which the CPU times of
    its points divide."""
    points: list[Point] = []
    reason, began = "", own_cpu_ns()
    try:
        for checkpoint in task.train(data, order.configuration, order.seed, device, None):
            trained = own_cpu_ns()
            validation = _value(task, data, checkpoint, "validation")
            validated = own_cpu_ns()
            test = _value(task, data, checkpoint, "test")
            ended = own_cpu_ns()
            points.append(
                Point(checkpoint.fidelity, validation, test, trained - began, validated - trained, ended - validated)
            )
            began = ended
            if checkpoint.fidelity >= order.fidelity:
                return Outcome("ok", validation, test, curve=points)
        reason = f"the training ended before {order.fidelity} {task.spec.fidelity.unit}"
    except _Failed as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome("failed", reason=reason, curve=points, lost_cpu_ns=own_cpu_ns() - began)


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
