"""The energy ledger: contiguous, exclusive segments in integer microjoules that sum to the total exactly.

What the meters counted between two cuts is one slice, shared among the lanes (the run's own process and each worker)
by the CPU time that they used in it. Each lane's share goes to its label, that is phase and trial. In the run's own
process labels nest, and the innermost owns the time. Where a worker marked a change of phase within the slice, its
share is divided there. What a GPU used belongs to the trials in hand alone: strategies run on the CPU.

A meter that has no reading leaves its energy to the next cut at which it has one, and the slice counts as not covered.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, Self, get_args

from suite.energy.meter import Meter, Unavailable
from suite.energy.processes import ProcessTree

Phase = Literal["setup", "ask", "train", "validate", "test", "tell", "resume", "idle"]
PHASES: tuple[Phase, ...] = get_args(Phase)
#: Phases that a strategy pays for. ``setup`` is what every strategy needs alike (workers, data, warm-up); its own
#: import and construction belong to ``ask``.
CHARGED: frozenset[Phase] = frozenset({"ask", "train", "validate", "tell", "idle"})

JOULES_PER_KWH = 3_600_000
SHORTEST_NS = 100_000  # what came just before a window goes with it: at 10 W, a millijoule
SHORTEST_SLEEP_NS = 1_000_000_000  # two clocks read one after the other differ by less


class Label(NamedTuple):
    phase: Phase
    trial: int | None = None


class Segment(NamedTuple):
    """Energy under one label: microjoules by component, and the CPU and wall time that it took (nanoseconds)."""

    phase: Phase
    trial: int | None
    microjoules: Mapping[str, int]
    cpu_ns: int
    wall_ns: int

    @property
    def total_microjoules(self) -> int:
        return sum(self.microjoules.values())

    def to_record(self) -> list[Any]:
        return [self.phase, self.trial, dict(self.microjoules), self.cpu_ns, self.wall_ns]

    @classmethod
    def from_record(cls, record: Sequence[Any]) -> Self:
        """Inverse of ``to_record``. Raises ``ValueError`` on a record that is not one."""
        phase, trial, microjoules, cpu_ns, wall_ns = record
        if phase not in PHASES:
            raise ValueError(f"a segment's phase is one of {PHASES}, got {phase!r}")
        return cls(phase, trial, microjoules, cpu_ns, wall_ns)


class Gaps(NamedTuple):
    """What the counters did not see: nanoseconds without a reading by component, with the last reason, and nanoseconds
    for which the machine was suspended, in which the monotonic clock stands still."""

    uncovered_ns: Mapping[str, int]
    reasons: Mapping[str, str]
    suspended_ns: int

    def __bool__(self) -> bool:
        return bool(self.uncovered_ns or self.suspended_ns)


def asleep_ns() -> int:
    """How long the machine has been suspended since it was started (Linux; elsewhere nobody knows, and this is 0)."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(boot) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass
class _Open:
    """What has been added up under one label since the last drain."""

    microjoules: dict[str, int] = field(default_factory=dict)
    cpu_ns: int = 0
    wall_ns: int = 0


class PhaseChanges(Protocol):
    """What a worker's trial says of itself."""

    def entered(self) -> Sequence[tuple[Phase, int]]:
        """The phases that it has entered by itself, each with the CPU time at which it began."""

    def searched_ns(self) -> int:
        """CPU time used on search since the trial began, within its training."""


@dataclass
class _Lane:
    """A worker: what it works on, what it had used by the last cut, and where it marks changes of phase."""

    label: Label
    changes: PhaseChanges
    cpu_ns: int = 0
    searched_ns: int = 0


class _Window:
    """``with ledger.window(...)``: a class, since a generator would double what a window costs."""

    __slots__ = ("_label", "_ledger")

    def __init__(self, ledger: "Ledger", label: Label) -> None:
        self._ledger, self._label = ledger, label

    def __enter__(self) -> None:
        self._ledger.enter(self._label)

    def __exit__(self, *error: object) -> None:
        self._ledger.leave()


