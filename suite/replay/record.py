"""Records a task: trains many configurations with a value at every step, by ordinary, metered, resumable runs.

    DIR/PARADIGM/TASK/seed-S/N/      one run of CHUNK trainings under seed S; the chunks of seed 0 are, in this order:
                                     the default and Sobol configurations, then those near the best so far

Seed 0 has every configuration. Seeds 1, 2, ... repeat a part of them, so that noise is known: the best, an even sample
of the rest, and first of all the default and the best, which have ``anchors`` seeds.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from suite.catalog import load_task, task_card
from suite.replay.recorded import Curves, Fitted
from suite.replay.table import Facts, failures, frame, table_path, write_table
from suite.runs.board import BoardError, Settings, make_runs, training_only
from suite.runs.log import LOG_NAME, RunLog, TrialEnd, read_log
from suite.runs.processes import Job, Listener
from suite.search.baselines import Sobol
from suite.search.cube import from_unit_cube, to_unit_cube
from suite.search.strategy import Problem, Proposal
from suite.space import Configuration, canonical
from suite.task import TaskSpec

CHUNK: Final = 32
NEAR_SD: Final = 0.15  # of the unit cube, by hyper-parameter
NEAR_CHANGED: Final = 0.4  # share of the hyper-parameters that move
BEST_SHARE: Final = 0.1  # of the configurations so far, that others are placed near to


@dataclass(frozen=True)
class Amounts:
    """How much is recorded. sobol: configurations beside the default. near: placed near the best, in two generations.

    repeated: configurations that are trained under ``seeds`` seeds. anchors: seeds of the default and of the best.
    """

    sobol: int = 384
    near: int = 128
    repeated: int = 64
    seeds: int = 3
    anchors: int = 20

    @property
    def parts(self) -> int:
        """Runs of ``CHUNK`` trainings at most that this takes."""
        halves = (self.near // 2, self.near - self.near // 2)
        first = sum(-(-count // CHUNK) for count in (1 + self.sobol, *halves))
        return first + (self.seeds - 1) * -(-(2 + self.repeated) // CHUNK) + max(0, self.anchors - self.seeds)


class Recording:
    """The runs behind a task's table."""

    def __init__(self, task: str, out: Path, settings: Settings, amounts: Amounts) -> None:
        self._task = task
        self._spec = replace(load_task(task).spec, constants=None)
        self._directory = out / self._spec.name
        self._settings, self._sources = settings, settings.select_meters()
        self._amounts = amounts
        self._origins: dict[str, str] = {}

    @property
    def parts(self) -> int:
        return self._amounts.parts

    def make(self, listener: Listener, until_monotonic: float) -> bool:
        """Make the runs that are missing, none of them begun after ``until_monotonic``. Returns whether all are there.

        Raises ``BoardError`` where a run broke.
        """
        return all(self._run(jobs, listener, until_monotonic) for jobs in self._stages())

    def write(self) -> Path:
        """Write the table of what has been recorded so far beside the task's card. Raises ``BoardError``."""
        logs = self._logs()
        if not any(trial.curve for log in logs for trial in log.trials):
            raise BoardError(f"{self._directory}: nothing has been recorded yet; give it more minutes")
        for jobs in self._stages():
            if not all(_ended(job) for job in jobs):
                break
        path = table_path(task_card(self._task))
        rows = frame(logs, self._origins)
        fitted = Fitted.to(Curves(rows, self._spec), self._spec)
        write_table(rows, Facts.of(logs[0].header, failures(logs), fitted.to_record()), path)
        return path

    def _stages(self) -> Iterator[list[Job]]:
        """The jobs, stage by stage: each is chosen by what the ones before have found."""
        amounts, rng = self._amounts, np.random.default_rng(0)
        parts = 0
        known = [self._spec.default, *sobol(self._spec, amounts.sobol)]
        jobs = self._first_seed(known, 0, ["default"] + ["sobol"] * amounts.sobol)
        yield jobs
        for count in (amounts.near // 2, amounts.near - amounts.near // 2):
            parents = [trial.proposal.configuration for trial in ranked(self._spec, self._trials(0))]
            fresh = near(self._spec, parents[: max(8, round(BEST_SHARE * len(known)))], known, count, rng)
            parts += len(jobs)
            jobs = self._first_seed(fresh, parts, ["near"] * len(fresh))
            yield jobs
            known += fresh
        order = [trial.proposal.configuration for trial in ranked(self._spec, self._trials(0))]
        again = [self._spec.default, order[0], *_part(order, amounts.repeated)]
        again = list({canonical(each): each for each in again}.values())
        yield [
            self._job(seed, number, chunk)
            for seed in range(1, amounts.anchors)
            for number, chunk in enumerate(_chunks(again if seed < amounts.seeds else again[:2]))
        ]

    def _first_seed(self, configurations: Sequence[Configuration], first: int, origins: Sequence[str]) -> list[Job]:
        """Parts of seed 0, numbered from ``first`` on."""
        self._origins.update(zip(map(canonical, configurations), origins, strict=True))
        return [self._job(0, first + number, chunk) for number, chunk in enumerate(_chunks(configurations))]

    def _job(self, seed: int, number: int, configurations: Sequence[Configuration]) -> Job:
        plan = replace(
            self._settings.plan(self._sources, self._task, "", seed, training_only(len(configurations))),
            role="recording",
            variant=0,  # tables are of the boards' data
            time_limit_seconds=600.0,
            crosscheck=False,
            configurations=tuple(configurations),
        )
        directory = self._directory / f"seed-{seed}" / f"{number}"
        return Job(f"{self._spec.name} seed {seed} part {number}", plan, directory)

    def _run(self, jobs: Sequence[Job], listener: Listener, until_monotonic: float) -> bool:
        missing = [job for job in jobs if not _ended(job)]
        results = make_runs(missing, self._settings, self._sources, self._directory, listener, until_monotonic)
        failed = [f"{result.job.name}: {result.message}" for result in results if not result.ok]
        if failed:
            raise BoardError("the task could not be recorded: " + "; ".join(failed))
        return len(results) == len(missing)

    def _logs(self) -> list[RunLog]:
        paths = sorted(self._directory.glob(f"seed-*/*/{LOG_NAME}"), key=_seed_and_number)
        return [read_log(path) for path in paths]

    def _trials(self, seed: int) -> list[TrialEnd]:
        return [trial for log in self._logs() if log.header.seed == seed for trial in log.trials]


def sobol(spec: TaskSpec, count: int) -> list[Configuration]:
    """The first ``count`` configurations of the scrambled Sobol sequence of seed 0, each once."""
    problem = Problem(spec.space, spec.default, spec.fidelity, spec.validation.goal, 0, float("inf"))
    strategy = Sobol(problem)
    found: dict[str, Configuration] = {}
    while len(found) < count:
        proposal = strategy.ask()
        assert isinstance(proposal, Proposal)
        if (spelt := canonical(proposal.configuration)) != canonical(spec.default):
            found.setdefault(spelt, proposal.configuration)
    return list(found.values())


def ranked(spec: TaskSpec, trials: Sequence[TrialEnd]) -> list[TrialEnd]:
    """Trials that came to a value, the best by validation first."""
    sign = 1 if spec.validation.goal == "minimize" else -1
    done = [trial for trial in trials if trial.validation is not None]
    return sorted(done, key=lambda trial: sign * (trial.validation or 0.0))


def near(
    spec: TaskSpec,
    parents: Sequence[Configuration],
    known: Sequence[Configuration],
    count: int,
    rng: np.random.Generator,
) -> list[Configuration]:
    """New configurations, each a parent with some of its coordinates moved, or drawn anew if it is a choice."""
    taken = {canonical(each) for each in known}
    found: dict[str, Configuration] = {}
    while len(found) < count:
        point = to_unit_cube(spec.space, parents[len(found) % len(parents)])
        moved = np.clip(point + rng.normal(0.0, NEAR_SD, len(point)), 0.0, 1.0)
        chosen = rng.random(len(point)) < NEAR_CHANGED
        configuration = from_unit_cube(spec.space, np.where(chosen, moved, point))
        spelt = canonical(configuration)
        if spelt not in taken and spelt not in found:
            found[spelt] = configuration
    return list(found.values())


def deadline(minutes: float | None) -> float:
    """The second of the monotonic clock so many minutes from now; never, for None."""
    return float("inf") if minutes is None else time.monotonic() + 60 * minutes


def _part(order: Sequence[Configuration], count: int) -> list[Configuration]:
    """Half of them the best, half spread evenly over the rest."""
    best, rest = list(order[: count // 2]), order[count // 2 :]
    places = np.linspace(0, len(rest) - 1, min(len(rest), count - len(best)))
    return best + [rest[int(place)] for place in places]


def _chunks(configurations: Sequence[Configuration]) -> list[Sequence[Configuration]]:
    return [configurations[start : start + CHUNK] for start in range(0, len(configurations), CHUNK)]


def _ended(job: Job) -> bool:
    path = job.directory / LOG_NAME
    return path.exists() and read_log(path).ended is not None


def _seed_and_number(path: Path) -> tuple[int, int]:
    return int(path.parent.parent.name.removeprefix("seed-")), int(path.parent.name)
