"""How far a board is: from its run plan and the ends of its logs, without reading what is between."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.agenda import CALIBRATION, RUNS, Agenda, Attempt, read_agenda
from suite.runs.board import BOARD_NAME, BoardError, make_one
from suite.runs.claim import holder
from suite.runs.glance import Glance, glance
from suite.runs.log import LOG_NAME, LogError
from suite.runs.merge import APART

State = Literal["ended", "running", "interrupted", "failed", "waiting"]
STATES: Final[tuple[State, ...]] = ("ended", "running", "interrupted", "failed", "waiting")


@dataclass(frozen=True)
class RunStatus:
    """One run. attempts: by the plan; message: why the last one failed."""

    run: str
    state: State
    attempts: int
    microjoules: int
    message: str = ""


@dataclass(frozen=True)
class BoardStatus:
    """All runs of a board, planned ones first and in their order. kwh: of all sessions and calibrations, lost attempts
    included. seconds_left: for what has not ended, by the runs that have; None while nobody knows. holder: which
    process works on it now, if any.
    """

    directory: Path
    runs: Sequence[RunStatus]
    kwh: float
    seconds_left: float | None
    holder: Mapping[str, Any] | None

    def counts(self) -> dict[State, int]:
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}

    @property
    def failed(self) -> list[RunStatus]:
        return [run for run in self.runs if run.state == "failed"]


def board_status(directory: Path) -> BoardStatus:
    """How far the board in ``directory`` is. Raises ``BoardError`` and ``LogError``."""
    try:
        settings: Mapping[str, Any] = json.loads((directory / BOARD_NAME).read_text())["settings"]
    except FileNotFoundError as error:
        raise BoardError(f"{directory} holds no board; {make_one(directory)}") from error
    except (ValueError, KeyError) as error:
        raise BoardError(f"{directory / BOARD_NAME} is not the description of a board") from error
    agenda, who = read_agenda(directory), holder(directory)
    runs = [_status(directory, run, agenda.attempts.get(run, []), who is not None) for run in _runs(directory, agenda)]
    microjoules = sum(run.microjoules for run in runs) + _beside(directory)
    left = _seconds_left(runs, agenda, int(settings.get("jobs", 1)))
    return BoardStatus(directory, runs, microjoules / 1e6 / JOULES_PER_KWH, left, who)


def _runs(directory: Path, agenda: Agenda) -> Iterable[str]:
    """What is planned, then what has a log without that: runs by hand, and those of boards from before there were
    plans."""
    logs = sorted(_logs_below(directory / RUNS))
    return dict.fromkeys([*agenda.entries, *(path.relative_to(directory).as_posix() for path in logs)])


def _logs_below(directory: Path) -> Iterable[Path]:
    return (path.parent for path in directory.rglob(LOG_NAME))


def _status(directory: Path, run: str, attempts: Sequence[Attempt], in_hand: bool) -> RunStatus:
    last = attempts[-1] if attempts else None
    try:
        found = glance(directory / run)
    except LogError as error:
        return RunStatus(run, "failed", len(attempts), 0, str(error))
    state = _state(found, last, in_hand)
    message = last.message if last and state == "failed" else ""
    return RunStatus(run, state, len(attempts), found.microjoules if found else 0, message)


def _state(found: Glance | None, last: Attempt | None, in_hand: bool) -> State:
    if found and found.ended is not None:
        return "ended"
    if last and last.status is None and in_hand:
        return "running"
    if last and last.status:
        return "failed"
    return "interrupted" if found or last else "waiting"


def _beside(directory: Path) -> int:
    """Microjoules of what is no run of the board: its calibrations, and runs that were laid apart in a merge."""
    found = (glance(path) for part in (CALIBRATION, APART) for path in _logs_below(directory / part))
    return sum(each.microjoules for each in found if each)


def _seconds_left(runs: Sequence[RunStatus], agenda: Agenda, jobs: int) -> float | None:
    """What is left takes as long as runs on the same task did, or, for want of these, as all did; some at a time."""
    took: dict[str, list[float]] = {}
    for run, attempts in agenda.attempts.items():
        if run.startswith(RUNS) and attempts[-1].status == 0:
            took.setdefault(_task(run), []).append(sum(attempt.seconds or 0.0 for attempt in attempts))
    left = [run for run in runs if run.state != "ended"]
    every = [seconds for several in took.values() for seconds in several]
    if left and not every:
        return None
    means = {task: sum(several) / len(several) for task, several in took.items()}
    mean = sum(every) / len(every) if every else 0.0
    at_a_time = max(jobs, sum(run.state == "running" for run in left))
    return sum(means.get(_task(run.run), mean) for run in left) / at_a_time


def _task(run: str) -> str:
    return run.rsplit("/", 2)[0]