class Ledger:
    """Cuts the run's energy into segments. One ledger a run, in the run's own process.

    ``components`` of the meters must differ: each is summed by itself and in the total.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        processes: ProcessTree,
        clock: Callable[[], int] = time.monotonic_ns,
        shortest_ns: int = SHORTEST_NS,
        asleep: Callable[[], int] = asleep_ns,
    ) -> None:
        self._meters = {meter.info.component: meter for meter in meters}
        if len(self._meters) != len(meters):
            raise ValueError(f"one meter a component, got {[meter.info.component for meter in meters]}")
        self._processes = processes
        self._clock = clock
        self._shortest_ns = shortest_ns
        self._stack: list[Label] = [Label("idle")]
        self._lanes: dict[int, _Lane] = {}
        self._open: dict[Label, _Open] = {}
        self._total = 0
        self._uncovered_ns: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._asleep, self._slept_ns = asleep, asleep()
        processes.refresh()
        self._readings = {component: meter.microjoules() for component, meter in self._meters.items()}
        self._main_cpu_ns = processes.cpu_ns()
        self._time = clock()

    @property
    def total_microjoules(self) -> int:
        """All energy up to the last cut."""
        return self._total

    def window(self, phase: Phase, trial: int | None = None) -> "_Window":
        """The run's own process works on ``phase`` inside; windows nest, and an exception closes them too."""
        return _Window(self, Label(phase, trial))

    def enter(self, label: Label) -> None:
        """What came just before goes with the window if it was short."""
        if self._clock() - self._time >= self._shortest_ns:
            self.cut()
        self._stack.append(label)

    def leave(self) -> None:
        """Close the innermost window."""
        self.cut()
        self._stack.pop()

    def open_lane(self, pid: int, label: Label, changes: PhaseChanges) -> None:
        """Worker ``pid``, watched from now on, starts under ``label``."""
        self.cut()
        self._processes.watch(pid)
        self._lanes[pid] = _Lane(label, changes)

    def assign(self, pid: int, label: Label) -> None:
        """Worker ``pid``, which has been idle, will work on ``label``: what it uses from now on belongs there."""
        self._lanes[pid].label, self._lanes[pid].searched_ns = label, 0

    def relabel(self, pid: int, label: Label, cpu_ns: int | None = None) -> None:
        """Worker ``pid`` goes over to ``label``; ``cpu_ns`` is its own reading at that moment, where it sent one."""
        if cpu_ns is not None:
            self._processes.report(pid, cpu_ns)
        self.cut(reported=None if cpu_ns is None else pid)
        self._lanes[pid].label = label

    def close_lane(self, pid: int) -> None:
        """Worker ``pid`` was waited for. CPU time that only its end brought to light goes to its last label."""
        self._stack.append(self._lanes.pop(pid).label)
        self._processes.forget(pid)  # before the cut, or its time would be counted twice
        self.cut()
        self._stack.pop()

    def cut(self, reported: int | None = None) -> None:
        """Share what was counted since the last cut among the labels in force.

        reported: the worker whose reading was just taken from itself, so that its clock, which runs on, is not read.
        """
        now = self._clock()
        self._processes.refresh(reported)
        weights, at_trials = self._weights()
        for component, meter in self._meters.items():
            try:
                reading = meter.microjoules()
            except Unavailable as gap:
                self._miss(component, now - self._time, str(gap))
                continue
            amount = reading - self._readings[component]
            self._readings[component] = reading
            if amount > 0:  # a counter that fell back counts as standing still
                self._total += amount
                for open_, share in _split(amount, (at_trials or weights) if component == "gpu" else weights):
                    open_.microjoules[component] = open_.microjoules.get(component, 0) + share
        for open_, share in _split(now - self._time, weights):
            open_.wall_ns += share
        for lane in self._lanes.values():
            if lane.label.trial is not None:
                self._processes.busy_ns += now - self._time
        self._time = now

    def declare(self, label: Label, microjoules: Mapping[str, int], wall_ns: int) -> None:
        """Add energy that somebody declares: the machine used it before this ledger began, and no meter was read."""
        open_ = self._at(label)
        for component, amount in microjoules.items():
            open_.microjoules[component] = open_.microjoules.get(component, 0) + amount
            self._total += amount
        open_.wall_ns += wall_ns

    def drain(self) -> list[Segment]:
        """The segments since the last drain, one a label, up to the last cut."""
        segments = [
            Segment(label.phase, label.trial, dict(open_.microjoules), open_.cpu_ns, open_.wall_ns)
            for label, open_ in self._open.items()
            if open_.wall_ns or any(open_.microjoules.values())
        ]
        self._open.clear()
        return segments

    def drain_gaps(self) -> Gaps:
        """What the counters did not see since the last call."""
        asleep = self._asleep()
        slept = asleep - self._slept_ns
        if slept >= SHORTEST_SLEEP_NS:
            self._slept_ns = asleep
        gaps = Gaps(dict(self._uncovered_ns), dict(self._reasons), slept if slept >= SHORTEST_SLEEP_NS else 0)
        self._uncovered_ns.clear()
        self._reasons.clear()
        return gaps

    def rest_watts(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, float]:
        """Power of each component while this process does nothing for ``seconds``."""
        self.cut()
        before, then, missed = dict(self._readings), self._time, dict(self._uncovered_ns)
        sleep(seconds)
        self.cut()
        nanoseconds = max(1, self._time - then)
        return {
            component: (reading - before[component]) * 1e3 / nanoseconds  # microjoules a nanosecond are kilowatts
            for component, reading in self._readings.items()
            if self._uncovered_ns.get(component) == missed.get(component)
        }

    def _miss(self, component: str, nanoseconds: int, reason: str) -> None:
        self._uncovered_ns[component] = self._uncovered_ns.get(component, 0) + nanoseconds
        self._reasons[component] = reason

    def _at(self, label: Label) -> _Open:
        open_ = self._open.get(label)
        if open_ is None:
            open_ = self._open[label] = _Open()
        return open_

    def _weights(self) -> tuple[list[tuple[_Open, int]], list[tuple[_Open, int]]]:
        """CPU nanoseconds since the last cut by label: of all lanes, and of the workers at a trial alone.

        Where none were used, the trials in hand share alike, else the run's own process has it all.
        """
        if not self._lanes:
            return self._alone(), []
        weights: list[tuple[_Open, int]] = []
        at_trials: list[tuple[_Open, int]] = []
        workers = 0
        for pid, lane in self._lanes.items():
            reading = self._processes.worker_cpu_ns(pid)
            if reading > lane.cpu_ns:
                workers += reading - lane.cpu_ns
                divided = self._divided(lane, reading)
                weights += divided
                if lane.label.trial is not None:
                    at_trials += divided
        total = self._processes.cpu_ns()
        own = total - self._main_cpu_ns - workers
        self._main_cpu_ns = max(total, self._main_cpu_ns)
        if own > 0:
            weights.append((self._at(self._stack[-1]), own))
        for open_, cpu_ns in weights:
            open_.cpu_ns += cpu_ns
        if not at_trials and ("gpu" in self._meters or not weights):
            at_trials = [(self._at(lane.label), 1) for lane in self._lanes.values() if lane.label.trial is not None]
        return weights or at_trials or [(self._at(self._stack[-1]), 1)], at_trials

    def _alone(self) -> list[tuple[_Open, int]]:
        """The weights of a run without workers: all is its own. Apart, since short loops are cut this way."""
        open_, total = self._at(self._stack[-1]), self._processes.cpu_ns()
        open_.cpu_ns += max(0, total - self._main_cpu_ns)
        self._main_cpu_ns = max(total, self._main_cpu_ns)
        return [(open_, 1)]

    def _divided(self, lane: _Lane, reading: int) -> list[tuple[_Open, int]]:
        """What ``lane`` used up to ``reading``, by label: its trial may have changed its phase in between."""
        parts: list[tuple[_Open, int]] = []
        if lane.label.trial is not None:
            for phase, cpu_ns in lane.changes.entered():
                if phase != lane.label.phase and lane.cpu_ns <= cpu_ns <= reading:
                    parts += self._used(lane, cpu_ns)
                    lane.label = Label(phase, lane.label.trial)
        return parts + self._used(lane, reading)

    def _used(self, lane: _Lane, cpu_ns: int) -> list[tuple[_Open, int]]:
        """What ``lane`` used from its last reading up to ``cpu_ns``, which is its last one now; the search of a program
        in its training is apart. What it has not told of yet, since it is in the midst of it, is told by a later cut.
        """
        used, lane.cpu_ns = cpu_ns - lane.cpu_ns, cpu_ns
        if lane.label.phase != "train" or not (searched := lane.changes.searched_ns() - lane.searched_ns):
            return [(self._at(lane.label), used)]
        searched = min(searched, used)
        lane.searched_ns += searched
        return [(self._at(Label("ask", lane.label.trial)), searched), (self._at(lane.label), used - searched)]


def _split(amount: int, weights: Sequence[tuple[_Open, int]]) -> Sequence[tuple[_Open, int]]:
    """Integer shares of ``amount`` in proportion to ``weights``, which sum to it: the last takes the remainder."""
    last, _ = weights[-1]
    if len(weights) == 1:
        return ((last, amount),)
    total = sum([weight for _, weight in weights])  # lists: a generator takes twice as long, and this runs at every cut
    shares = [(open_, amount * weight // total) for open_, weight in weights[:-1]]
    shares.append((last, amount - sum([share for _, share in shares])))
    return shares
