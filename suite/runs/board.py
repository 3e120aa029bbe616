"""A board on disk: which runs there are, what they are compared with, and the making of them.

    DIR/board.json                               the settings of all its runs, and each task's reference
    DIR/calibration/PARADIGM/TASK/seed-N/        full trainings of the default, which set the budget
    DIR/runs/PARADIGM/TASK/STRATEGY/seed-N/      one run: log.jsonl, worker.log
    DIR/plan.jsonl                               which runs are to be made, and what came of every attempt at them
    DIR/node.jsonl                               where runs side by side shared the machine's counters: what no run took
    DIR/lock                                     held by the process that works on the board

The settings are fixed by the first command; a later one may add runs, and goes on with those that have not ended.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from suite.catalog import PERSON, load_strategy, task_spec
from suite.energy.cpu_time import IDLE_WATTS_PER_CORE, WATTS_PER_CORE
from suite.energy.meter import Means, Unavailable
from suite.energy.processes import ProcessTree
from suite.energy.selection import AUTO, Selection
from suite.runs.agenda import CALIBRATION, PLAN_NAME, RUNS, Attempts, Entry, add_runs
from suite.runs.claim import LOCK_NAME, Claim
from suite.runs.files import write_whole
from suite.runs.glance import has_ended
from suite.runs.jobs import ENDED, EngineFactory, Job, Listener, Result, run_jobs
from suite.runs.log import LOG_NAME, Budget, LogError, RunLog, logs_below, read_log
from suite.runs.metering import node_of, open_meters, write_node
from suite.runs.plan import ByHand, RunPlan
from suite.runs.processes import LocalRuns
from suite.search.strategy import is_program
from suite.task import TaskSpec

BOARD_NAME = "board.json"
FULL_BUDGET = 40.0  # random trainings; the frozen constants hold for this one (docs/scoring.md)
TIME_LIMIT_FACTOR = 30.0
SHORTEST_TIME_LIMIT_SECONDS = 60.0


class BoardError(ValueError):
    """A board that cannot be made or gone on with; the message says what to do."""


def make_one(directory: Path) -> str:
    """What to do where there is no board."""
    return f"make one with `carbon-suite run --task TASK --strategy NAME --out {directory}`"


@dataclass(frozen=True)
class Settings:
    """What all runs of a board have in common.

    budget: in random trainings. jobs: runs side by side. workers: trials side by side within a run.
    default_trainings: how many full trainings of the default set the budget. variant: of the tasks' data, 0 for what is
    published. meters: by name, or "auto" for the best source of each component that is here when the board is made.
    idle_watts, ram_watts: of the whole machine, shared among the jobs; None leaves the memory to a counter, or out.
    program: a program board, on which each task has its declared space (``suite.runs.program``).
    memory_gib: what the process of a trial may allocate; None for all there is.
    """

    budget: float = FULL_BUDGET
    workers: int = 1
    jobs: int = 1
    device: str = "cpu"
    meters: tuple[str, ...] = (AUTO,)
    watts_per_core: float = WATTS_PER_CORE
    idle_watts: float = field(default_factory=lambda: IDLE_WATTS_PER_CORE * (os.cpu_count() or 1))
    ram_watts: float | None = None
    default_trainings: int = 3
    crosscheck: bool = True
    variant: int = 0
    program: bool = False
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "budget", "workers", "jobs", "default_trainings")
        if self.memory_gib is not None:
            require_positive(self, "memory_gib")
        for name in ("watts_per_core", "idle_watts", "ram_watts"):
            watts = getattr(self, name)
            if watts is not None and not 0 <= watts < math.inf:
                raise BoardError(f"{name} must be at least 0 and finite, got {watts}")

    def select_meters(
        self, names: Sequence[str] = (), reasons: Mapping[str, str] | None = None, means: Means | None = None
    ) -> Selection:
        """The meters that these settings ask for, or those called ``names``, which ``reasons`` tell of.

        Raises ``CatalogError`` and ``BoardError``.
        """
        try:
            return open_meters(names or self.meters, means or self.means(), self.device, reasons)
        except Unavailable as error:
            raise BoardError(str(error)) from error

    def plan(self, sources: Selection, task: str, strategy: str, seed: int, budget: Budget) -> RunPlan:
        """A run with these means, metered by ``sources``."""
        means = self.means()
        return RunPlan(
            task=task,
            strategy=strategy,
            seed=seed,
            budget=budget,
            jobs=self.jobs,
            device=self.device,
            meters=sources.names,
            reasons=sources.reasons,
            watts_per_core=means.watts_per_core,
            idle_watts=means.idle_watts,
            ram_watts=means.ram_watts,
            variant=self.variant,
            memory_gib=self.memory_gib,
        )

    def means(self) -> Means:
        """What a run's meters are built from: its share, where several run side by side."""
        ram_watts = None if self.ram_watts is None else self.ram_watts / self.jobs
        return Means(ProcessTree(), self.watts_per_core, self.idle_watts / self.jobs, ram_watts)


