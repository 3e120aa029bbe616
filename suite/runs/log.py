"""The trial log: append-only JSON lines, whole at every moment, enough to re-score a run without running anything.

Each line is one record and ends in a checksum of itself. A line that a kill tore off is no record: it is left out, with
a note, and cut off before the run goes on. Any other line that does not check makes the log corrupt. Every record
carries the ledger's segments since the one before it, so that all segments of a log sum to its total.

    run        the header: task, strategy, seed, budget, meters, machine
    session    a process took the run up; the first, or one that resumed it
    ask        a proposal, written before it is trained; or that the strategy had none
    trial      the end of a trial: status, values, and why it failed
    lost       the attempt at a trial that a kill cut short; its energy is listed apart
    heartbeat  the ledger so far
    end        why the run stopped, and codecarbon's total beside ours
"""

import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from suite.energy.ledger import CHARGED, Segment
from suite.search.strategy import Proposal, Signal, Status
from suite.task import TaskSpec

SCHEMA = 1
LOG_NAME = "log.jsonl"

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


class LogError(ValueError):
    """A log that cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Budget:
    """What ends a run, and what a trial is compared with. Energies in microjoules, of this machine.

    multiple: the budget in random trainings, ``microjoules = multiple x m_t x default_microjoules``; None where only a
    number of trials limits the run. default_microjoules: mean of one full training of the default, over
    ``default_trainings``. setup_microjoules: what ``setup`` costs a strategy that needs nothing beyond the task; only
    what exceeds it is charged. v0: the validation value of trial 0, None in a calibration, which has no trial 0.
    """

    multiple: float | None
    microjoules: int | None
    trials: int | None
    default_microjoules: int
    default_trainings: int
    v0: float | None


@dataclass(frozen=True)
class RunHeader:
    """What a run is. ``role`` is "ranked", or "calibration" for the trainings that the constants come from."""

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
    meters: tuple[Mapping[str, str], ...]
    machine: Mapping[str, Any]

    def to_record(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **fields,
            "task": self.task.to_record(),
            "budget": asdict(self.budget),
            "meters": [dict(meter) for meter in self.meters],
            "machine": dict(self.machine),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        fields = {name: record[name] for name in cls.__dataclass_fields__}
        return cls(
            **{
                **fields,
                "task": TaskSpec.from_record(record["task"]),
                "budget": Budget(**record["budget"]),
                "meters": tuple(record["meters"]),
            }
        )

    @property
    def tier(self) -> str:
        """The weakest tier among the run's meters: "measured" only if all are."""
        tiers = {meter["tier"] for meter in self.meters}
        return tiers.pop() if len(tiers) == 1 else "estimated"


@dataclass(frozen=True)
class TrialEnd:
    """A trial as it ended. ``validation`` and ``test`` are None where it came to no value; ``reason`` says why.

    charged_microjoules: all that the run was charged up to this end.
    microjoules: what this trial was charged. returned: it was answered from an earlier trial, without training.
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


@dataclass(frozen=True)
class RunLog:
    """A log as read: trials in the order of their ends, and every segment. ``ended`` is None while the run may go on.

    recorded_total_microjoules: the ledger's own total, which the segments must sum to.
    lost_microjoules: of attempts that a kill cut short. torn: bytes of an unfinished last
    line that were left out.
    crosscheck: codecarbon's figures for the whole run, or why there are none.
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

    @property
    def total_microjoules(self) -> int:
        return sum(segment.total_microjoules for segment in self.segments)

    @property
    def charged_microjoules(self) -> int:
        charge = Charge()
        charge.add(self.segments)
        return charge.microjoules - self.lost_microjoules

    def microjoules_by_phase(self) -> dict[str, int]:
        """Energy by phase, lost attempts within the phase that they were in."""
        phases: dict[str, int] = {}
        for segment in self.segments:
            phases[segment.phase] = phases.get(segment.phase, 0) + segment.total_microjoules
        return phases


