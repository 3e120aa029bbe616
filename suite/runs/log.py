"""The trial log: append-only JSON lines, whole at every moment, enough to re-score a run without running anything.

Each line is one record and ends in a checksum of itself. A line that a kill tore off is no record: it is left out, with
a note, and cut off before the run goes on. Any other line that does not check makes the log corrupt. Every record
carries the ledger's segments since the one before it, so that all segments of a log sum to its total.

    run        the header: task, strategy, seed, budget, meters, machine
    session    a process took the run up, the first or one that resumed it; when, and the machine's power at rest
    ask        a proposal, written before it is trained; or that the strategy had none
    told       what a person wants tried, and what the thinking about it is charged
    trial      the end of a trial: status, values, and why it failed
    lost       the attempt at a trial that a kill cut short; its energy is listed apart
    heartbeat  the ledger so far
    end        why the run stopped, the power at rest again, and codecarbon's total beside ours

A record whose segments no counter saw in full says so in ``gaps``.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from suite.energy.ledger import CHARGED, Segment
from suite.energy.meter import MODEL_FACTOR
from suite.energy.uncertainty import Energy, Worth, coverage, energy
from suite.runs.hours import Hours
from suite.runs.lines import PACKED, decode, read_lines
from suite.runs.lines import LogError as LogError  # here, too, for those that read logs and no lines
from suite.runs.lines import packed as packed
from suite.runs.lines import read_content as read_content
from suite.search.strategy import Proposal, Signal, Status
from suite.task import TaskSpec

SCHEMA = 1
LOG_NAME = "log.jsonl"
PACKED_NAME = LOG_NAME + PACKED  # of a copy that no run goes on from, such as a site's
_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True)
class Budget:
    """What ends a run, and what a trial is compared with. Energies in microjoules, of this machine.

    multiple: the budget in random trainings, ``microjoules = multiple x m_t x default_microjoules``; None where only a
    number of trials limits the run. default_microjoules: mean of one full training of the default, over
    ``default_trainings``. v0: the validation value of trial 0, None in a calibration, which has no trial 0.
    """

    multiple: float | None
    microjoules: int | None
    trials: int | None
    default_microjoules: int
    default_trainings: int
    v0: float | None


@dataclass(frozen=True)
class RunHeader:
    """What a run is. ``role`` is "ranked", or "calibration" for the trainings that budgets and constants come from, or
    "recording" for those of a table.

    meters: each with component, name, tier, source, reason, factor and tick_seconds (``suite.energy.meter``).
    unmetered: components that nothing meters, and why. default_mix: share of each component in the energy of a full
    training of the default, which the budget was measured by. program: it belongs to a program board, and ``task`` has
    the space that is declared there. memory_gib: what the process of a trial may allocate, None for all there is.
    """

    role: str
    suite: str
    task: TaskSpec
    strategy: Mapping[str, Any]
    seed: int
    budget: Budget
    variant: int
    workers: int
    jobs: int
    device: str
    time_limit_seconds: float
    meters: tuple[Mapping[str, Any], ...]
    machine: Mapping[str, Any]
    unmetered: Mapping[str, str] = field(default_factory=dict)
    default_mix: Mapping[str, float] = field(default_factory=dict)
    program: bool = False
    memory_gib: float | None = None

    def to_record(self) -> dict[str, Any]:
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "task": self.task.to_record(),
            "budget": asdict(self.budget),
            "meters": [dict(meter) for meter in self.meters],
            "machine": dict(self.machine),
            "unmetered": dict(self.unmetered),
            "default_mix": dict(self.default_mix),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **{each.name: record[each.name] for each in fields(cls) if each.name in record or _is_needed(each)},
                "task": TaskSpec.from_record(record["task"]),
                "budget": Budget(**record["budget"]),
                "meters": tuple(record["meters"]),
            }
        )

    @property
    def tier(self) -> str:
        """The weakest tier among the run's meters: "measured" only if all are."""
        tiers = {str(meter["tier"]) for meter in self.meters}
        return tiers.pop() if len(tiers) == 1 else "estimated"