@dataclass(frozen=True)
class Reference:
    """A task's figures on this machine, measured by training its default, that its runs are compared with.

    mix: share of each metered component in the energy of a training.
    """

    version: str
    default_microjoules: int
    default_seconds: float
    trainings: int
    v0: float
    mix: dict[str, float] = field(default_factory=dict)

    @classmethod
    def measure(cls, task: str, logs: Sequence[RunLog]) -> Self:
        """From calibration runs of ``task`` with one training each. Raises ``BoardError`` if one failed."""
        ends = [(log, log.trials[0]) for log in logs if log.trials]
        failed = [end.reason for _, end in ends if end.validation is None]
        if failed or not ends:
            raise BoardError(
                f"task {task}: its default configuration could not be trained: {'; '.join(failed) or 'no trial'}"
            )
        constants = task_spec(task).constants
        values = [end.validation for _, end in ends if end.validation is not None]
        return cls(
            version=logs[0].header.task.version,
            default_microjoules=_mean(end.microjoules for _, end in ends),
            default_seconds=sum(end.seconds for _, end in ends) / len(ends),
            trainings=len(ends),
            v0=constants.v0 if constants else sum(values) / len(values),
            mix=_mix([end.charged for _, end in ends]),
        )

    @property
    def time_limit_seconds(self) -> float:
        return max(SHORTEST_TIME_LIMIT_SECONDS, TIME_LIMIT_FACTOR * self.default_seconds)


def budget_of(settings: Settings, reference: Reference, spec: TaskSpec) -> Budget:
    """The budget of each run on a task whose default took ``reference``."""
    m_t = spec.constants.m_t if spec.constants else 1.0
    return Budget(
        multiple=settings.budget,
        microjoules=round(settings.budget * m_t * reference.default_microjoules),
        trials=None,
        default_microjoules=reference.default_microjoules,
        default_trainings=reference.trainings,
        v0=reference.v0,
    )


