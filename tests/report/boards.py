"""Boards made up for tests: random walks to the best known, with energies to match."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from ConfigSpace import ConfigurationSpace

from suite.energy.ledger import Segment
from suite.report.boards import Reported, separate
from suite.runs.log import Budget, RunHeader, RunLog, TrialEnd
from suite.score.board import Board, Cell, Entry
from suite.score.curve import Curve
from suite.search.strategy import Proposal
from suite.task import Constants, DataRef, Fidelity, Metric, TaskSpec

TASKS = ("supervised/mnist1d", "few_shot/sinusoid", "physics_informed/helmholtz")
STRATEGIES = ("tpe", "hyperband", "random", "sobol", "default")
HOSTILE = """<script>alert('x')</script>"&"""
PATH = "../../../etc/passwd"
BUDGET_KWH = 4e-4
BUDGET_MICROJOULES = round(BUDGET_KWH * 3.6e12)


def make_board(
    tasks: tuple[str, ...] = TASKS,
    strategies: tuple[str, ...] = STRATEGIES,
    seeds: int = 2,
    tier: str = "estimated",
    notes: tuple[str, ...] = ("The constants of few_shot/sinusoid are provisional.",),
    flat: bool = False,
) -> Board:
    """A board in which each strategy is a little worse than the one before it, and the last finds nothing.

    flat: s is 0 throughout, and intervals and H are not defined.
    """
    curves = tuple(
        _curve(task, strategy, seed, 0.0 if flat else 1 - rank / max(1, len(strategies) - 1))
        for task in tasks
        for rank, strategy in enumerate(strategies)
        for seed in range(seeds)
    )
    return Board(
        entries=tuple(_entry(strategies, rank, tasks, seeds, flat) for rank in range(len(strategies))),
        cells=tuple(_cell(task, strategy, curves) for task in tasks for strategy in strategies),
        curves=curves,
        tasks=tasks,
        strategies=strategies,
        seeds=tuple(range(seeds)),
        tier=tier,
        budget_multiple=40.0,
        reference="local random search",
        improvement=dict.fromkeys(permutations(strategies, 2), 0.5),
        notes=notes,
    )


def _curve(task: str, strategy: str, seed: int, strength: float) -> Curve:
    draw = random.Random(f"{task} {strategy} {seed}")
    kwh, s = [0.0], [0.0]
    while strength and kwh[-1] < 0.8 * BUDGET_KWH:
        kwh.append(kwh[-1] + draw.uniform(0.02, 0.2) * BUDGET_KWH)
        s.append(s[-1] + strength * draw.uniform(0.1, 0.5) * (1 - s[-1]))
    test = (None, *(0.5 + value / 2 for value in s[1:]))
    return Curve(task, strategy, seed, BUDGET_KWH, tuple(kwh), tuple(s), tuple(0.5 + value / 2 for value in s), test)


