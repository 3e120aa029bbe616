"""Records a task: trains many configurations with a value at every step, by ordinary, metered, resumable runs.

It goes in rounds, each of which takes further points of the Sobol sequence, then new ones near the best so far, then
repeats a part of its own under other seeds, so that noise is known: half of them its best. A recording of more rounds
goes on with one of fewer. The default and the best of all have ``anchors`` seeds.

    DIR/PARADIGM/TASK/default/seed-S/           one run each
                      round-R/sobol-N/, near-N/  runs of CHUNK trainings under seed 0
                      round-R/seed-S-N/          the repeated ones
                      best-DIGEST/seed-S/        the best once all rounds are there
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from suite.catalog import load_task, task_card
from suite.replay.croissant import croissant
from suite.replay.evidence import evidence
from suite.replay.recorded import Curves, Fitted
from suite.replay.table import Facts, failures, frame, table_path, write_table
from suite.runs.board import BoardError, Settings, make_runs, training_only
from suite.runs.glance import has_ended
from suite.runs.jobs import Job, Listener
from suite.runs.log import LOG_NAME, RunLog, TrialEnd, read_log
from suite.search.baselines import Sobol
from suite.search.cube import Cube
from suite.search.strategy import Problem, Proposal
from suite.space import Configuration, canonical
from suite.task import TaskSpec

CHUNK: Final = 32
NEAR_SD: Final = 0.15  # of the unit cube, by hyper-parameter
NEAR_CHANGED: Final = 0.4  # share of the hyper-parameters that move
TRIES: Final = 100  # for each new configuration that is wanted
BEST_SHARE: Final = 0.1  # of the configurations so far, that others are placed near to


@dataclass(frozen=True)
class Amounts:
    """How much is recorded. sobol, near: configurations of a round, of the Sobol sequence and placed near the best.

    repeated: of a round's configurations, how many are trained under ``seeds`` seeds. anchors: seeds of the default and
    of the best.
    """

    rounds: int = 4
    sobol: int = 96
    near: int = 32
    repeated: int = 16
    seeds: int = 3
    anchors: int = 20

    @property
    def parts(self) -> int:
        """Runs that this takes."""
        repeats = (self.seeds - 1) * _count_chunks(self.repeated)
        return (
            self.anchors
            + self.rounds * (_count_chunks(self.sobol) + _count_chunks(self.near) + repeats)
            + len(self.seeds_of_best)
        )

    @property
    def seeds_of_best(self) -> range:
        """Those that the best has not had yet, which is the best of its round."""
        return range(self.seeds if self.repeated > 1 else 1, self.anchors)


class Recording:
    """The runs behind a task's table."""

    def __init__(self, task: str, out: Path, settings: Settings, amounts: Amounts) -> None:
        self._task = task
        self._spec = replace(load_task(task).spec, constants=None)
        self._directory = out / self._spec.name
        self._settings, self._sources = settings, settings.select_meters()
        self._amounts = amounts
        self._origins: dict[str, str] = {}
        self._whole_logs: dict[Path, RunLog] = {}

    @property
    def parts(self) -> int:
        return self._amounts.parts

    def make(self, listener: Listener, until_monotonic: float) -> bool:
        """Make the runs that are missing, none of them begun after ``until_monotonic``. Returns whether all are there.

        Raises ``BoardError`` where a run broke.
        """
        return all(self._run(jobs, listener, until_monotonic) for jobs in self._stages())

    def write(self) -> Path:
        """Write the table of what has been recorded so far, and its description, beside the task's card. Raises
        ``BoardError``."""
        logs = self._logs()
        if not any(trial.curve for log in logs for trial in log.trials):
            raise BoardError(f"{self._directory}: nothing has been recorded yet; give it more minutes")
        for jobs in self._stages():
            if not all(has_ended(job.directory) for job in jobs):
                break
        path = table_path(task_card(self._task))
        rows = frame(logs, self._origins, self._idle_watts)
        curves = Curves(rows, self._spec)
        fitted, found = Fitted.to(curves, self._spec), evidence(curves, self._spec)
        facts = Facts.of(logs[0].header, failures(logs), fitted.to_record(), found.to_record())
        write_table(rows, facts, path)
        described = json.dumps(croissant(self._spec, facts, path), indent=2)
        path.with_suffix(".croissant.json").write_text(f"{described}\n")
        return path

    @property
    def _idle_watts(self) -> float:
        """Declared watts of the machine at rest that each run was charged, where all is estimated on a CPU: who records
        beside other work waits for a core, and what the machine took meanwhile is not the training's."""
        alone = self._settings.device == "cpu" and self._sources.names == ("cpu-time",)
        return self._settings.idle_watts / self._settings.jobs if alone else 0.0

    def _stages(self) -> Iterator[list[Job]]:
        """The jobs, stage by stage: each is chosen by what the ones before have found."""
        default, amounts = self._spec.default, self._amounts
        self._origins = {canonical(default): "default"}
        yield [self._job(f"default/seed-{seed}", seed, [default]) for seed in range(amounts.anchors)]
        sequence = sobol(self._spec, amounts.rounds * amounts.sobol)
        known = [default]
        for number in range(amounts.rounds):
            of_round = sequence[number * amounts.sobol : (number + 1) * amounts.sobol]
            fresh = [each for each in of_round if canonical(each) not in self._origins]
            yield self._first_seed(f"round-{number}/sobol", "sobol", fresh)
            known += fresh
            parents = self._ranked(known)[: max(8, round(BEST_SHARE * len(known)))]
            added = near(self._spec, parents, known, amounts.near, np.random.default_rng(number))
            yield self._first_seed(f"round-{number}/near", "near", added)
            known += added
            again = _part(self._ranked(fresh + added), amounts.repeated)
            yield [
                self._job(f"round-{number}/seed-{seed}-{part}", seed, chunk)
                for seed in range(1, amounts.seeds)
                for part, chunk in enumerate(_chunks(again))
            ]
        best = self._ranked(known)[0]
        if canonical(best) != canonical(default):
            folder = f"best-{hashlib.sha256(canonical(best).encode()).hexdigest()[:8]}"
            yield [self._job(f"{folder}/seed-{seed}", seed, [best]) for seed in amounts.seeds_of_best]

    def _first_seed(self, folder: str, origin: str, configurations: Sequence[Configuration]) -> list[Job]:
        self._origins.update((canonical(each), origin) for each in configurations)
        return [self._job(f"{folder}-{part}", 0, chunk) for part, chunk in enumerate(_chunks(configurations))]

    def _job(self, folder: str, seed: int, configurations: Sequence[Configuration]) -> Job:
        plan = replace(
            self._settings.plan(self._sources, self._task, "", seed, training_only(len(configurations))),
            role="recording",
            variant=0,  # tables are of the boards' data
            time_limit_seconds=600.0,
            crosscheck=False,
            configurations=tuple(configurations),
        )
        return Job(f"{self._spec.name} {folder}", plan, self._directory / folder)

    def _run(self, jobs: Sequence[Job], listener: Listener, until_monotonic: float) -> bool:
        missing = [job for job in jobs if not has_ended(job.directory)]
        results = make_runs(missing, self._settings, self._sources, self._directory, listener, until_monotonic)
        failed = [f"{result.job.name}: {result.message}" for result in results if not result.ok]
        if failed:
            raise BoardError("the task could not be recorded: " + "; ".join(failed))
        return len(results) == len(missing)

    def _logs(self) -> list[RunLog]:
        logs = [self._log(path) for path in sorted(self._directory.rglob(LOG_NAME))]
        return sorted(logs, key=lambda log: log.header.seed)

    def _log(self, path: Path) -> RunLog:
        """Read once, when it has ended: every stage looks at all of them."""
        if path in self._whole_logs:
            return self._whole_logs[path]
        log = read_log(path)
        if log.ended is not None:
            self._whole_logs[path] = log
        return log

    def _ranked(self, configurations: Sequence[Configuration]) -> list[Configuration]:
        """Those of the ``configurations`` that came to a value under seed 0, the best by validation first."""
        spelt = {canonical(each) for each in configurations}
        trials = [trial for log in self._logs() if log.header.seed == 0 for trial in log.trials]
        found = [trial.proposal.configuration for trial in ranked(self._spec, trials)]
        return [each for each in found if canonical(each) in spelt]


