"""The contract of the inner problem: what a task is, in terms that need no torch.

Bi-level form. Inner: ``theta*(lambda) = argmin_theta L_train(theta, lambda)``.
Outer: ``max_lambda M_valid(theta*(lambda))``.
A task owns the inner line; a strategy (``suite.search.strategy``) searches the outer one and never sees the task.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self, runtime_checkable

from ConfigSpace import ConfigurationSpace

from suite.space import Configuration as Configuration  # tasks take their types from here

Split = Literal["validation", "test"]
Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Fidelity:
    """How much training a trial may get: ``minimum`` to ``maximum`` in steps of ``step`` (all in ``unit``)."""

    unit: str
    minimum: int
    maximum: int
    step: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.minimum <= self.maximum and self.step > 0):
            raise ValueError(f"a fidelity needs 0 < minimum <= maximum and step > 0, got {self}")

    def clamp(self, amount: float) -> int:
        """The allowed fidelity nearest to ``amount``: a whole number of steps above the minimum, or the maximum."""
        if amount >= self.maximum:
            return self.maximum
        steps = round((max(amount, self.minimum) - self.minimum) / self.step)
        return min(self.maximum, self.minimum + steps * self.step)

    def allows(self, amount: int) -> bool:
        return self.clamp(amount) == amount


_SPLITS: Final = ("validation", "test")


@dataclass(frozen=True)
class Metric:
    """A quantity that a model is judged by. ``worst`` is the finite value that stands for a diverged training."""

    name: str
    goal: Goal
    worst: float
    comparable_across_fidelities: bool = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.worst):
            raise ValueError(f"metric {self.name}: worst must be finite, got {self.worst}")

    def better(self, value: float, than: float) -> bool:
        return value < than if self.goal == "minimize" else value > than

    def is_the_quantity_of(self, other: "Metric") -> bool:
        """Whether the two differ in the data alone: the names in no words but "validation" and "test"."""
        one, another = ([word for word in name.split() if word not in _SPLITS] for name in (self.name, other.name))
        return one == another


@dataclass(frozen=True)
class DataRef:
    """A versioned data set.

    digest: SHA-256 of its arrays as split (``suite.data.digest``), or of its files (``suite.data.files_digest``).
    splits: which examples of the source train, validate and test. download: its files are not shipped, but fetched.
    """

    name: str
    version: str
    digest: str
    licence: str
    source: str
    splits: str
    download: bool = False


@dataclass(frozen=True)
class Constants:
    """Frozen figures that the score needs (docs/scoring.md), measured by ``carbon-suite constants``.

    a0, a1: anchors, the test value of the default (median over seeds) and the best known one.
    v0: validation value of the default. m_t: mean energy of Sobol configurations over that of the default.
    kappa_t: u of random search at the full budget. sigma_seed: standard deviation of the default's test value over
    seeds.
    default_joules, default_cpu_seconds: one full training of the default on the machine named in ``measured_on``.
    longest_over_default: energy of the dearest of ``configurations`` Sobol trainings over that of the default.
    median_test: of the same trainings. failed_configurations: how many of them came to no value. None: not measured.
    """

    a0: float
    a1: float
    v0: float
    m_t: float
    kappa_t: float
    sigma_seed: float
    default_joules: float
    default_cpu_seconds: float
    seeds: int
    configurations: int
    provisional: bool
    tier: str
    measured_on: Mapping[str, str] = field(default_factory=dict)
    longest_over_default: float | None = None
    median_test: float | None = None
    failed_configurations: int | None = None

    @property
    def headroom_sigmas(self) -> float:
        """How far the best known stands above the default, in units of seed noise; the ranked set needs >= 5."""
        return abs(self.a1 - self.a0) / self.sigma_seed if self.sigma_seed > 0 else math.inf


@dataclass(frozen=True)
class TaskSpec:
    """Everything about a task that a run, a log or a table needs. JSON-able, free of torch.

    mutable: hyper-parameters that may change in mid-training (never architecture).
    paper: who posed the inner problem. summary: one line for ``carbon-suite list``.
    extra: the optional install that brings what the task needs beyond the core.
    """

    name: str
    version: str
    summary: str
    paper: str
    space: ConfigurationSpace
    fidelity: Fidelity
    validation: Metric
    test: Metric
    data: tuple[DataRef, ...] = ()
    mutable: frozenset[str] = frozenset()
    constants: Constants | None = None
    extra: str | None = None

    def __post_init__(self) -> None:
        if self.name.count("/") != 1:
            raise ValueError(f"a task is named paradigm/task, got {self.name!r}")
        unknown = self.mutable - set(self.space)
        if unknown:
            raise ValueError(f"task {self.name}: mutable names {sorted(unknown)} are not in its space")

    @property
    def paradigm(self) -> str:
        return self.name.split("/")[0]

    @property
    def tier(self) -> Literal["embedded", "download", "extra"]:
        """What the task needs beyond an ordinary install: nothing, files that are fetched, or an optional install."""
        if self.extra:
            return "extra"
        return "download" if any(ref.download for ref in self.data) else "embedded"

    @property
    def embedded(self) -> bool:
        """Whether the task works from an ordinary install, offline."""
        return self.tier == "embedded"

    @property
    def default(self) -> Configuration:
        """The default configuration: the space's own, without inactive hyper-parameters."""
        return dict(self.space.get_default_configuration())

    def to_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "paper": self.paper,
            "space": self.space.to_serialized_dict(),
            "fidelity": asdict(self.fidelity),
            "validation": asdict(self.validation),
            "test": asdict(self.test),
            "data": [asdict(ref) for ref in self.data],
            "mutable": sorted(self.mutable),
            "constants": asdict(self.constants) if self.constants else None,
            "extra": self.extra,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of ``to_record``. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where a record is not one."""
        constants = record["constants"]
        return cls(
            name=record["name"],
            version=record["version"],
            summary=record["summary"],
            paper=record["paper"],
            space=ConfigurationSpace.from_serialized_dict(dict(record["space"])),
            fidelity=Fidelity(**record["fidelity"]),
            validation=Metric(**record["validation"]),
            test=Metric(**record["test"]),
            data=tuple(DataRef(**ref) for ref in record["data"]),
            mutable=frozenset(record["mutable"]),
            constants=Constants(**constants) if constants else None,
            extra=record["extra"],
        )


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training at ``fidelity``.

    ``state`` holds tensors and plain values only, so that ``torch.load(weights_only=True)`` reads it back, and it holds
    all that ``Task.evaluate`` and a later ``Task.train(start=...)`` need, the configuration included. It is a view,
    valid until the generator is pulled again: whoever keeps it takes a snapshot (saves it).
    """

    fidelity: int
    state: Mapping[str, Any]