class TrialEnd(NamedTuple):
    """A trial as it ended; a tuple, since a log may have millions.

    validation, test: None where it came to no value; ``reason`` says why.

    charged_microjoules: all that the run was charged up to this end; charged: the same by component.
    microjoules: what this trial was charged. returned: it was answered from an earlier trial, without training.
    curve, lost_cpu_ns: of a recorded trial alone, see ``suite.runs.trial.Outcome``.
    """

    number: int
    attempt: int
    proposal: Proposal
    status: Status
    validation: float | None
    test: float | None
    reason: str
    seconds: float
    microjoules: int
    charged_microjoules: int
    returned: bool
    charged: Mapping[str, int] = _NOTHING
    curve: Sequence[Sequence[float]] | None = None
    lost_cpu_ns: int = 0


@dataclass(frozen=True)
class RunLog:
    """A log as read: trials in the order of their ends, and every segment. ``ended`` is None while the run may go on.

    recorded_total_microjoules: the ledger's own total, which the segments must sum to.
    lost_microjoules: of attempts that a kill cut short. torn: bytes of an unfinished last
    line that were left out.
    crosscheck: codecarbon's figures for the whole run, or why there are none.
    gaps: by component, nanoseconds without a reading, and suspended_ns, those for which the machine slept.
    rest_watts: power of the machine at rest, by component, mean of before and after; empty where it was not measured.
    hours: energy by the hour, counted from the epoch in UTC, for intensities that change with it.
    told: all proposals of a person, in order: trials 1, 2, ..., ended or not. thinking_seconds: as the person declares;
    thinking_microjoules: what they are charged.
    """

    path: Path
    header: RunHeader
    trials: tuple[TrialEnd, ...]
    segments: tuple[Segment, ...]
    ended: str | None
    recorded_total_microjoules: int
    lost_microjoules: int
    torn: int
    crosscheck: Mapping[str, Any]
    gaps: Mapping[str, int] = field(default_factory=dict)
    suspended_ns: int = 0
    rest_watts: Mapping[str, float] = field(default_factory=dict)
    hours: Mapping[int, int] = field(default_factory=dict)
    told: tuple[Proposal, ...] = ()
    thinking_seconds: float = 0.0
    thinking_microjoules: int = 0

    @cached_property
    def total_microjoules(self) -> int:
        return sum(self._microjoules.values())

    @cached_property
    def elapsed_ns(self) -> int:
        return sum(segment.wall_ns for segment in self.segments)

    def coverage(self) -> dict[str, float]:
        """Share of the time in which each component was read."""
        return {str(meter["component"]): self._worth(meter).coverage for meter in self.header.meters}

    def energy(self) -> dict[str, Energy]:
        """All energy by component, with its interval."""
        return _with_intervals(self._microjoules, self._worths(), self.elapsed_ns, 1)

    def energy_of(self, segment: Segment) -> dict[str, Energy]:
        """The energy of ``segment`` by component, with its interval: it is one stretch of time."""
        return _with_intervals(segment.microjoules, self._worths(), segment.wall_ns, 1, self._mean_watts())

    def net_microjoules(self) -> int | None:
        """All energy less the power at rest; None where that was not measured."""
        if not self.rest_watts:
            return None
        rest = {component: round(watts * self.elapsed_ns / 1e3) for component, watts in self.rest_watts.items()}
        return sum(max(0, amount - rest.get(component, 0)) for component, amount in self._microjoules.items())

    @cached_property
    def _microjoules(self) -> dict[str, int]:
        by_component: dict[str, int] = {}
        for amounts in self._by_phase.values():
            _add(by_component, amounts)
        return by_component

    @cached_property
    def _by_phase(self) -> dict[str, dict[str, int]]:
        """Energy by phase and component: all sums come from this, since a log may have millions of segments."""
        phases: dict[str, dict[str, int]] = {}
        for phase, _, microjoules, _, _ in self.segments:
            sums = phases.get(phase)
            if sums is None:
                sums = phases[phase] = {}
            for component, amount in microjoules.items():
                sums[component] = sums.get(component, 0) + amount
        return phases

    def _mean_watts(self) -> dict[str, float]:
        return {component: _watts(amount, self.elapsed_ns) for component, amount in self._microjoules.items()}

    def _worths(self) -> dict[str, Worth]:
        return {str(meter["component"]): self._worth(meter) for meter in self.header.meters}

    def _worth(self, meter: Mapping[str, Any]) -> Worth:
        return Worth(
            factor=float(meter.get("factor", MODEL_FACTOR)),
            tick_seconds=float(meter.get("tick_seconds", 0.0)),
            coverage=coverage(self.gaps, self.elapsed_ns, str(meter["component"])),
        )

    @cached_property
    def charged_microjoules(self) -> int:
        charged = (amount for phase, amount in self.microjoules_by_phase().items() if phase in CHARGED)
        return sum(charged) - self.lost_microjoules

    def microjoules_by_phase(self) -> dict[str, int]:
        """Energy by phase, lost attempts within the phase that they were in."""
        return {phase: sum(amounts.values()) for phase, amounts in self._by_phase.items()}