class Charge:
    """Adds up what a run is charged."""

    def __init__(self) -> None:
        self.microjoules = 0
        self._trials: dict[int, int] = {}

    def add(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            if segment.phase not in CHARGED:
                continue
            self.microjoules += segment.total_microjoules
            if segment.trial is not None:
                self._trials[segment.trial] = self.of_trial(segment.trial) + segment.total_microjoules

    def of_trial(self, number: int) -> int:
        return self._trials.get(number, 0)

    def lose(self, number: int) -> int:
        """Take back what trial ``number`` was charged so far. Returns it."""
        lost = self._trials.pop(number, 0)
        self.microjoules -= lost
        return lost


class LogWriter:
    """Appends records to a log. Every record is handed to the operating system at once, so that a killed process loses
    none; ``sync`` also waits for the disk, so that a power cut loses none either."""

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        """Opens ``path`` to append, and cuts a torn last line off: ``keep_bytes`` is the length of what is whole."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if keep_bytes is not None:
            os.ftruncate(self._file, keep_bytes)

    def append(self, record: Mapping[str, Any], sync: bool = False) -> None:
        line = encode(record)
        written = os.write(self._file, line)
        while written < len(line):  # a nearly full disk takes part of a line; the next write raises
            written += os.write(self._file, line[written:])
        if sync:
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def encode(record: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def read_records(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of the log at ``path`` and the number of bytes of an unfinished last line. Raises ``LogError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    *lines, rest = content.split(b"\n")
    records = [_decode(path, number, line) for number, line in enumerate(lines, 1)]
    if records and (records[0].get("record"), records[0].get("schema")) != ("run", SCHEMA):
        raise LogError(
            f"{path}:1: a trial log starts with a run record of schema {SCHEMA}, got record "
            f"{records[0].get('record')!r} of schema {records[0].get('schema')!r}; it was written by another release"
        )
    return records, len(rest)


def _decode(path: Path, number: int, line: bytes) -> dict[str, Any]:
    found = _CHECKSUM.search(line)
    body = line[: found.start()] + b"}" if found else line
    if not found or int(found[1], 16) != zlib.crc32(body):
        raise LogError(
            f"{path}:{number}: this line is not a record of a trial log, or was changed after it was written "
            "(its checksum does not match); restore the file or move it away"
        )
    record: dict[str, Any] = orjson.loads(body)
    return record


def read_log(path: Path) -> RunLog:
    """Read the log at ``path`` (the file, or the run directory that holds it). Raises ``LogError``."""
    path = path / LOG_NAME if path.is_dir() else path
    records, torn = read_records(path)
    if not records:
        raise LogError(f"{path}: this log holds no whole record; remove it, and the run starts anew")
    try:
        return _assemble(path, records, torn)
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(f"{path}: a record lacks what its kind needs: {error!r}") from error


def proposal_to_record(answer: Proposal | Signal) -> dict[str, Any]:
    if isinstance(answer, Signal):
        return {"signal": answer.value}
    return {"configuration": dict(answer.configuration), "fidelity": answer.fidelity, "parent": answer.parent}


def proposal_from_record(record: Mapping[str, Any]) -> Proposal | Signal:
    if "signal" in record:
        return Signal(record["signal"])
    return Proposal(record["configuration"], record["fidelity"], record["parent"])


def segments_of(record: Mapping[str, Any]) -> list[Segment]:
    return [Segment.from_record(row) for row in record.get("segments", [])]


def _assemble(path: Path, records: Sequence[Mapping[str, Any]], torn: int) -> RunLog:
    header = RunHeader.from_record(records[0])
    charge = Charge()
    segments: list[Segment] = []
    trials: list[TrialEnd] = []
    asked: dict[int, Proposal] = {}
    ended, lost, crosscheck = None, 0, {}
    for record in records:
        new = segments_of(record)
        segments += new
        charge.add(new)
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
            case "end":
                ended, crosscheck = record["reason"], record["crosscheck"]
    total = records[-1]["total"]
    return RunLog(path, header, tuple(trials), tuple(segments), ended, total, lost, torn, crosscheck)


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
    )
