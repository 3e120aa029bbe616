"""One session of a run, in a process of its own: open or re-open the log, meter, search, close.

Started by the board as ``python -P -m suite.runs.session PLAN DIRECTORY PARENT``. Exit status: 0 the run has ended,
1 the strategy or the task broke its contract, 2 the plan, the log or the task's data cannot be used, 75 another process
works on this run, 143 stopped by a signal, to be continued.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from suite import __version__
from suite.catalog import CatalogError, load_strategy, load_task, task_spec
from suite.energy.crosscheck import CrossCheck
from suite.energy.ledger import Label, Ledger, Phase
from suite.energy.meter import Means, Unavailable
from suite.energy.processes import ProcessTree, become_subreaper, die_with_parent
from suite.runs.book import Book
from suite.runs.engine import LocalEngine
from suite.runs.log import (
    LOG_NAME,
    SCHEMA,
    Charge,
    LogError,
    LogWriter,
    RunHeader,
    proposal_to_record,
    read_records,
    segments_of,
    told_in,
)
from suite.runs.machine import machine_facts, package_version
from suite.runs.memory import RunError, TaskUnavailable, Trials
from suite.runs.metering import open_meters
from suite.runs.plan import ByHand, RunPlan, problem_of
from suite.runs.program import Evaluations, as_asked, declared_spec, program_refusal
from suite.runs.runner import Runner, keeps_checkpoints
from suite.search.listed import Listed
from suite.search.person import Person
from suite.search.strategy import Problem, Program, Proposal, Strategy, StrategyInfo, is_program, refusal
from suite.task import TaskSpec

MEASURED_REST_SECONDS = 2.0  # twenty ticks of a GPU's counter
DECLARED_REST_SECONDS = 0.02

ENDED, BROKEN, UNUSABLE, BUSY, STOPPED = 0, 1, 2, 75, 143

#: What a log's header and a plan must agree on; the rest (jobs, declared idle power) may change between sessions.
_FIXED = ("role", "task", "strategy", "seed", "variant", "budget", "workers", "device", "meters")
_FIXED_OF_A_METER = ("component", "meter", "tier", "source")


class Busy(RuntimeError):
    """Another process works on this run."""


class Stopped(BaseException):
    """A signal asked the run to stop; it can be continued."""


def run_session(plan: RunPlan, directory: Path) -> None:
    """Start the run in ``directory``, or go on with it; return once it has ended, or a person is to be asked again.

    Raises ``LogError`` where the log there is another run's or damaged, ``Busy``, ``RunError``, ``TaskUnavailable``,
    ``CatalogError``, ``Unavailable`` and ``OSError``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / LOG_NAME
    with _locked(directory):
        records, torn = read_records(path) if path.exists() else ([], 0)
        if records and records[-1]["record"] == "end":
            return
        posed, processes = load_task(plan.task) if plan.program else None, ProcessTree()
        spec = declared_spec(posed) if posed else task_spec(plan.task)
        if plan.role != "ranked":  # which the constants are measured from
            spec = replace(spec, constants=None)
        means = Means(processes, plan.watts_per_core, plan.idle_watts, plan.ram_watts)
        selection = open_meters(plan.meters, means, plan.device, plan.reasons, plan.share)
        ledger = Ledger(selection.meters, processes)
        with ledger.window("resume" if records else "ask"):  # what the strategy's own imports take is its own
            strategy = Listed if plan.configurations else load_strategy(plan.strategy)
        if reason := program_refusal(strategy.info, posed):
            raise RunError(reason)
        header = header_of(plan, spec, strategy, selection.records(), selection.unmetered)
        _check_same(path, header, records)
        keep_bytes = path.stat().st_size - torn if records else 0
        with closing(LogWriter(path, keep_bytes)) as log:
            _search(plan, header, strategy, Session(records), ledger, log, directory)


class Session:
    """What earlier sessions left in the log."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.records = records
        self.resumed = bool(records)

    def charge(self) -> Charge:
        charge = Charge()
        for record in self.records:
            charge.add(segments_of(record))
            if record["record"] == "lost":
                charge.lose(record["trial"])
        return charge

    def answers(self, hand: ByHand) -> list[Proposal]:
        """What a person has told so far, in order, this session's answers included."""
        return [*told_in(self.records), *hand.answers]

    @property
    def total_microjoules(self) -> int:
        return next((record["total"] for record in reversed(self.records) if "total" in record), 0)