def _cell(task: str, strategy: str, curves: tuple[Curve, ...]) -> Cell:
    own = [curve for curve in curves if (curve.task, curve.strategy) == (task, strategy)]
    final = sum(curve.s[-1] for curve in own) / len(own)
    charged = BUDGET_MICROJOULES * len(own)
    ask = 3 if strategy == "random" else 14
    shares = {"setup": 8, "ask": ask, "train": 80, "validate": 5, "tell": 1, "test": 6, "idle": 2}
    return Cell(
        task=task,
        strategy=strategy,
        seeds=tuple(curve.seed for curve in own),
        missing=(),
        u=final,
        kappa=0.5,
        pi=final / (final + 0.5),
        final_s=final,
        test_median=0.5 + final / 2,
        validation_gap=0.02,
        kwh=BUDGET_KWH,
        microjoules_by_phase={phase: charged * share // 100 for phase, share in shares.items()},
        lost_microjoules=0,
        trials=41 * len(own),
        failed=1,
    )


def _entry(strategies: tuple[str, ...], rank: int, tasks: tuple[str, ...], seeds: int, flat: bool) -> Entry:
    strategy, several = strategies[rank], len(strategies)
    pi = 0.0 if flat else 0.7 * (1 - rank / several) ** 0.5
    kwh = BUDGET_KWH * len(tasks) * seeds
    return Entry(
        strategy=strategy,
        family="baseline" if strategy in ("random", "sobol", "default") else "model-based",
        headline=None if flat else 1234.5 * pi / (1 - pi),
        headline_interval=None if flat else (1000 * pi / (1 - pi), 1500 * pi / (1 - pi)),
        pi=pi,
        pi_interval=None if flat else (max(0.0, pi - 0.08), min(1.0, pi + 0.06)),
        task_interval=None if flat else (max(0.0, pi - 0.2), min(1.0, pi + 0.2)),
        pi_by_paradigm={task.split("/")[0]: pi for task in tasks},
        rank_interval=(max(1, rank), min(several, rank + 2)),
        final_s=pi,
        reached=seeds,
        missing=0,
        whole=True,
        kwh=kwh,
        kwh_total=1.19 * kwh,
        kwh_interval=(1.19 * kwh / 3, 1.19 * kwh * 3),
        kwh_net=kwh,
        hours={490_000: 0.19 * kwh, 490_001: kwh},
        runs=len(tasks) * seeds,
        seconds=900.0 * len(tasks) * seeds,
    )


MACHINE = {"cpu": "Example 3000", "cores": 4, "versions": {"numpy": "2.0"}}
CROSSCHECK = {"cpu_kwh": 3e-4, "ledger_kwh": 4e-4, "cpu_ratio": 0.75}
METER = {"component": "cpu", "meter": "cpu-time", "tier": "estimated", "source": "CPU seconds x 10 W/core, declared"}


GAINS = {"random": 0.02, "tpe": 0.03}


def make_logs(
    machine: Mapping[str, object] = MACHINE,
    crosscheck: Mapping[str, object] = CROSSCHECK,
    directory: Path = Path(),
    gains: Mapping[str, float] = GAINS,
    tasks: tuple[str, ...] = TASKS[:1],
    seeds: int = 2,
    workers: int = 1,
) -> list[RunLog]:
    """Logs of strategies on tasks, enough to be scored: each gains so much with every trial."""
    return [
        _log(directory, task, strategy, seed, gain, machine, crosscheck, workers)
        for task in tasks
        for strategy, gain in gains.items()
        for seed in range(seeds)
    ]


def write_logs(logs: Sequence[RunLog]) -> list[RunLog]:
    """``logs`` with a file behind each, that says which one it is."""
    for log in logs:
        log.path.parent.mkdir(parents=True, exist_ok=True)
        log.path.write_text(f"{log.header.task.name} {log.header.strategy['name']} {log.header.seed}\n")
    return list(logs)


def make_report(directory: Path, **choices: Any) -> Reported:
    """A board scored from logs below ``directory``."""
    (one,) = separate(write_logs(make_logs(directory=directory, **choices)))
    return one


def _log(
    directory: Path,
    task: str,
    strategy: str,
    seed: int,
    gain: float,
    machine: Mapping[str, object],
    crosscheck: Mapping[str, object],
    workers: int,
) -> RunLog:
    each = BUDGET_MICROJOULES // 4
    luck = random.Random(f"{task} {strategy} {seed}")
    charges = [each * number + luck.randrange(each // 2) for number in range(1, 4)]
    trials = tuple(
        TrialEnd(
            number=number,
            attempt=1,
            proposal=Proposal({"lr": 0.01 * number}, 10),
            status="ok",
            validation=0.61 + gain * number,
            test=0.6 + (gain + 0.003 * seed) * number,
            reason="",
            seconds=1.0,
            microjoules=each,
            charged_microjoules=charge,
            returned=False,
        )
        for number, charge in enumerate(charges, start=1)
    )
    segments = tuple(Segment("train", number, {"cpu": each}, 10**9, 10**9) for number in range(1, 4))
    # a name from a submission is no path
    path = (
        directory / hashlib.sha256(f"{task} {strategy} {workers}".encode()).hexdigest() / f"seed-{seed}" / "log.jsonl"
    )
    header = _header(task, strategy, seed, machine, workers)
    return RunLog(path, header, trials, segments, "budget", 3 * each, 0, 0, crosscheck)


def _header(task: str, strategy: str, seed: int, machine: Mapping[str, object], workers: int) -> RunHeader:
    return RunHeader(
        role="ranked",
        suite="0.1.0",
        task=_spec(task),
        strategy={"name": strategy, "family": "baseline" if strategy in ("random", "sobol") else "model-based"},
        seed=seed,
        budget=Budget(40.0, BUDGET_MICROJOULES, None, 36_000_000, 3, 0.61),
        variant=0,
        workers=workers,
        jobs=2,
        device="cpu",
        time_limit_seconds=60.0,
        meters=(METER,),
        machine=machine,
    )


def _spec(task: str) -> TaskSpec:
    return TaskSpec(
        name=task,
        version="1.0",
        summary="One-dimensional digits.",
        paper="arXiv:2011.14439",
        space=ConfigurationSpace({"lr": (0.001, 0.1)}),
        fidelity=Fidelity("steps", 1, 10),
        validation=Metric("accuracy", "maximize", 0.0),
        test=Metric("test_accuracy", "maximize", 0.0),
        data=(DataRef("mnist1d", "0.0.2", "ab" * 32, "Apache-2.0", "https://github.com/greydanus/mnist1d", "all"),),
        constants=Constants(0.6, 0.7, 0.61, 1.1, 0.5, 0.01, 36.0, 3.6, 20, 64, True, "estimated", {"cpu": "Example"}),
    )
