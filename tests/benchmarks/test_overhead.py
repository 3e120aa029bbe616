"""CPU time of the harness for each trial of a random search that does nothing, beside Optuna's.

CPU time of all processes counts, the worker's included.

    tox -e bench -- tests/benchmarks/test_overhead.py
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from suite.catalog import task_spec
from suite.energy.cpu_time import CpuTime
from suite.energy.ledger import Ledger
from suite.energy.meter import Means
from suite.energy.processes import ProcessTree, process_clock_ns
from suite.runs.book import Book
from suite.runs.engine import LocalEngine
from suite.runs.lines import LogWriter
from suite.runs.log import Charge
from suite.runs.memory import Trials
from suite.runs.plan import RunPlan
from suite.runs.runner import Runner
from suite.search.baselines import Random
from suite.search.strategy import Problem
from tests.benchmarks.paired import Peer, beside, cpu_seconds
from tests.conftest import HERE, budget

TASK = f"{HERE / 'benchmarks' / 'nothing.py'}:TASK"
TRIALS, ROUNDS = 100, 20  # trials in a round


class Harness:
    """A run in hand, whose trials are made one by one."""

    def __init__(self, directory: Path) -> None:
        spec, tree = task_spec(TASK), ProcessTree()
        plan = RunPlan(TASK, "random", 0, budget(trials=10**9, v0=None))
        ledger = Ledger([CpuTime(Means(tree, 10.0, 1.0))], tree)
        book = Book(ledger, Charge(), LogWriter(directory / "log.jsonl"), report=lambda charged, total: None)
        strategy = Random(Problem(spec.space, spec.default, spec.fidelity, "minimize", 0, float("inf")))
        self.engine = LocalEngine(TASK, "cpu", directory / "worker.log")
        self.trials = Trials(spec, Random.info, None, 0.0)
        self._runner = Runner(plan, spec, strategy, self.trials, self.engine, book, directory)
        self._runner.open("setup")

    def make(self, trials: int) -> None:
        """So many trials more."""
        last = self.trials.asked + trials
        while self.trials.asked < last:
            self._runner.turn()

    def cpu_seconds(self) -> float:
        return cpu_seconds() + sum(process_clock_ns(pid) for pid in self.engine.pids()) / 1e9


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    with closing(made.engine):
        yield made


def nothing(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 1e-3, 2.0, log=True) * 0 + trial.suggest_float("y", -5.0, 5.0) * 0


@pytest.mark.filterwarnings("ignore")  # Optuna's
def test_a_trial_that_does_nothing(benchmark: Any, harness: Harness) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    differs = "ours writes two records with checksums to a log, meters, and trains in a process of its own"
    peer = Peer("optuna", lambda: study.optimize(nothing, TRIALS), differs, TRIALS)
    harness.make(TRIALS), peer.run()  # what is done once falls on neither
    what = "a trial that does nothing, in a random search"
    pair = beside(benchmark, what, lambda: harness.make(TRIALS), peer, ROUNDS, TRIALS, harness.cpu_seconds)
    assert pair.ratio > 0.1
