"""Simulated workers: trials answered from a recorded table, in simulated time, with recorded energy.

They stand in for ``suite.runs.engine.LocalEngine`` and ``suite.energy.ledger.Ledger`` in the same runner, so that a
replayed run takes the same way as a live one: same proposals, same log, same score.
"""

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from suite.energy.ledger import Gaps, Label, Phase, PhaseChanges, Segment
from suite.replay.recorded import Answers, Energy
from suite.runs.engine import Event
from suite.runs.trial import Order, Outcome
from suite.space import Configuration
from suite.task import TaskSpec

COMPONENT = "recorded"


class RecordedLedger:
    """Segments of recorded energy, and of what the strategy itself computes: its CPU time at ``search_watts``, or
    nothing where that is 0, which makes a run's log the same on every machine."""

    def __init__(self, search_watts: float) -> None:
        self._watts = search_watts
        self._open: dict[Label, list[int]] = {}
        self._total = 0

    @property
    def total_microjoules(self) -> int:
        return self._total

    @contextmanager
    def window(self, phase: Phase, trial: int | None = None) -> Iterator[None]:
        """The strategy works on ``phase`` inside. Windows do not nest in a replay."""
        began = time.process_time_ns()
        yield
        if self._watts:
            cpu_ns = time.process_time_ns() - began
            self.add(Label(phase, trial), round(cpu_ns * self._watts / 1e3), cpu_ns)

    def add(self, label: Label, microjoules: int, cpu_ns: int) -> None:
        amounts = self._open.setdefault(label, [0, 0])
        amounts[0] += microjoules
        amounts[1] += cpu_ns
        self._total += microjoules

    def declare(self, label: Label, microjoules: Mapping[str, int], wall_ns: int) -> None:
        """Add energy that somebody declares."""
        self.add(label, sum(microjoules.values()), wall_ns)

    def drain(self) -> list[Segment]:
        segments = [
            Segment(label.phase, label.trial, {COMPONENT: microjoules}, cpu_ns, cpu_ns)
            for label, (microjoules, cpu_ns) in self._open.items()
        ]
        self._open.clear()
        return segments

    def drain_gaps(self) -> Gaps:
        return Gaps({}, {}, 0)

    def cut(self) -> None:
        """Recorded energy comes trial by trial: there is nothing to read."""

    def assign(self, pid: int, label: Label) -> None:
        """The engine says itself what a trial took."""

    def relabel(self, pid: int, label: Label, cpu_ns: int | None = None) -> None:
        """The engine says itself what a trial took."""

    def open_lane(self, pid: int, label: Label, changes: PhaseChanges) -> None:
        """Simulated workers use nothing while they wait."""

    def close_lane(self, pid: int) -> None:
        """Simulated workers use nothing while they wait."""


class _NoChanges:
    """A simulated worker marks nothing: what it takes comes with its outcome."""

    def entered(self) -> list[tuple[Phase, int]]:
        return []

    def searched_ns(self) -> int:
        return 0


@dataclass
class _Worker:
    began_seconds: float = 0.0
    ready_said: bool = False


@dataclass(order=True)
class _Ending:
    """When the worker ``pid`` will be done, with what, and what that took."""

    seconds: float
    pid: int
    trial: int = field(compare=False)
    outcome: Outcome = field(compare=False)
    energy: Energy = field(compare=False)


class Source(Protocol):
    """What simulated workers have their answers from: see ``suite.replay.recorded.Recorded``."""

    @property
    def levels(self) -> np.ndarray: ...

    def look_up(self, configurations: Sequence[Configuration], seeds: Sequence[int], fidelity: int) -> Answers: ...

    def energy(self, configuration: Configuration, start: int, end: int) -> Energy: ...


class ReplayEngine:
    """Workers that answer from ``recorded``. ``seconds`` is the simulated time: recorded CPU time passes, nothing else
    does."""

    def __init__(self, recorded: Source, spec: TaskSpec, ledger: RecordedLedger) -> None:
        self._recorded, self._unit, self._ledger = recorded, spec.fidelity.unit, ledger
        self._workers: dict[int, _Worker] = {}
        self._endings: list[_Ending] = []
        self._kept: dict[str, int] = {}  # fidelity of each checkpoint, by the path that a live one would have
        self.seconds = 0.0

    def start(self) -> int:
        pid = len(self._workers) + 1
        self._workers[pid] = _Worker()
        return pid

    def submit(self, pid: int, order: Order) -> None:
        self._workers[pid].began_seconds = self.seconds
        start = self._kept[order.start] if order.start else 0
        outcome, reached = self._answer(order)
        energy = self._recorded.energy(order.configuration, start, reached)
        if outcome.status == "ok":
            if order.save:
                self._kept[order.save] = order.fidelity
        else:  # it failed in training
            energy = replace(energy, validate_microjoules=0, test_microjoules=0, validate_cpu_ns=0)
        seconds = (energy.train_cpu_ns + energy.validate_cpu_ns) / 1e9
        heapq.heappush(self._endings, _Ending(self.seconds + seconds, pid, order.trial, outcome, energy))

    def _answer(self, order: Order) -> tuple[Outcome, int]:
        """What comes of a training, and the fidelity that it reaches."""
        levels = self._recorded.levels
        answers = self._recorded.look_up([order.configuration], [order.seed], order.fidelity)
        reached = int(answers.reached[0])
        if reached > int(np.searchsorted(levels, order.fidelity)):
            return Outcome("ok", float(answers.validation[0]), float(answers.test[0])), order.fidelity
        return Outcome("failed", reason=f"recorded as failed by {levels[reached]} {self._unit}"), int(levels[reached])

    def wait(self, seconds: float) -> list[Event]:
        """The next worker that has something to say, however long that takes in simulated time."""
        for pid, worker in self._workers.items():
            if not worker.ready_said:
                worker.ready_said = True
                return [Event(pid, "ready")]
        ending = heapq.heappop(self._endings)
        self.seconds = ending.seconds
        energy, trial = ending.energy, ending.trial
        self._ledger.add(Label("train", trial), energy.train_microjoules, energy.train_cpu_ns)
        self._ledger.add(Label("validate", trial), energy.validate_microjoules, energy.validate_cpu_ns)
        self._ledger.add(Label("test", trial), energy.test_microjoules, 0)
        return [Event(ending.pid, "outcome", ending.outcome.to_record())]

    def marks_of(self, pid: int) -> PhaseChanges:
        return _NoChanges()

    def finish(self, pid: int) -> float:
        return self.seconds - self._workers[pid].began_seconds

    def overdue(self, limit_seconds: float) -> list[int]:
        """No recorded training is cut short: the recording has its own limit."""
        return []

    def kill(self, pid: int, died: bool = False) -> str:
        del self._workers[pid]
        self._endings = [ending for ending in self._endings if ending.pid != pid]
        heapq.heapify(self._endings)
        return "exit code 0"

    def pids(self) -> list[int]:
        return list(self._workers)

    def close(self) -> None:
        self._workers.clear()