def sobol(spec: TaskSpec, count: int) -> list[Configuration]:
    """The first ``count`` configurations of the scrambled Sobol sequence of seed 0, each once, without the default.

    Fewer than ``count`` where the space has hardly any more.
    """
    problem = Problem(spec.space, spec.default, spec.fidelity, spec.validation.goal, 0, float("inf"))
    strategy = Sobol(problem)
    found: dict[str, Configuration] = {}
    for _ in range(TRIES * count):
        if len(found) == count:
            break
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
    """New configurations, each a parent with some of its coordinates moved, or drawn anew if it is a choice.

    Fewer than ``count`` where the space has hardly any more.
    """
    taken = {canonical(each) for each in known}
    found: dict[str, Configuration] = {}
    cube = Cube(spec.space)
    for attempt in range(TRIES * count):
        if len(found) == count:
            break
        point = cube.point(parents[attempt % len(parents)])
        moved = np.clip(point + rng.normal(0.0, NEAR_SD, len(point)), 0.0, 1.0)
        chosen = rng.random(len(point)) < NEAR_CHANGED
        configuration = cube.configuration(np.where(chosen, moved, point))
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


def _count_chunks(count: int) -> int:
    return -(-count // CHUNK)


def _chunks(configurations: Sequence[Configuration]) -> list[Sequence[Configuration]]:
    return [configurations[start : start + CHUNK] for start in range(0, len(configurations), CHUNK)]