def _search(
    plan: RunPlan,
    header: RunHeader,
    factory: type[Strategy] | type[Program],
    past: Session,
    ledger: Ledger,
    log: LogWriter,
    directory: Path,
) -> None:
    book = Book(ledger, past.charge(), log, past.total_microjoules, _report)
    spec, info = as_asked(header.task, factory.info)
    program = plan if plan.program else None
    engine = LocalEngine(
        plan.task, plan.device, directory / "worker.log", keeps_checkpoints(info), plan.variant, program
    )
    crosscheck = CrossCheck(plan.crosscheck)
    try:
        if not past.resumed:
            book.write("run", schema=SCHEMA, **header.to_record())
        thought = timedelta(seconds=plan.by_hand.thinking_seconds if plan.by_hand else 0.0)
        started = (datetime.now(UTC) - thought).isoformat(timespec="seconds")
        setup: Phase = "resume" if past.resumed else "setup"
        rest_watts = _rest_watts(plan, header, ledger, setup)
        book.write("session", sync=True, started=started, resumed=past.resumed, rest_watts=rest_watts)
        if plan.by_hand and plan.by_hand.answers:
            _take_down(plan.by_hand, watts_while_thinking(plan, header, rest_watts), book)
        trials = Trials(spec, info, plan.budget.v0, plan.budget.default_microjoules / 1e6)
        with ledger.window("resume" if past.resumed else "ask"):
            strategy = build(factory, plan, header.task, trials, past)
        runner = Runner(plan, spec, strategy, trials, engine, book, directory)
        with ledger.window(setup):
            crosscheck.start()
            runner.open(setup)
        if past.resumed:
            runner.resume(past.records)
        reason = runner.search()
        with ledger.window(setup):
            runner.close(setup)
            figures = crosscheck.stop(ledger.total_microjoules)
        if plan.by_hand and reason == "exhausted":  # until tomorrow
            book.write("heartbeat", sync=True)
            return
        rest_watts = _rest_watts(plan, header, ledger, setup)
        book.write("end", sync=True, reason=reason, crosscheck=figures, rest_watts=rest_watts)
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    except (RunError, TaskUnavailable, Stopped):
        book.write("heartbeat", sync=True)
        raise
    finally:
        book.report()
        engine.close()


def _take_down(hand: ByHand, watts: Mapping[str, float], book: Book) -> None:
    """Log what a person told, and charge the thinking in the same record: no kill parts them, or charges it twice."""
    microjoules = {component: round(hand.thinking_seconds * each * 1e6) for component, each in watts.items()}
    book.ledger.declare(Label("ask"), microjoules, round(hand.thinking_seconds * 1e9))
    thinking = {"seconds": hand.thinking_seconds, "watts": watts, "microjoules": sum(microjoules.values())}
    book.write("told", sync=True, answers=[proposal_to_record(each) for each in hand.answers], thinking=thinking)


def watts_while_thinking(plan: RunPlan, header: RunHeader, rest_watts: Mapping[str, float]) -> dict[str, float]:
    """Power at rest of each component that is metered: as just measured, or as declared where it is estimated."""
    declared = {"cpu": plan.idle_watts, "ram": plan.ram_watts or 0.0}
    components = {meter["component"]: meter["tier"] == "measured" for meter in header.meters}
    known = {name: rest_watts.get(name) if measured else None for name, measured in components.items()}
    return {name: declared.get(name, 0.0) if watts is None else watts for name, watts in known.items()}


def _rest_watts(plan: RunPlan, header: RunHeader, ledger: Ledger, phase: Phase) -> dict[str, float]:
    """Power of the machine while the run does nothing; of no use where other runs are at work beside it."""
    if plan.jobs > 1:
        return {}
    measured = any(meter["tier"] == "measured" for meter in header.meters)
    with ledger.window(phase):
        return ledger.rest_watts(MEASURED_REST_SECONDS if measured else DECLARED_REST_SECONDS)


