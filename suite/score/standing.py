"""Where strategies stand on a board that is known by its rows, without its logs: Pi, intervals and ranks are computed
anew, over the published runs and one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from suite.score.admission import ScoreError
from suite.score.efficiency import weights
from suite.score.ranks import TaskSeeds, uncertainty
from suite.score.runs import Row

OWN = "{} (yours)"  # of a strategy that is published too


@dataclass(frozen=True)
class Standing:
    """One strategy. own: it is not of the published ones. s: test performance at the end, as Pi weighs tasks.
    kwh_charged: of one run, mean. search: share of it that the strategy itself took."""

    strategy: str
    own: bool
    pi: float
    pi_interval: tuple[float, float] | None
    rank_interval: tuple[int, int]
    s: float
    kwh_charged: float
    search: float


def standings(published: Sequence[Row], own: Sequence[Row], kappas: Mapping[str, float]) -> list[Standing]:
    """All strategies of both, best first. kappas: of the published tasks.

    Raises ``ScoreError`` where ``own`` lacks a task or seed of the published board, or is of another version of a task.
    """
    _check(published, own)
    known = {row.strategy for row in published}
    by_strategy: dict[str, list[Row]] = {}
    for row in published:
        by_strategy.setdefault(row.strategy, []).append(row)
    for row in own:
        by_strategy.setdefault(OWN.format(row.strategy) if row.strategy in known else row.strategy, []).append(row)
    names, tasks = sorted(by_strategy), sorted(kappas)
    of_tasks = [_of_task(task, [by_strategy[name] for name in names], kappas[task]) for task in tasks]
    counts = weights(tasks)
    found = uncertainty(of_tasks, counts)
    pi = counts @ np.array([each.pi(each.once)[:, 0] for each in of_tasks])
    s = counts @ np.array([each.final_s.mean(1) for each in of_tasks])
    made = [
        Standing(
            strategy=name,
            own=name not in known,
            pi=float(pi[n]),
            pi_interval=found.pi_intervals[n],
            rank_interval=found.rank_intervals[n],
            s=float(s[n]),
            kwh_charged=mean(row.kwh_charged for row in by_strategy[name]),
            search=_share_of_search(by_strategy[name]),
        )
        for n, name in enumerate(names)
    ]
    return sorted(made, key=lambda each: (-each.pi, each.strategy))


def _check(published: Sequence[Row], own: Sequence[Row]) -> None:
    versions = {row.task: row.task_version for row in published}
    wanted = {(row.task, row.seed) for row in published}
    for strategy in sorted({row.strategy for row in own}):
        made = [row for row in own if row.strategy == strategy]
        missing = wanted - {(row.task, row.seed) for row in made}
        if missing:
            task, seed = min(missing)
            raise ScoreError(
                f"{strategy} lacks {len(missing)} of {len(wanted)} runs of the published board, the first on {task} "
                f"with seed {seed}; make them: carbon-suite run --replay --task '*' --seeds {_seeds(wanted)} --out DIR"
            )
        if not sum(row.kwh_search for row in made):
            raise ScoreError(
                f"{strategy} was not charged for its own CPU time, and those of the published board were: make its "
                "runs without --watts-per-core 0"
            )
        for row in made:
            if row.task in versions and row.task_version != versions[row.task]:
                raise ScoreError(
                    f"{strategy} ran version {row.task_version} of {row.task}, and the published board has version "
                    f"{versions[row.task]}: they cannot be compared"
                )


def _seeds(wanted: set[tuple[str, int]]) -> str:
    seeds = sorted({seed for _, seed in wanted})
    return f"{seeds[0]}-{seeds[-1]}"


def _of_task(task: str, strategies: Sequence[Sequence[Row]], kappa: float) -> TaskSeeds:
    own = [sorted((row for row in rows if row.task == task), key=lambda row: row.seed) for rows in strategies]
    final_s = np.array([[row.s for row in rows] for rows in own])
    areas = np.array([[row.area for row in rows] for rows in own])
    return TaskSeeds(task, final_s, areas, np.ones(len(own), bool), kappa, None)


def _share_of_search(rows: Sequence[Row]) -> float:
    return sum(row.kwh_search for row in rows) / (sum(row.kwh_charged for row in rows) or 1.0)
