"""The contract of the outer loop: ask for a proposal, tell its trial.

A strategy is given the search problem below and a seed - never the task, its data or a test value. It is
deterministic given its seed and what it was told.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

from ConfigSpace import ConfigurationSpace

from suite.space import Configuration
from suite.task import Checkpoint, DifferentiableProblem, Fidelity, Goal, Vector

Status = Literal["ok", "failed", "timeout", "lost"]
Capability = Literal[
    "conditional", "fidelity", "asynchronous", "mutation", "objectives", "constraints", "program", "one-shot"
]

EXPECTED_TRAININGS: Final = 100


class Signal(Enum):
    """What ``ask`` answers when it has no proposal: none until more is told (WAIT), or none ever (EXHAUSTED)."""

    WAIT = "wait"
    EXHAUSTED = "exhausted"


WAIT: Final = Signal.WAIT
EXHAUSTED: Final = Signal.EXHAUSTED


@dataclass(frozen=True)
class Proposal:
    """One trial to make: train ``configuration`` up to the cumulative ``fidelity``.

    parent: number of an earlier trial to start from. With the same configuration that is a promotion, which pays only
    for the rest; with another one a mutation, allowed where only ``mutable`` hyper-parameters differ.
    """

    configuration: Configuration
    fidelity: int
    parent: int | None = None


@dataclass(frozen=True)
class Trial:
    """What a strategy is told of a proposal that has come to its end.

    number: 0 for the default configuration that every strategy is given; proposals are 1, 2, ... in the order asked.
    objectives: the validation metric in its own unit and direction, then the energy in joules where the strategy
    declares "objectives". A trial that did not come to a value carries the worst value that this run has seen, which
    is finite. constraints: values that must be <= 0, told where the strategy declares "constraints": by how many joules
    the trial cost more than trial 0. joules: what the trial cost.
    """

    number: int
    proposal: Proposal
    status: Status
    objectives: tuple[float, ...]
    constraints: tuple[float, ...] = ()
    joules: float = 0.0


@dataclass(frozen=True)
class Problem:
    """All that a strategy knows: the space, its default, how much training there is, the direction and its means.

    budget_joules: what the whole search may use; infinite where only a number of trials ends it. workers: how many
    proposals may be outstanding at once.
    """

    space: ConfigurationSpace
    default: Configuration
    fidelity: Fidelity
    goal: Goal
    seed: int
    budget_joules: float
    workers: int = 1
    mutable: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StrategyInfo:
    """How a strategy presents itself. ``capabilities`` name what it can handle beyond a flat space of full trainings.

    conditional: hyper-parameters that are active under conditions. fidelity: trainings shorter than the maximum, and
    promotions (the harness then keeps checkpoints). asynchronous: several proposals outstanding. mutation: a parent of
    another configuration. objectives, constraints: more than one value told. program: it is a ``Program``;
    one-shot: for tasks whose architectures share weights, and no others.
    library: the distribution that does the work, whose version is logged; extra: the optional install that brings it.
    """

    name: str
    family: str
    summary: str
    capabilities: frozenset[Capability] = frozenset()
    version: str = "1"
    library: str | None = None
    extra: str | None = None
    paper: str | None = None


def is_program(info: StrategyInfo) -> bool:
    return "program" in info.capabilities


def trainings(problem: Problem, default_joules: float | None) -> int:
    """How many trainings as dear as the default's the budget is good for, one at least; for libraries that must know in
    advance. ``EXPECTED_TRAININGS`` where nothing tells."""
    if not default_joules or math.isinf(problem.budget_joules):
        return EXPECTED_TRAININGS
    return max(1, round(problem.budget_joules / default_joules))


def refusal(info: StrategyInfo, problem: Problem) -> str | None:
    """Why a strategy with these capabilities is not given ``problem``; None where they admit it."""
    conditional = [name for name in problem.space if problem.space.parent_conditions_of[name]]
    if conditional and "conditional" not in info.capabilities:
        return f"strategy {info.name} does not declare the capability 'conditional', and {conditional} are conditional"
    if problem.workers > 1 and "asynchronous" not in info.capabilities:
        return (
            f"strategy {info.name} does not declare the capability 'asynchronous', so that it has one proposal at a "
            f"time; it was to have {problem.workers}: run it with one worker"
        )
    return None


@runtime_checkable
class Strategy(Protocol):
    """An outer loop. A class that is built from a ``Problem`` and carries its ``StrategyInfo`` as ``info``.

    Trial 0, the default configuration with its value and energy, is told before the first ask. Several proposals may
    be outstanding, up to ``Problem.workers``; tells may come out of order; trials may fail.
    """

    info: ClassVar[StrategyInfo]

    def __init__(self, problem: Problem) -> None: ...

    def ask(self) -> Proposal | Signal: ...

    def tell(self, trial: Trial) -> None: ...


#: ``with search(): ...``: what a program does inside counts as search, all else as training.
Search = Callable[[], AbstractContextManager[None]]


@runtime_checkable
class Program(Protocol):
    """An outer loop that is not made of trials (gradient-based, one-shot). A class like a strategy's, with ``run``.

    ``vectors`` are the hyper-parameters of ``inner``. Each yield of ``run`` is an evaluation: a checkpoint that the
    task judges (``DifferentiableProblem.checkpoint``), with whatever else the program needs to go on from there; its
    fidelity is of no account. Given one as ``start``, it goes on from it, and must do so bit for bit: the harness
    starts it anew for every evaluation. It goes on until the budget ends it.
    """

    info: ClassVar[StrategyInfo]

    def __init__(self, problem: Problem) -> None: ...

    def run(
        self, inner: DifferentiableProblem, vectors: Mapping[str, Vector], start: Checkpoint | None, search: Search
    ) -> Iterator[Checkpoint]: ...
