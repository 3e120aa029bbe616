"""CPU time of the harness for each trial, outside the strategy's ask and tell, on a task that does nothing.

Beside it in the same run: Optuna's own ``study.optimize`` with the same random sampler on the same objective, and one
codecarbon tracker a trial. CPU time of all processes counts, the worker's and codecarbon's threads included.

Microseconds a trial, medians of 20 rounds of 100 trials (5 trackers) in one run, on a virtual machine with two cores of
an AMD EPYC, Python 3.11, Optuna 5.0.0, codecarbon 3.3.2: harness 538, Optuna 255, a tracker 9,600. A trial has two log
records, a process of its own and four to five cuts of the ledger, which Optuna's loop has not.

    tox -e bench
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import optuna
import pytest
from optuna.samplers import RandomSampler

from suite.catalog import task_spec
from suite.energy.cpu_time import CpuTime
from suite.energy.crosscheck import CrossCheck
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
from suite.search.bayesian import OptunaStrategy
from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from tests.conftest import HERE, budget

TASK = f"{HERE / 'benchmarks' / 'nothing.py'}:TASK"
TRIALS = 100  # in a round

pytestmark = pytest.mark.filterwarnings("ignore")  # codecarbon's


class Timed(OptunaStrategy):
    """A random search that knows the CPU time of its own asks and tells."""

    info: ClassVar = StrategyInfo("timed", family="benchmarks", summary="random search by Optuna")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, RandomSampler(seed=0))
        self.cpu_ns = 0

    def ask(self) -> Proposal:
        start = time.process_time_ns()
        answer = super().ask()
        self.cpu_ns += time.process_time_ns() - start
        return answer

    def tell(self, trial: Trial) -> None:
        start = time.process_time_ns()
        super().tell(trial)
        self.cpu_ns += time.process_time_ns() - start


class Harness:
    """A run in hand, whose trials are made one by one."""

    def __init__(self, directory: Path) -> None:
        spec, tree = task_spec(TASK), ProcessTree()
        plan = RunPlan(TASK, "", 0, budget(trials=10**9, v0=None))
        ledger = Ledger([CpuTime(Means(tree, 10.0, 1.0))], tree)
        book = Book(ledger, Charge(), LogWriter(directory / "log.jsonl"), report=lambda charged, total: None)
        problem = Problem(spec.space, spec.default, spec.fidelity, "minimize", 0, float("inf"))
        self.strategy = Timed(problem)
        self.engine = LocalEngine(TASK, "cpu", directory / "worker.log")
        trials = Trials(spec, Timed.info, None, 0.0)
        self._trials = trials
        self._runner = Runner(plan, spec, self.strategy, trials, self.engine, book, directory)
        self._runner.open("setup")

    def make(self, trials: int) -> None:
        """So many trials more."""
        last = self._trials.asked + trials
        while self._trials.asked < last:
            self._runner.turn()

    def cpu_seconds(self) -> float:
        workers = sum(process_clock_ns(pid) for pid in self.engine.pids())
        return (time.process_time_ns() + workers - self.strategy.cpu_ns) / 1e9


RUNNING: list[Harness] = []  # what pytest-benchmark's timer, which takes no arguments, reads


def cpu_seconds() -> float:
    return RUNNING[-1].cpu_seconds() if RUNNING else time.process_time()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path)
    RUNNING.append(made)
    yield made
    RUNNING.pop().engine.close()


def report(benchmark: Callable[..., object], trials: int) -> None:
    stats = benchmark.stats.stats  # type: ignore[attr-defined]
    benchmark.extra_info["microseconds_per_trial"] = round(stats.median / trials * 1e6, 1)  # type: ignore[attr-defined]


@pytest.mark.benchmark(group="100 trials that do nothing", timer=cpu_seconds)
def test_harness(benchmark: Callable[..., object], harness: Harness) -> None:
    benchmark.pedantic(harness.make, args=(TRIALS,), rounds=20, warmup_rounds=2)  # type: ignore[attr-defined]
    report(benchmark, TRIALS)


@pytest.mark.benchmark(group="100 trials that do nothing", timer=time.process_time)
def test_optuna(benchmark: Callable[..., object]) -> None:
    def nothing(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 1e-3, 2.0, log=True) * 0 + trial.suggest_float("y", -5.0, 5.0) * 0

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    benchmark.pedantic(study.optimize, args=(nothing, TRIALS), rounds=20, warmup_rounds=2)  # type: ignore[attr-defined]
    report(benchmark, TRIALS)


@pytest.mark.benchmark(group="one trial with a codecarbon tracker", timer=time.process_time)
def test_codecarbon(benchmark: Callable[..., object]) -> None:
    def tracked() -> None:
        tracker = CrossCheck()
        tracker.start()
        assert "reason" not in tracker.stop(1)

    benchmark.pedantic(tracked, rounds=5, warmup_rounds=1)  # type: ignore[attr-defined]
    report(benchmark, 1)
