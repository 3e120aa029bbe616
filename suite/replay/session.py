"""Replayed runs, each in a process forked from one that has everything loaded.

``python -P -m suite.replay.session`` reads jobs from its standard input, one JSON object a line
(``{"plan": "...", "directory": ..., "search_watts": ...}``), and answers each with a line: exit status, microjoules
charged, microjoules spent, then what went wrong, if anything did. A fork is a fresh process to the strategy: what one
run leaves behind, no other sees.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from suite.catalog import CatalogError, load_strategy, task_card, task_spec
from suite.replay.engine import COMPONENT, RecordedLedger, ReplayEngine
from suite.replay.evidence import Evidence
from suite.replay.recorded import Curves, Fitted, Recorded
from suite.replay.table import Facts, TableError, read_table, table_path
from suite.runs.book import Book
from suite.runs.log import LOG_NAME, SCHEMA, Charge, LogError, LogWriter, read_records
from suite.runs.memory import RunError, Trials
from suite.runs.plan import RunPlan
from suite.runs.runner import Runner
from suite.runs.session import BROKEN, ENDED, UNUSABLE, build, header_of
from suite.task import TaskSpec

STARTED: Final = "1970-01-01T00:00:00+00:00"  # simulated time begins where clocks do
WARMED: Final = ("optuna", "scipy.stats", "sklearn", "pyarrow.parquet")  # what most strategies import


class Loaded(NamedTuple):
    """A task's card, its table ready to answer, where that comes from, and its rows."""

    spec: TaskSpec
    recorded: Recorded
    facts: Facts
    rows: pd.DataFrame


#: ``load_recorded``, or one that remembers what it has read.
Tables = Callable[[str], Loaded]


def load_recorded(task: str) -> Loaded:
    """The table of ``task``. Raises ``TableError``."""
    spec, path = task_spec(task), table_path(task_card(task))
    if not path.exists():
        raise TableError(f"task {task} has no recorded table; record it: carbon-suite record {task} --out DIR")
    rows, facts = read_table(path, spec)
    pool = not Evidence.from_record(facts.evidence).enough
    recorded = Recorded(Curves(rows, spec), spec, Fitted.from_record(facts.fitted), pool=pool)
    return Loaded(spec, recorded, facts, rows)


def run_replay(plan: RunPlan, directory: Path, search_watts: float, tables: Tables) -> tuple[int, int]:
    """Make the run anew unless its log has ended. Returns microjoules charged and spent. Raises ``RunError``, ..."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / LOG_NAME
    records = read_records(path)[0] if path.exists() else []
    if records and records[-1]["record"] == "end":
        return 0, 0
    path.unlink(missing_ok=True)
    spec, recorded, facts, _ = tables(plan.task)
    ledger = RecordedLedger(search_watts)
    with ledger.window("ask"):
        factory = load_strategy(plan.strategy)
    header = header_of(plan, spec, factory, [meter_record(facts, search_watts)], {})
    with closing(LogWriter(path)) as log:
        book = Book(ledger, Charge(), log)
        engine = ReplayEngine(recorded, spec, ledger)
        book.write("run", schema=SCHEMA, **header.to_record())
        book.write("session", started=STARTED, resumed=False, rest_watts={})
        trials = Trials(spec, factory.info, plan.budget.v0, plan.budget.default_microjoules / 1e6)
        with ledger.window("ask"):
            strategy = build(factory, plan, spec, trials)
        runner = Runner(plan, spec, strategy, trials, engine, book, directory)
        runner.open("setup")
        reason = runner.search()
        book.write("end", reason=reason, crosscheck={"reason": "a replay"}, rest_watts={})
    return book.charged(), book.total_microjoules


def meter_record(facts: Facts, search_watts: float) -> dict[str, Any]:
    """The one meter of a replay, for a log's header."""
    machine = f"{facts.machine.get('cpu')}, {facts.machine.get('cores')} cores"
    unseen = "a Gaussian process" if Evidence.from_record(facts.evidence).enough else "the nearest recorded one"
    search = f"CPU time here at {search_watts:g} W" if search_watts else "left out"
    return {
        "component": COMPONENT,
        "meter": "recorded",
        "tier": "replay",
        "source": f"trainings recorded on {machine} ({facts.tier}), unseen ones by {unseen}; the search: {search}",
        "reason": "a replay",
        "factor": max((float(meter["factor"]) for meter in facts.meters), default=1.0),
    }


def serve() -> None:
    """Read jobs until the input ends."""
    warm()
    tables = cache(load_recorded)
    for line in sys.stdin:
        job = json.loads(line)
        plan = RunPlan.from_json(job["plan"])
        message = ""
        try:
            tables(plan.task)
        except (TableError, CatalogError) as error:
            message = str(error)
        answer = f"{UNUSABLE} 0 0 {message}" if message else _forked(plan, job, tables)
        sys.stdout.write(answer.replace("\n", " ") + "\n")
        sys.stdout.flush()


def warm() -> None:
    """Load what most strategies need, so that a fork has it."""
    import importlib

    for module in WARMED:
        importlib.import_module(module)


def _forked(plan: RunPlan, job: dict[str, Any], tables: Tables) -> str:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            answer = _made(plan, job, tables)
        except BaseException as error:  # whatever it is, the parent must hear of it
            answer = f"{BROKEN} 0 0 {type(error).__name__}: {error}"
        os.write(writing, answer.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    return answer or f"{BROKEN} 0 0 the run's process ended by status {status}"


def _made(plan: RunPlan, job: dict[str, Any], tables: Tables) -> str:
    try:
        charged, spent = run_replay(plan, Path(job["directory"]), float(job["search_watts"]), tables)
    except RunError as error:
        return f"{BROKEN} 0 0 {error}"
    except (CatalogError, LogError, OSError) as error:
        return f"{UNUSABLE} 0 0 {error}"
    return f"{ENDED} {charged} {spent}"


if __name__ == "__main__":
    serve()
