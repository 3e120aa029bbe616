"""Measures a task's constants by ordinary, metered, resumable runs, and writes the task's card.

DIR/PARADIGM/TASK/default/seed-N/     full trainings of the default: a0, v0, sigma_seed, energy
DIR/PARADIGM/TASK/sobol/seed-0/       the pool: Sobol configurations in full: m_t, kappa_t
DIR/PARADIGM/TASK/tpe/seed-0/         the campaign: a search for the best configuration
DIR/PARADIGM/TASK/retrained/seed-N/   the best of both, trained anew: a1
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from suite.catalog import load_task, task_card
from suite.runs.board import BoardError, Settings, make_runs, training_only
from suite.runs.files import write_whole
from suite.runs.jobs import Job, Listener
from suite.runs.log import RunLog, read_log
from suite.score.constants import measure_constants, winner
from suite.space import Configuration
from suite.task import Constants

POOL: Final = "sobol"
SEARCH: Final = "tpe"


class Campaign:
    """The runs behind one task's constants: ``seeds`` trainings each of the default and of the best configuration,
    ``configurations`` in the pool and ``trials`` in the search for the best."""

    def __init__(self, task: str, out: Path, settings: Settings, seeds: int, configurations: int, trials: int) -> None:
        self._task = task
        self._spec = replace(load_task(task).spec, constants=None)
        self._directory = out / self._spec.name
        self._settings, self._sources = settings, settings.select_meters()
        self._seeds, self._configurations, self._trials = range(seeds), configurations, trials

    @property
    def runs(self) -> int:
        return 2 * len(self._seeds) + 2

    def measure(self, listener: Listener, provisional: bool) -> Path:
        """Make the runs that are missing, and write the card. Returns its path. Raises ``BoardError``."""
        pool, search = self._job(POOL, 0, self._configurations), self._job(SEARCH, 0, self._trials)
        defaults = [self._job("default", seed, 1) for seed in self._seeds]
        pool_log, search_log, *default_logs = self._make([pool, search, *defaults], listener)
        best = winner([pool_log, search_log])
        retrained = self._make([self._job("default", seed, 1, best) for seed in self._seeds], listener)
        return write_card(self._task, measure_constants(default_logs, pool_log, retrained, provisional=provisional))

    def _job(self, strategy: str, seed: int, trials: int, default: Configuration | None = None) -> Job:
        plan = replace(
            self._settings.plan(self._sources, self._task, strategy, seed, training_only(trials)),
            role="calibration",
            variant=0,  # constants are those of the boards' data
            time_limit_seconds=600.0,
            crosscheck=False,
            default=default,
        )
        kind = "retrained" if default else strategy
        return Job(f"{self._spec.name} {kind} {seed}", plan, self._directory / kind / f"seed-{seed}")

    def _make(self, jobs: Sequence[Job], listener: Listener) -> list[RunLog]:
        results = make_runs(jobs, self._settings, self._sources, self._directory, listener)
        failed = [f"{result.job.name}: {result.message}" for result in results if not result.ok]
        if failed:
            raise BoardError("the constants could not be measured: " + "; ".join(failed))
        return [read_log(job.directory) for job in jobs]


def write_card(task: str, constants: Constants | None = None) -> Path:
    """Write what the module of ``task`` says, and ``constants`` (None: those that it has), to its card."""
    spec = load_task(task).spec
    path = task_card(task)
    record = replace(spec, constants=constants or spec.constants).to_record()
    write_whole(path, f"{json.dumps(record, indent=2)}\n".encode())
    return path
