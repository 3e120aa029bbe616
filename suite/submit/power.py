"""Energy and time of a log: segments sum to the total, a machine can have used them, and the clocks bear them out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from suite.submit.order import Add
from suite.submit.rules import (
    MOST_COMPONENT_WATTS,
    OVERLAP_SECONDS,
    SLIP_MICROJOULES,
    SLIP_SECONDS,
    TRIAL_SECONDS_SLACK,
    UNREAD_SHARE,
    WATTS_PER_CORE,
)

_OF_A_TRIAL: Final = frozenset({"train", "validate", "test"})
_OF_NO_TRIAL: Final = frozenset({"setup", "tell", "resume", "idle"})
#: What a record leaves to the next one to charge: the question or the answer that it was written within.
_LEFT_BY: Final[Mapping[str, str]] = {"ask": "ask", "trial": "tell"}
_SHORT_NS: Final = 200_000_000  # too short for its power to be known


@dataclass(frozen=True)
class Means:
    """What the run was metered by: components, the declared watts of an estimate (or None), and cores."""

    components: frozenset[str]
    watts_per_core: float | None
    idle_watts: float
    cores: int
    workers: int


@dataclass
class Use:
    """What a log used: CPU nanoseconds by phase and trial, and the stretches (start, seconds) of its sessions."""

    cpu_ns: dict[tuple[str, int | None], int] = field(default_factory=lambda: defaultdict(int))
    stretches: list[tuple[datetime, float]] = field(default_factory=list)

    def of_phase(self, phase: str) -> int:
        return sum(amount for (each, _), amount in self.cpu_ns.items() if each == phase)


class Power:
    """Follows the energy of a run through its records."""

    def __init__(self, means: Means, add: Add) -> None:
        self._means, self._add = means, add
        self._total = self._wall_ns = 0
        self._of_trial_ns: dict[int, int] = defaultdict(int)
        self._open: set[int] = set()
        self._uncovered_ns: dict[str, int] = defaultdict(int)
        self._setting_up, self._resuming, self._resumed = True, False, False
        self._due: str | None = None  # the phase that the next record must have time of
        self._drift = 0.0  # of an estimate from what clocks and declared watts make of it
        self._use = Use()
        self._start: tuple[datetime, int] | None = None

    def follow(self, records: Sequence[Mapping[str, Any]]) -> Use:
        for line, record in enumerate(records, 1):
            if record["record"] == "session":
                self._begin(record, line)
            self._segments(record, line)
            self._check_due(record, line)
            if record["total"] != self._total:
                self._add("energy", f"all segments so far sum to {self._total} uJ, got total {record['total']}", line)
                self._total = record["total"]  # one finding for one mistake
            for component, nanoseconds in record.get("gaps", {}).get("uncovered_ns", {}).items():
                self._uncovered_ns[component] += nanoseconds
            self._after(record, line)
        self._stop()
        self._check_coverage(len(records))
        return self._use

    def _begin(self, record: Mapping[str, Any], line: int) -> None:
        self._stop()
        start = datetime.fromisoformat(record["started"])
        for began, seconds in self._use.stretches[-1:]:
            if (start - began).total_seconds() < seconds - OVERLAP_SECONDS:
                self._add("time", f"this session began before the one before it, of {seconds:.0f} s, was over", line)
        self._start = (start, self._wall_ns)
        self._resuming = self._resumed = record["resumed"]

    def _stop(self) -> None:
        if self._start:
            start, wall_ns = self._start
            self._use.stretches.append((start, (self._wall_ns - wall_ns) / 1e9))

    def _segments(self, record: Mapping[str, Any], line: int) -> None:
        energy: dict[str, int] = defaultdict(int)
        cpu_ns = wall_ns = 0
        for phase, trial, microjoules, cpu, wall in record["segments"]:
            self._check_place(phase, trial, record["record"], line)
            self._check_estimate(microjoules, cpu, wall, line)
            if wall == 0:
                self._add("time", f"a segment of {phase} took no time; a run writes none such", line)
            for component, amount in microjoules.items():
                energy[component] += amount
            cpu_ns, wall_ns = cpu_ns + cpu, wall_ns + wall
            self._use.cpu_ns[phase, trial] += cpu
            if trial is not None:
                self._of_trial_ns[trial] += wall
        self._total += sum(energy.values())
        self._wall_ns += wall_ns
        self._check_power(energy, cpu_ns, wall_ns, line)

    def _check_due(self, record: Mapping[str, Any], line: int) -> None:
        """With one worker every question and every answer takes time, which the next record has."""
        phases = {segment[0] for segment in record["segments"]}
        if self._due and self._means.workers == 1 and record["record"] != "session" and self._due not in phases:
            self._add(
                "energy", f"the record before leaves time of {self._due} to this one, and no segment has it", line
            )
        self._due = _LEFT_BY.get(record["record"])

    def _check_place(self, phase: str, trial: int | None, kind: str, line: int) -> None:
        if trial is None and phase in _OF_A_TRIAL:
            self._add("energy", f"a segment of {phase} belongs to a trial", line)
        elif trial is not None and (phase in _OF_NO_TRIAL or trial not in self._open):
            self._add("energy", f"a segment of {phase} cannot belong to trial {trial} here", line)
        elif phase == "setup" and not (self._setting_up or kind == "end"):
            self._add(
                "energy", "setup is before the first question and at the end; what comes between is charged", line
            )
        elif phase == "resume" and not (self._resuming or (kind == "end" and self._resumed)):
            self._add("energy", "resume is where a session takes a run up, until it goes on", line)

    def _check_estimate(self, microjoules: Mapping[str, int], cpu_ns: int, wall_ns: int, line: int) -> None:
        if not set(microjoules) <= self._means.components:
            self._add(
                "energy", f"a segment has {sorted(microjoules)}; metered are {sorted(self._means.components)}", line
            )
        watts = self._means.watts_per_core
        if watts is None:
            return
        model = (cpu_ns * watts + wall_ns * self._means.idle_watts) / 1000
        found = microjoules.get("cpu", 0)
        slip = SLIP_MICROJOULES + SLIP_SECONDS * self._means.idle_watts * 1e6
        self._drift += found - model
        if abs(found - model) > slip or abs(self._drift) > slip:
            took = f"{cpu_ns / 1e9:.4g} CPU s and {wall_ns / 1e9:.4g} s"
            self._add("plausibility", f"{took} are {model:.0f} uJ by the declared watts, got {found}", line)
            self._drift = 0.0

    def _check_power(self, energy: Mapping[str, int], cpu_ns: int, wall_ns: int, line: int) -> None:
        cores = self._means.cores
        if cpu_ns > 1.1 * wall_ns * cores + _SHORT_NS:
            self._add("plausibility", f"{cpu_ns / 1e9:.4g} CPU s in {wall_ns / 1e9:.4g} s on {cores} core(s)", line)
        for component, amount in energy.items():
            most = MOST_COMPONENT_WATTS.get(component, WATTS_PER_CORE * cores)
            if amount / 1e6 > most * max(wall_ns, _SHORT_NS) / 1e9:
                watts = amount * 1e3 / max(wall_ns, 1)
                self._add("plausibility", f"{component} at {watts:.4g} W; no more than {most:g} W are believed", line)

    def _after(self, record: Mapping[str, Any], line: int) -> None:
        kind = record["record"]
        if kind in ("ask", "trial"):
            self._setting_up = (
                self._setting_up and self._means.workers > 1
            )  # the others are set up while one is asked for
            self._resuming = False
        if kind == "ask" and record["trial"] is not None:
            self._open.add(record["trial"])
        if kind in ("trial", "lost"):
            wall_ns = self._of_trial_ns.pop(record["trial"], 0)
            if kind == "trial":
                self._open.discard(record["trial"])
                self._check_seconds(record, wall_ns / 1e9, line)

    def _check_seconds(self, record: Mapping[str, Any], wall: float, line: int) -> None:
        """With one worker the segments of a trial fill its time: what is cut out of them shows as a gap."""
        seconds = record["seconds"]
        if self._means.workers == 1 and abs(seconds - wall) > TRIAL_SECONDS_SLACK + 0.1 * seconds:
            self._add("time", f"the trial took {seconds:.4g} s and its segments {wall:.4g} s", line)

    def _check_coverage(self, line: int) -> None:
        for component, nanoseconds in self._uncovered_ns.items():
            if nanoseconds > UNREAD_SHARE * self._wall_ns + _SHORT_NS:
                share = nanoseconds / max(self._wall_ns, 1)
                self._add(
                    "energy", f"{component} was not read for {share:.1%} of the time; at most {UNREAD_SHARE:.0%}", line
                )