class Board:
    """The directory of a board. Opening it fixes the settings, or checks that they are those it was made with.

    claim: that of this process on the directory, taken while runs are planned or made; whoever does several of these
    things holds it throughout. Taking it raises ``BoardBusy`` while another process has it.
    """

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self._references: dict[str, Reference] = {}
        kept = _read(directory)
        self.claim = Claim(directory)
        if kept is None:
            with self.claim:
                kept = _read(directory) or self._begun()  # another process may have begun it just now
        check_settings(directory, kept["settings"], json.loads(json.dumps(asdict(settings))))
        self._references = {name: Reference(**reference) for name, reference in kept["tasks"].items()}
        self.sources = settings.select_meters(kept["sources"]["meters"], kept["sources"]["reasons"])

    @property
    def tier(self) -> str:
        """Whether energy is measured or estimated."""
        return self.sources.tier

    @classmethod
    def reopen(cls, directory: Path) -> Self:
        """The board in ``directory``, with the settings that it was made with. Raises ``BoardError``."""
        kept = _read(directory) if directory.is_dir() else None
        if kept is None:
            raise BoardError(f"{directory} holds no board; {make_one(directory)}")
        try:
            settings = Settings(**{**kept["settings"], "meters": tuple(kept["settings"]["meters"])})
        except (KeyError, TypeError) as error:
            raise BoardError(f"{directory} holds a board that another release made: {error}") from error
        return cls(directory, settings)

    def calibrate(self, tasks: Sequence[str], listener: Listener, engine: EngineFactory | None = None) -> list[Result]:
        """Train each task's default where that has not been done yet. Returns how it went, failures included.

        ``engine`` makes the runs; processes on this machine where it is None.
        """
        missing = [task for task in tasks if task_spec(task).name not in self._references]
        jobs = {
            task: [self._calibration(task, seed) for seed in range(self.settings.default_trainings)] for task in missing
        }
        with self.claim:
            results = self._make([job for several in jobs.values() for job in several], listener, engine)
            if all(result.ok for result in results):
                for task, several in jobs.items():
                    logs = [read_log(job.directory) for job in several]
                    self._references[logs[0].header.task.name] = Reference.measure(task, logs)
                self._save()
        return results

    def plan(self, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> list[Entry]:
        """Write down that each strategy is to be run on each task with each seed. Returns these runs."""
        with self.claim:
            return add_runs(self.directory, tasks, strategies, seeds)

    def make(self, entries: Sequence[Entry], listener: Listener, engine: EngineFactory | None = None) -> list[Result]:
        """Make, or go on with, planned runs whose tasks have been calibrated; by ``engine`` as in ``calibrate``."""
        plans = {task: self._plan(task) for task in dict.fromkeys(entry.task for entry in entries)}
        with self.claim:
            jobs = [job_of(self.directory, plans[entry.task], entry) for entry in entries]
            return self._make(jobs, listener, engine)

    def run(
        self, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int], listener: Listener
    ) -> list[Result]:
        """Plan the runs of each strategy on each task with each seed, and make them or go on with them."""
        with self.claim:
            return self.make(self.plan(tasks, strategies, seeds), listener)

    def _make(self, jobs: Sequence[Job], listener: Listener, engine: EngineFactory | None) -> list[Result]:
        if engine:
            return make_recorded(jobs, engine, self.directory, listener)
        node = node_of(self.sources, self.settings.jobs)
        try:
            return make_recorded(jobs, lambda: LocalRuns(self.settings.jobs, node), self.directory, listener)
        finally:
            write_node(node, self.directory)

    def by_hand(self, task: str, seed: int, hand: ByHand, listener: Listener) -> Result:
        """One session of a person's run: nothing runs beside it, and it is too short for a cross-check."""
        plan = replace(
            self._plan(task),
            strategy=PERSON,
            seed=seed,
            by_hand=hand,
            jobs=1,
            idle_watts=self.settings.idle_watts,
            ram_watts=self.settings.ram_watts,
            crosscheck=False,
        )
        job = Job(f"{task_spec(task).name} {hand.name} {seed}", plan, self.directory_of(task, hand.name, seed))
        with self.claim:
            (result,) = run_jobs([job], LocalRuns(1), listener)
        return result

    def directory_of(self, task: str, strategy: str, seed: int) -> Path:
        """Where the run of ``strategy``, by its own name, on ``task`` is."""
        return self.directory / RUNS / task_spec(task).name / strategy / f"seed-{seed}"

    def budget_of(self, task: str) -> Budget:
        """The budget of each run on ``task``, as measured on this machine and frozen here."""
        spec = task_spec(task)
        reference = self._references[spec.name]
        if reference.version != spec.version:
            raise BoardError(
                f"{self.directory} was started with version {reference.version} of task {task}, "
                f"and version {spec.version} is installed; start a new directory"
            )
        return budget_of(self.settings, reference, spec)

    def _plan(self, task: str) -> RunPlan:
        """A run on ``task``, which says neither strategy nor seed yet."""
        reference = self._references[task_spec(task).name]
        return replace(
            self.settings.plan(self.sources, task, "", 0, self.budget_of(task)),
            workers=self.settings.workers,
            time_limit_seconds=reference.time_limit_seconds * (10 if self.settings.program else 1),
            default_mix=reference.mix,
            crosscheck=self.settings.crosscheck,
            program=self.settings.program,
        )

    def _calibration(self, task: str, seed: int) -> Job:
        plan = self.settings.plan(self.sources, task, "default", seed, training_only(1))
        plan = replace(plan, role="calibration", crosscheck=False)
        name = task_spec(task).name
        return Job(f"{name} calibration {seed}", plan, self.directory / CALIBRATION / name / f"seed-{seed}")

    def _begun(self) -> dict[str, Any]:
        """A new board, with the best meters that are here."""
        self.sources = self.settings.select_meters()
        self._save()
        kept = _read(self.directory)
        assert kept is not None
        return kept

    def _save(self) -> None:
        record = {
            "settings": asdict(self.settings),
            "sources": {"meters": self.sources.names, "reasons": dict(self.sources.reasons)},
            "tasks": {name: asdict(reference) for name, reference in self._references.items()},
        }
        write_whole(self.directory / BOARD_NAME, json.dumps(record, indent=2).encode() + b"\n")


