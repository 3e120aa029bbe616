"""Boards made up for tests: random walks to the best known, with energies to match."""

import random
from itertools import permutations
from pathlib import Path

from ConfigSpace import ConfigurationSpace

from suite.runs.log import Budget, RunHeader, RunLog
from suite.score.board import Board, Cell, Entry
from suite.score.curve import Curve
from suite.task import Constants, DataRef, Fidelity, Metric, TaskSpec

TASKS = ("supervised/mnist1d", "few_shot/sinusoid", "physics_informed/helmholtz")
STRATEGIES = ("tpe", "hyperband", "random", "sobol", "default")
BUDGET_KWH = 4e-4


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
        entries=tuple(
            _entry(strategy, rank, tasks, len(strategies), seeds, flat) for rank, strategy in enumerate(strategies)
        ),
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
    charged = round(BUDGET_KWH * 3.6e12) * len(own)
    shares = {
        "setup": 8,
        "ask": 3 if strategy == "random" else 14,
        "train": 80,
        "validate": 5,
        "tell": 1,
        "test": 6,
        "idle": 2,
    }
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
        kwh=BUDGET_KWH,
        microjoules_by_phase={phase: charged * share // 100 for phase, share in shares.items()},
        lost_microjoules=0,
        trials=41 * len(own),
        failed=1,
    )


def _entry(strategy: str, rank: int, tasks: tuple[str, ...], several: int, seeds: int, flat: bool) -> Entry:
    pi = 0.0 if flat else 0.7 * (1 - rank / several) ** 0.5
    kwh = BUDGET_KWH * len(tasks) * seeds
    return Entry(
        strategy=strategy,
        family="baseline" if strategy in ("random", "sobol", "default") else "model-based",
        headline=None if flat else 1234.5 * pi / (1 - pi),
        headline_interval=None if flat else (1000 * pi / (1 - pi), 1500 * pi / (1 - pi)),
        pi=pi,
        pi_interval=None if flat else (max(0.0, pi - 0.08), min(1.0, pi + 0.06)),
        pi_by_paradigm={task.split("/")[0]: pi for task in tasks},
        rank_interval=(max(1, rank), min(several, rank + 2)),
        kwh=kwh,
        kwh_total=1.19 * kwh,
    )


def make_logs(machine: dict[str, object] | None = None, crosscheck: dict[str, object] | None = None) -> list[RunLog]:
    """Two logs of one task, for the facts in their headers; no trials."""
    return [
        RunLog(
            path=Path(f"seed-{seed}"),
            header=_header(seed, machine or {"cpu": "Example 3000", "cores": 4, "versions": {"numpy": "2.0"}}),
            trials=(),
            segments=(),
            ended="budget",
            recorded_total_microjoules=0,
            lost_microjoules=0,
            torn=0,
            crosscheck=crosscheck
            if crosscheck is not None
            else {"cpu_kwh": 3e-4, "ledger_kwh": 4e-4, "cpu_ratio": 0.75},
        )
        for seed in range(2)
    ]


def _header(seed: int, machine: dict[str, object]) -> RunHeader:
    return RunHeader(
        role="ranked",
        suite="0.1.0",
        task=_spec(),
        strategy={"name": "tpe"},
        seed=seed,
        budget=Budget(40.0, round(BUDGET_KWH * 3.6e12), None, 36_000_000, 3, 0.5),
        workers=1,
        jobs=2,
        device="cpu",
        time_limit_seconds=60.0,
        meters=(
            {
                "component": "cpu",
                "meter": "cpu-time",
                "tier": "estimated",
                "source": "CPU seconds x 10 W/core, declared",
            },
        ),
        machine=machine,
    )


def _spec() -> TaskSpec:
    return TaskSpec(
        name=TASKS[0],
        version="1.0",
        summary="One-dimensional digits.",
        paper="arXiv:2011.14439",
        space=ConfigurationSpace({"lr": (0.001, 0.1)}),
        fidelity=Fidelity("steps", 1, 10),
        validation=Metric("accuracy", "maximize", 0.0),
        test=Metric("test_accuracy", "maximize", 0.0),
        data=(DataRef("mnist1d", "0.0.2", "ab" * 32, "Apache-2.0", "https://github.com/greydanus/mnist1d"),),
        constants=Constants(
            0.6, 0.7, 0.61, 1.1, 0.5, 0.01, 36.0, 3.6, 20, 64, True, "estimated", {"cpu": "Example 3000"}
        ),
    )