@runtime_checkable
class Task(Protocol):
    """An inner problem, live or replayed.

    ``load`` gives the data of a ``variant``: 0 is the boards' own, any other whole number another draw of data, split
    or generator, so that what was learnt by heart shows. Data of variant 0 are checked against their published digest.
    ``train`` yields a checkpoint at the first state at or after each fidelity step, up to the maximum, and is pulled
    no further than the trial needs. Its learning-rate schedules are tied to the *maximum* fidelity, so that a low
    fidelity is a prefix of a high one. Started from a checkpoint it goes on bit for bit as if never interrupted.
    ``evaluate`` answers in the units of ``spec.validation`` or ``spec.test``; it draws no random numbers that are not
    fixed by the task. A training that diverges raises ``FloatingPointError`` or evaluates to NaN: the harness charges
    the trial and calls it failed.
    """

    spec: TaskSpec

    def load(self, variant: int = 0) -> Any: ...

    def train(
        self, data: Any, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]: ...

    def evaluate(self, data: Any, checkpoint: Checkpoint, split: Split) -> float: ...


@dataclass(frozen=True)
class Vector:
    """A tensor of hyper-parameters of a differentiable problem: ``size`` numbers, each of which may be moved from where
    it starts by ``lower`` to ``upper``."""

    size: int
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not (self.size > 0 and self.lower < 0 < self.upper):
            raise ValueError(f"a vector of hyper-parameters needs size > 0 and lower < 0 < upper, got {self}")


class DifferentiableProblem(Protocol):
    """An inner problem whose losses are differentiable in parameters and hyper-parameters, for programs.

    Parameters and hyper-parameters are flat mappings from name to tensor. ``hyperparameters`` are those to start from,
    which leave the inner problem as the default configuration has it; they may number thousands. ``parameters`` are
    the first of a training. ``inner_loss`` is the training loss of the batch of ``step``, ``outer_loss`` the validation
    loss: both are scalars, differentiable (twice, the inner one) in all that they are given. ``checkpoint`` is what
    ``Task.evaluate`` judges. Random draws follow from the seed that the problem was made with, and from ``step``.
    ``steps`` of Adam at ``step_size`` are a full training.
    """

    @property
    def steps(self) -> int: ...

    @property
    def step_size(self) -> float: ...

    def hyperparameters(self) -> Mapping[str, Any]: ...

    def parameters(self) -> Mapping[str, Any]: ...

    def inner_loss(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any], step: int) -> Any: ...

    def outer_loss(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Any: ...

    def checkpoint(self, parameters: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Checkpoint: ...


@runtime_checkable
class DifferentiableTask(Task, Protocol):
    """A task that can also be posed as a differentiable problem.

    ``vectors``: the problem's hyper-parameters by name. They are the declared space of its program boards, the same for
    every entrant (``suite.runs.program``).
    """

    @property
    def vectors(self) -> Mapping[str, Vector]: ...

    def differentiable(self, data: Any, seed: int, device: str) -> DifferentiableProblem: ...


@runtime_checkable
class WeightSharingTask(DifferentiableTask, Protocol):
    """An architecture task whose differentiable problem is a net in which all architectures share their weights.

    Its hyper-parameters weigh the options of each choice; ``discretised`` says which architecture they stand for, and
    the problem's ``checkpoint`` is that architecture, trained in full. The declared space of its program boards is the
    task's own.
    """

    def discretised(self, hyperparameters: Mapping[str, Any]) -> Configuration: ...


def card_path(module_file: str) -> Path:
    """Where the card of the task in ``module_file`` lies: a JSON file of the same name beside it."""
    return Path(module_file).with_suffix(".json")


def constants_beside(module_file: str) -> Constants | None:
    """The constants from the task's card, or None before ``carbon-suite constants`` has measured them."""
    card = card_path(module_file)
    if not card.exists():
        return None
    constants = json.loads(card.read_text())["constants"]
    return Constants(**constants) if constants else None