def for_strategies(settings: Settings, strategies: Iterable[str]) -> Settings:
    """``settings`` of a program board where one of ``strategies`` is a program. Raises ``CatalogError``."""
    programs = any(is_program(load_strategy(name).info) for name in strategies)
    return replace(settings, program=settings.program or programs)


def require_positive(settings: Any, *names: str) -> None:
    """Raise ``BoardError`` unless all these settings are greater than 0."""
    for name in names:
        if not getattr(settings, name) > 0:
            raise BoardError(f"{name} must be greater than 0, got {getattr(settings, name)}")


def check_settings(directory: Path, kept: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise ``BoardError`` where the board in ``directory`` was made with other settings than ``ours``."""
    differing = [
        f"{name} is {kept.get(name)!r} there and {value!r} here"
        for name, value in ours.items()
        if kept.get(name) != value
    ]
    if differing:
        raise BoardError(
            f"{directory} holds a board with other settings: {'; '.join(differing)}. "
            "Give the same ones to go on with it, or another directory; boards are not mixed"
        )


def make_runs(
    jobs: Sequence[Job],
    settings: Settings,
    sources: Selection,
    directory: Path,
    listener: Listener,
    until_monotonic: float = math.inf,
) -> list[Result]:
    """Make ``jobs`` on this machine, and write down what no run took where they share its counters."""
    node = node_of(sources, settings.jobs)
    try:
        return run_jobs(jobs, LocalRuns(settings.jobs, node), listener, until_monotonic)
    finally:
        write_node(node, directory)


def make_recorded(jobs: Sequence[Job], engine: EngineFactory, directory: Path, listener: Listener) -> list[Result]:
    """Make those of ``jobs`` that have not ended, every attempt recorded in the plan of the board in ``directory``."""
    results = {job.name: Result(job, ENDED, "") for job in jobs if has_ended(job.directory)}
    for result in results.values():
        listener.ended(result)
    missing = [job for job in jobs if job.name not in results]
    if missing:
        made_by = engine()
        with closing(Attempts(directory, made_by.name, listener)) as attempts:
            results.update((result.job.name, result) for result in run_jobs(missing, made_by, attempts))
    return [results[job.name] for job in jobs if job.name in results]


def job_of(directory: Path, plan: RunPlan, entry: Entry) -> Job:
    """The run ``entry`` of the board in ``directory``. ``plan``: what the runs on its task have in common."""
    _, *names, seed = entry.run.split("/")
    given = replace(plan, strategy=entry.strategy, seed=entry.seed)
    return Job(" ".join(["/".join(names[:-1]), names[-1], seed.removeprefix("seed-")]), given, directory / entry.run)


def training_only(trials: int) -> Budget:
    """A budget of so many trials, without a trial 0: for the trainings that references and constants come from."""
    return Budget(None, None, trials, 0, 0, None)


def find_logs(directories: Iterable[Path]) -> list[Path]:
    """The logs of all ranked runs below ``directories``. Raises ``LogError`` where there are none."""
    found: dict[Path, None] = {}
    for directory in directories:
        root = directory / RUNS if (directory / BOARD_NAME).exists() else directory
        logs = [root] if root.is_file() else logs_below(root)
        if not logs:
            raise LogError(f"{directory}: there is no trial log ({LOG_NAME}) below it; {make_one(directory)}")
        found.update(dict.fromkeys(logs))
    return list(found)


def _read(directory: Path) -> dict[str, Any] | None:
    """What ``board.json`` says, or None where ``directory`` is new or empty."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / BOARD_NAME
    if path.exists():
        try:
            kept: dict[str, Any] = json.loads(path.read_text())
            if {"settings", "sources", "tasks"} <= set(kept):
                return kept
        except json.JSONDecodeError:
            pass
        raise BoardError(f"{path} is not the description of a board; move it away or choose another directory")
    check_new(directory)
    return None


def check_new(directory: Path) -> None:
    """Raise ``BoardError`` where ``directory`` holds more than a board that was killed as it began leaves."""
    if {path.name for path in directory.iterdir()} - {LOCK_NAME, PLAN_NAME, f"{BOARD_NAME}.part"}:
        raise BoardError(f"{directory} is not empty and holds no board; choose a new directory")


def _mix(charges: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """Share of each component in several charges together."""
    sums = {part: sum(charge.get(part, 0) for charge in charges) for charge in charges for part in charge}
    total = sum(sums.values())
    return {part: amount / total for part, amount in sums.items()} if total else {}


def _mean(values: Iterable[int]) -> int:
    several = list(values)
    return round(sum(several) / len(several))
