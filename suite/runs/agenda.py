"""The run plan of a board on disk: what is to run, and what came of every attempt at it.

    DIR/plan.jsonl     append-only lines with a checksum each, like a trial log

    plan       the first line: the schema
    planned    a run: its directory, and the names of task and strategy, with which it can be started again
    attempt    an engine was given the run
    outcome    how that attempt ended: exit status, what was said of it, seconds

Whether a run has ended, and what it took, its own log knows: that is not said twice. An attempt without an outcome is
in hand, or was cut short with the process that made it.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from suite.catalog import load_strategy, task_spec
from suite.runs.jobs import Job, Listener, Result
from suite.runs.lines import LogError, LogWriter, decode, read_lines

PLAN_NAME: Final = "plan.jsonl"
SCHEMA: Final = 1
RUNS: Final = "runs"
CALIBRATION: Final = "calibration"


class Entry(NamedTuple):
    """A planned run. task, strategy: by name in the catalogue, or ``file.py:OBJECT``. run: its directory, below that of
    the board."""

    run: str
    task: str
    strategy: str
    seed: int


@dataclass(frozen=True)
class Attempt:
    """status, seconds: None until it has ended."""

    engine: str
    started: str
    status: int | None = None
    message: str = ""
    seconds: float | None = None


@dataclass
class Agenda:
    """What ``plan.jsonl`` says: planned runs by directory, in the order in which they are made, and all attempts."""

    entries: dict[str, Entry] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)

    def take_in(self, record: Mapping[str, Any]) -> None:
        match record["record"]:
            case "planned":
                entry = Entry(record["run"], record["task"], record["strategy"], record["seed"])
                self.entries.setdefault(entry.run, entry)
            case "attempt":
                several = self.attempts.setdefault(record["run"], [])
                several.append(Attempt(record["engine"], record["started"]))
            case "outcome":
                several = self.attempts[record["run"]]
                how = {name: record[name] for name in ("status", "message", "seconds")}
                several[-1] = replace(several[-1], **how)


def read_agenda(directory: Path) -> Agenda:
    """What is planned in ``directory``; nothing where there is no plan. Raises ``LogError``."""
    agenda = Agenda()
    for record in plan_records(directory):
        try:
            agenda.take_in(record)
        except (KeyError, IndexError) as error:
            raise LogError(f"{directory / PLAN_NAME}: a record lacks what its kind needs: {error!r}") from error
    return agenda


def plan_records(directory: Path) -> list[dict[str, Any]]:
    """The records of the plan in ``directory`` but the first. Raises ``LogError``."""
    path = directory / PLAN_NAME
    lines = read_lines(path)[0] if path.exists() else []
    records = [decode(path, number, line, "a run plan") for number, line in enumerate(lines, 1)]
    if records and (records[0].get("record"), records[0].get("schema")) != ("plan", SCHEMA):
        raise LogError(f"{path}:1: a run plan starts with a plan record of schema {SCHEMA}; another release wrote it")
    return records[1:]


def add_runs(directory: Path, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> list[Entry]:
    """Plan the runs of each strategy on each task with each seed, those that are new. Returns them all.

    Strategies are interleaved, so that a slow hour of the machine falls on all of them. To be called by who has the
    claim on the board. Raises ``CatalogError`` and ``LogError``.
    """
    folders = {task: task_spec(task).name for task in tasks}
    names = {strategy: load_strategy(strategy).info.name for strategy in strategies}
    wanted = [
        Entry(f"{RUNS}/{folders[task]}/{names[strategy]}/seed-{seed}", task, strategy, seed)
        for seed in seeds
        for task in tasks
        for strategy in strategies
    ]
    known = read_agenda(directory).entries
    with closing(open_plan(directory)) as plan:
        plan.extend({"record": "planned", **entry._asdict()} for entry in wanted if entry.run not in known)
    return wanted


def open_plan(directory: Path) -> LogWriter:
    """The plan in ``directory`` to append to, a torn last line cut off. To be called by who has the claim on it."""
    path = directory / PLAN_NAME
    torn = read_lines(path)[1] if path.exists() else 0
    keep_bytes = path.stat().st_size - torn if path.exists() else 0
    plan = LogWriter(path, keep_bytes)
    if not keep_bytes:
        plan.append({"record": "plan", "schema": SCHEMA}, sync=True)
    return plan


class Attempts:
    """A listener that writes attempts and their outcomes into the plan of ``directory``, and passes all on."""

    def __init__(self, directory: Path, engine: str, listener: Listener) -> None:
        self._directory, self._engine, self._listener = directory, engine, listener
        self._plan = open_plan(directory)
        self._began: dict[str, float] = {}

    def close(self) -> None:
        self._plan.close()

    def started(self, job: Job) -> None:
        self._began[job.name] = time.monotonic()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._write("attempt", job, engine=self._engine, started=started)
        self._listener.started(job)

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None:
        self._listener.advanced(job, charged_microjoules, spent_microjoules)

    def ended(self, result: Result) -> None:
        seconds = round(time.monotonic() - self._began.pop(result.job.name), 3)
        self._write("outcome", result.job, status=result.status, message=result.message, seconds=seconds)
        self._listener.ended(result)

    def _write(self, kind: str, job: Job, **fields: Any) -> None:
        run = job.directory.relative_to(self._directory).as_posix()
        self._plan.append({"record": kind, "run": run, **fields})