class Charge:
    """Adds up what a run is charged, in all, by component and by trial."""

    def __init__(self) -> None:
        self.microjoules = 0
        self.by_component: dict[str, int] = {}
        self._trials: dict[int, dict[str, int]] = {}

    def add(self, segments: Iterable[Segment]) -> None:
        by_component = self.by_component
        for phase, trial, microjoules, _, _ in segments:  # in one loop: a log may have millions of segments
            if phase not in CHARGED:
                continue
            of_trial = None if trial is None else self._trials.setdefault(trial, {})
            for component, amount in microjoules.items():
                self.microjoules += amount
                by_component[component] = by_component.get(component, 0) + amount
                if of_trial is not None:
                    of_trial[component] = of_trial.get(component, 0) + amount

    def of_trial(self, number: int) -> int:
        return sum(self._trials.get(number, {}).values())

    def lose(self, number: int) -> int:
        """Take back what trial ``number`` was charged so far. Returns it."""
        lost = self._trials.pop(number, {})
        _add(self.by_component, lost, sign=-1)
        self.microjoules -= sum(lost.values())
        return sum(lost.values())


def read_records(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of the log at ``path`` and the number of bytes of an unfinished last line. Raises ``LogError``."""
    lines, torn = read_lines(path)
    return list(_decoded(path, lines)), torn


def _decoded(path: Path, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The records in ``lines``, one at a time: those of a long log take gigabytes together."""
    for number, line in enumerate(lines, 1):
        record = decode(path, number, line)
        if number == 1 and (record.get("record"), record.get("schema")) != ("run", SCHEMA):
            raise LogError(
                f"{path}:1: a trial log starts with a run record of schema {SCHEMA}, got record "
                f"{record.get('record')!r} of schema {record.get('schema')!r}; it was written by another release"
            )
        yield record


def log_file(path: Path) -> Path:
    """The log at ``path``: the file, or the run directory that holds it, packed only where it is not there unpacked."""
    if not path.is_dir():
        return path
    return next((path / name for name in (LOG_NAME, PACKED_NAME) if (path / name).exists()), path / LOG_NAME)


def logs_below(directory: Path) -> list[Path]:
    """All logs below ``directory``, in order, each run's once."""
    found = [path for name in (LOG_NAME, PACKED_NAME) for path in directory.rglob(name)]
    return sorted({log_file(path.parent) for path in found})


def read_log(path: Path) -> RunLog:
    """Read the log at ``path`` (the file, or the run directory that holds it). Raises ``LogError``."""
    path = log_file(path)
    lines, torn = read_lines(path)
    if not lines:
        raise LogError(f"{path}: this log holds no whole record; remove it, and the run starts anew")
    try:
        with _uncollected():
            return _assemble(path, _decoded(path, lines), torn)
    except LogError:  # itself a ValueError, and says more
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(f"{path}: a record lacks what its kind needs: {error!r}") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through all of a long log again and again: nothing is circular in
    it, and looking takes nearly as long as reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def proposal_to_record(answer: Proposal | Signal) -> dict[str, Any]:
    if isinstance(answer, Signal):
        return {"signal": answer.value}
    return {"configuration": dict(answer.configuration), "fidelity": answer.fidelity, "parent": answer.parent}


def proposal_from_record(record: Mapping[str, Any]) -> Proposal | Signal:
    if "signal" in record:
        return Signal(record["signal"])
    return Proposal(record["configuration"], record["fidelity"], record["parent"])


def told_in(records: Sequence[Mapping[str, Any]]) -> list[Proposal]:
    """What a person has told, in order."""
    answers = [proposal_from_record(each) for record in records for each in record.get("answers", ())]
    return [answer for answer in answers if isinstance(answer, Proposal)]


def segments_of(record: Mapping[str, Any]) -> list[Segment]:
    return list(map(Segment.from_record, record.get("segments", ())))


def _assemble(path: Path, records: Iterator[Mapping[str, Any]], torn: int) -> RunLog:
    first = next(records)
    header = RunHeader.from_record(first)
    charge, hours = Charge(), Hours()
    segments: list[Segment] = []
    trials: list[TrialEnd] = []
    asked: dict[int, Proposal] = {}
    rests: list[Mapping[str, float]] = []
    gaps: dict[str, int] = {}
    ended, lost, suspended, crosscheck = None, 0, 0, {}
    told: list[Mapping[str, Any]] = []
    for record in chain([first], records):
        new = segments_of(record)
        segments += new
        charge.add(new)
        if "gaps" in record:
            _add(gaps, record["gaps"]["uncovered_ns"])
            suspended += record["gaps"]["suspended_ns"]
        if record.get("rest_watts"):
            rests.append(record["rest_watts"])
        match record["record"]:
            case "ask":
                answer = proposal_from_record(record["answer"])
                if isinstance(answer, Proposal):
                    asked[record["trial"]] = answer
            case "trial":
                trials.append(_trial_end(record, asked[record["trial"]], charge))
            case "lost":
                lost += charge.lose(record["trial"])
            case "session":
                ended = None
                hours.start(record["started"])
            case "end":
                ended, crosscheck = record["reason"], record["crosscheck"]
            case "told":
                told.append(record)
        hours.add(new, suspended)
    return RunLog(
        path=path,
        header=header,
        trials=tuple(trials),
        segments=tuple(segments),
        ended=ended,
        recorded_total_microjoules=record["total"],
        lost_microjoules=lost,
        torn=torn,
        crosscheck=crosscheck,
        gaps=gaps,
        suspended_ns=suspended,
        rest_watts=_mean(rests),
        hours=hours.microjoules,
        told=tuple(told_in(told)),
        thinking_seconds=sum(record["thinking"]["seconds"] for record in told),
        thinking_microjoules=sum(record["thinking"]["microjoules"] for record in told),
    )


def _add(sums: dict[str, int], amounts: Mapping[str, int], sign: int = 1) -> None:
    for key, amount in amounts.items():
        sums[key] = sums.get(key, 0) + sign * amount


def _mean(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    components = dict.fromkeys(component for each in several for component in each)
    return {
        component: sum(values) / len(values)
        for component in components
        if (values := [each[component] for each in several if component in each])
    }


def _with_intervals(
    amounts: Mapping[str, int],
    worths: Mapping[str, Worth],
    elapsed_ns: int,
    stretches: int,
    mean_watts: Mapping[str, float] | None = None,
) -> dict[str, Energy]:
    """``mean_watts``: of the whole run, for what is so short that its own power is not known."""
    return {
        component: energy(
            amounts.get(component, 0),
            worth,
            max(_watts(amounts.get(component, 0), elapsed_ns), (mean_watts or {}).get(component, 0.0)),
            stretches,
        )
        for component, worth in worths.items()
    }


def _watts(microjoules: int, nanoseconds: int) -> float:
    return microjoules * 1e3 / nanoseconds if nanoseconds else 0.0


def _is_needed(each: Any) -> bool:
    """Whether a field has no default: a header that lacks it is none."""
    return each.default is MISSING and each.default_factory is MISSING


def _trial_end(record: Mapping[str, Any], proposal: Proposal, charge: Charge) -> TrialEnd:
    return TrialEnd(
        number=record["trial"],
        attempt=record["attempt"],
        proposal=proposal,
        status=record["status"],
        validation=record["validation"],
        test=record["test"],
        reason=record["reason"],
        seconds=record["seconds"],
        microjoules=charge.of_trial(record["trial"]),
        charged_microjoules=charge.microjoules,
        returned=record["returned"],
        charged=dict(charge.by_component),
        curve=record.get("curve"),
        lost_cpu_ns=record.get("lost_cpu_ns", 0),
    )