def build(
    factory: type[Strategy] | type[Program], plan: RunPlan, spec: TaskSpec, trials: Trials, past: Session | None = None
) -> Strategy:
    """The strategy, told of trial 0. Raises ``RunError``."""
    problem, info = problem_of(plan, spec), factory.info
    if reason := refusal(info, problem):
        raise RunError(reason)
    try:
        strategy = _made(factory, plan, problem, past or Session([]))
        zero = trials.trial_zero()
        if zero is not None:
            strategy.tell(zero)
    except ImportError as error:
        raise RunError(f"strategy {factory.info.name} cannot be set up: {error}{_way_out(factory.info)}") from error
    except Exception as error:
        raise RunError(f"strategy {info.name} broke at its start: {type(error).__name__}: {error}") from error
    return strategy


def _made(factory: type[Strategy] | type[Program], plan: RunPlan, problem: Problem, past: Session) -> Strategy:
    if plan.by_hand:
        return Person(problem, past.answers(plan.by_hand))
    if plan.configurations:
        return Listed(problem, [Proposal(each, problem.fidelity.maximum) for each in plan.configurations])
    strategy = Evaluations(factory.info) if is_program(factory.info) else factory(problem)
    assert isinstance(strategy, Strategy)
    return strategy


def _way_out(info: StrategyInfo) -> str:
    return f"; it needs the extra: pip install 'carbon-suite[{info.extra}]'" if info.extra else ""


def header_of(
    plan: RunPlan,
    spec: TaskSpec,
    strategy: type[Strategy] | type[Program],
    meters: Sequence[Mapping[str, Any]],
    unmetered: Mapping[str, str],
) -> RunHeader:
    """What a run's log begins with. Raises ``RunError`` where no run of it can be made."""
    info = strategy.info
    return RunHeader(
        role=plan.role,
        suite=__version__,
        task=spec,
        strategy={
            "name": plan.by_hand.name if plan.by_hand else info.name,
            "family": info.family,
            "version": info.version,
            "library": info.library,
            "library_version": package_version(info.library) if info.library else None,
            "capabilities": sorted(info.capabilities),
            "file_sha256": _file_digest(plan.strategy),
            "default": dict(plan.default) if plan.default else None,
        },
        seed=plan.seed,
        budget=plan.budget,
        variant=plan.variant,
        workers=plan.workers,
        jobs=plan.jobs,
        device=plan.device,
        time_limit_seconds=plan.time_limit_seconds,
        meters=tuple(meters),
        machine=machine_facts(),
        unmetered=unmetered,
        default_mix=plan.default_mix,
        program=plan.program,
    )


def _file_digest(name: str) -> str | None:
    """Digest of the file behind ``file.py:OBJECT``: a run is not continued with other code. None for installed ones."""
    file = Path(name.rpartition(":")[0])
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.suffix == ".py" else None


def _check_same(path: Path, header: RunHeader, records: Sequence[Mapping[str, Any]]) -> None:
    """Raise ``LogError`` unless the log at ``path`` is of this very run."""
    if not records:
        return
    ours, theirs = _fixed(_through_json(header.to_record())), _fixed(records[0])
    differing = [name for name in _FIXED if ours[name] != theirs[name]]
    if differing:
        raise LogError(
            f"{path}: holds another run: it differs in {', '.join(differing)}. It is left as it is; "
            "choose another directory, or give the settings and versions that it was started with"
        )


def _fixed(record: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run this run and no other."""
    meters = [{key: meter.get(key) for key in _FIXED_OF_A_METER} for meter in record.get("meters", ())]
    return {**{name: record.get(name) for name in _FIXED}, "meters": meters}


def _through_json(value: Any) -> Any:
    """``value`` as it reads back from a log."""
    return json.loads(json.dumps(value))


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the run's lock, which the system releases however this process ends."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{directory}: another process works on this run") from None
        yield


def _report(charged_microjoules: int, spent_microjoules: int) -> None:
    """A line for whoever started this process: how far the run is, and what this session took."""
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{charged_microjoules} {spent_microjoules}\n")  # one write, hence whole lines
        sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def main(plan: str, directory: str, parent: str) -> int:
    die_with_parent(int(parent))
    become_subreaper()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        run_session(RunPlan.from_json(plan), Path(directory))
    except Stopped:
        return STOPPED
    except RunError as error:
        print(error, file=sys.stderr)
        return BROKEN
    except Busy as error:
        print(error, file=sys.stderr)
        return BUSY
    except (CatalogError, LogError, TaskUnavailable, Unavailable) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"{directory}: {error.strerror or error}", file=sys.stderr)
        return UNUSABLE
    return ENDED


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(status) if status == STOPPED else sys.exit(status)
