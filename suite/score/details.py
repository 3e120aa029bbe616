"""What stands beside the ranking: carbon to targets and over all tasks, other budgets, profiles, the local reference.

A pure function of a board, for tables and plots. A missing run counts as in the ranking: at the worst s seen.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean
from typing import Final

import numpy as np

from suite.score.board import HIGH, RANDOM, Board, Cell
from suite.score.budgets import FRACTIONS, AtBudget, at_budget, break_even, log_area, overhead_share, u_at
from suite.score.curve import Curve
from suite.score.efficiency import against_reference, weights
from suite.score.profiles import RATIOS, THRESHOLDS, Profile, interquartile_mean, shares_above, shares_within
from suite.score.ranks import RESAMPLES, TaskSeeds, draw, interval
from suite.score.savings import Saving, TaskCosts, savings
from suite.score.targets import TARGETS, ToTarget, Unreached, censored, cost_of, kaplan_meier, to_target

SAVED_AT: Final = (0.5, HIGH)  # of s
TOLERANCE: Final = 1.2  # between the local random search and the frozen kappa, beyond its interval
PROFILE_TARGET: Final = 0.5  # of s, for the profile over carbon


@dataclass(frozen=True)
class Detail:
    """One strategy on one task. Energies in kWh.

    targets: by target s. unreached: by target s, the Kaplan-Meier steps. at_budgets: at B, B/4 and B/16. log_area: mean
    of s over the logarithm of carbon, None at a budget of one training. kwh_by_phase: mean of a run. break_even_kwh: of
    a random training, above which the overhead pays for itself against random search; infinite where it never does,
    None for random search itself and where that gains nothing.
    """

    task: str
    strategy: str
    targets: Mapping[float, ToTarget]
    unreached: Mapping[float, Unreached]
    at_budgets: tuple[AtBudget, ...]
    log_area: float | None
    kwh_by_phase: Mapping[str, float]
    break_even_kwh: float | None


@dataclass(frozen=True)
class Overall:
    """One strategy over all tasks.

    savings: by target s, carbon to it beside random search's; empty where that did not run. own_share: of all energy
    charged, what went into neither training nor validation. validation_gap: mean over the tasks that have one, which
    are so many ``gap_tasks``.
    """

    strategy: str
    savings: Mapping[float, Saving]
    own_share: float
    validation_gap: float | None
    gap_tasks: int


@dataclass(frozen=True)
class Flip:
    """``better`` is ahead of ``worse`` by Pi at B, and behind at ``fraction`` of it, on the same ``tasks``."""

    fraction: float
    better: str
    worse: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceCheck:
    """The local random search beside the frozen kappa. interval: of its u, over seeds."""

    task: str
    kappa: float
    u: float
    interval: tuple[float, float] | None

    @property
    def agrees(self) -> bool:
        """Whether kappa is in the interval, or within ``TOLERANCE`` of u."""
        inside = self.interval is not None and self.interval[0] <= self.kappa <= self.interval[1]
        return inside or self.kappa / TOLERANCE <= self.u <= self.kappa * TOLERANCE


@dataclass(frozen=True)
class Details:
    """score_profiles: share of runs above each s at B. carbon_profiles: share of runs at s = ``PROFILE_TARGET`` for at
    most each multiple of random search's carbon. Tasks on which random search never gets there are left out."""

    details: tuple[Detail, ...]
    overall: tuple[Overall, ...]
    interquartile_means: Mapping[str, float]
    score_profiles: tuple[Profile, ...]
    carbon_profiles: tuple[Profile, ...]
    flips: tuple[Flip, ...]
    reference_checks: tuple[ReferenceCheck, ...]


def details(board: Board) -> Details:
    """All that stands beside the ranking of ``board``."""
    runs = _runs(board)
    cells = {(cell.task, cell.strategy): cell for cell in board.cells}
    kappas = {task: _kappas(runs.get((task, RANDOM), ())) for task in board.tasks}
    made = tuple(_detail(board, cells, cell, runs, kappas[cell.task]) for cell in board.cells)
    return Details(
        details=made,
        overall=_overall(board, runs),
        interquartile_means={
            strategy: interquartile_mean(np.concatenate(_final_s(runs, board, strategy)))
            for strategy in board.strategies
        },
        score_profiles=tuple(
            Profile(name, THRESHOLDS, shares_above(_final_s(runs, board, name), weights(board.tasks), THRESHOLDS))
            for name in board.strategies
        ),
        carbon_profiles=_carbon_profiles(board, runs),
        flips=tuple(flip for fraction in FRACTIONS[1:] for flip in _flips(board, made, fraction)),
        reference_checks=_reference_checks(board, runs),
    )


Runs = Mapping[tuple[str, str], Sequence[Curve]]
Cells = Mapping[tuple[str, str], Cell]


def _runs(board: Board) -> Runs:
    """The curves of each task and strategy, in the order of the seeds; a missing run stands at the worst s seen."""
    found: dict[tuple[str, str], dict[int, Curve]] = defaultdict(dict)
    worst = dict.fromkeys(board.tasks, 0.0)
    for curve in board.curves:
        found[curve.task, curve.strategy][curve.seed] = curve
        worst[curve.task] = min(worst[curve.task], *curve.s)
    for cell in board.cells:
        own = found[cell.task, cell.strategy]
        budget = next(iter(own.values())).budget_kwh
        for seed in cell.missing:
            s = (worst[cell.task],)
            own[seed] = Curve(cell.task, cell.strategy, seed, budget, (0.0,), s, (math.nan,), (None,))
    return {key: [own[seed] for seed in sorted(own)] for key, own in found.items()}


def _detail(board: Board, cells: Cells, cell: Cell, runs: Runs, kappas: Mapping[float, float]) -> Detail:
    own = runs[cell.task, cell.strategy]
    return Detail(
        task=cell.task,
        strategy=cell.strategy,
        targets={target: _to_target(own, target) for target in TARGETS},
        unreached={target: _unreached(own, target) for target in (PROFILE_TARGET, HIGH)},
        at_budgets=tuple(
            at_budget(own, fraction, kappas[fraction] if fraction < 1 else cell.kappa) for fraction in FRACTIONS
        ),
        log_area=mean(log_area(curve, board.budget_multiple) for curve in own) if board.budget_multiple > 1 else None,
        kwh_by_phase={
            phase: amount / 3.6e12 / len(cell.seeds) for phase, amount in sorted(cell.microjoules_by_phase.items())
        },
        break_even_kwh=_break_even(cells, cell, runs, board.budget_multiple),
    )


def _kappas(random: Sequence[Curve]) -> dict[float, float]:
    """u of random search by share of the budget; 0 where it did not run."""
    return {fraction: u_at(random, fraction) if random else 0.0 for fraction in FRACTIONS}


def _to_target(runs: Sequence[Curve], target: float) -> ToTarget:
    """In kWh. Budgets of one task are alike."""
    limit = max(curve.budget_kwh for curve in runs)
    return to_target([cost_of(curve, target) for curve in runs], limit)


def _unreached(runs: Sequence[Curve], target: float) -> Unreached:
    return kaplan_meier([cost_of(curve, target) for curve in runs], [curve.budget_kwh for curve in runs])


def _break_even(cells: Cells, cell: Cell, runs: Runs, multiple: float) -> float | None:
    random = cells.get((cell.task, RANDOM))
    if random is None or cell.strategy == RANDOM or random.final_s <= 0:
        return None
    own, others = runs[cell.task, cell.strategy], runs[cell.task, RANDOM]
    costs = [_to_target(curves, random.final_s).restricted_mean for curves in (own, others)]
    shares = [overhead_share(each.microjoules_by_phase) for each in (cell, random)]
    training = mean(curve.budget_kwh for curve in own) / multiple
    return break_even(costs[0], shares[0], costs[1], shares[1], training)


def _overall(board: Board, runs: Runs) -> tuple[Overall, ...]:
    saved: dict[float, Sequence[Saving]] = {}
    if all((task, RANDOM) in runs for task in board.tasks):
        saved = {
            target: savings([_task_costs(board, runs, task, target) for task in board.tasks]) for target in SAVED_AT
        }
    return tuple(
        _over_tasks(board, strategy, {target: found[number] for target, found in saved.items()})
        for number, strategy in enumerate(board.strategies)
    )


def _over_tasks(board: Board, strategy: str, saved: Mapping[float, Saving]) -> Overall:
    own = [cell for cell in board.cells if cell.strategy == strategy]
    phases: Counter[str] = Counter()
    for cell in own:
        phases.update(cell.microjoules_by_phase)
    gaps = [cell.validation_gap for cell in own if cell.validation_gap is not None]
    return Overall(strategy, saved, overhead_share(phases), mean(gaps) if gaps else None, len(gaps))


def _task_costs(board: Board, runs: Runs, task: str, target: float) -> TaskCosts:
    """A strategy that did not run the task counts as one that never came to the target."""
    random = runs[task, RANDOM]
    reached = {name: [cost_of(curve, target) for curve in runs.get((task, name), ())] for name in board.strategies}
    rows = [censored(costs or [None] * len(random), random[0].budget_kwh) for costs in reached.values()]
    return TaskCosts(task, np.array(rows), np.array(rows[board.strategies.index(RANDOM)]))


def _final_s(runs: Runs, board: Board, strategy: str) -> list[np.ndarray]:
    """s at B of each run, one array a task; -1 on tasks that the strategy did not run."""
    return [np.array([curve.final_s for curve in runs.get((task, strategy), ())] or [-1.0]) for task in board.tasks]


def _carbon_profiles(board: Board, runs: Runs) -> tuple[Profile, ...]:
    references = {task: _random_cost(runs.get((task, RANDOM), ())) for task in board.tasks}
    tasks = [task for task, cost in references.items() if cost is not None]
    if not tasks:
        return ()
    known = [cost for cost in references.values() if cost is not None]
    return tuple(
        Profile(name, RATIOS, shares_within([_costs(runs, task, name) for task in tasks], known, weights(tasks)))
        for name in board.strategies
    )


def _random_cost(random: Sequence[Curve]) -> float | None:
    """The restricted mean of random search's energy to the profile's target, None where it never gets there."""
    if not random:
        return None
    found = _to_target(random, PROFILE_TARGET)
    return found.restricted_mean if found.successes else None


def _costs(runs: Runs, task: str, strategy: str) -> np.ndarray:
    found = [cost_of(curve, PROFILE_TARGET) for curve in runs.get((task, strategy), ())]
    return np.array([math.inf if cost is None else cost for cost in found] or [math.inf])


def _flips(board: Board, made: Sequence[Detail], fraction: float) -> list[Flip]:
    """Pairs whose order by Pi turns round, on the tasks that are worth ranking at ``fraction``."""
    early: dict[str, dict[str, float]] = defaultdict(dict)
    for detail in made:
        pi = next(each.pi for each in detail.at_budgets if each.fraction == fraction)
        if pi is not None:
            early[detail.task][detail.strategy] = pi
    tasks = [task for task in board.tasks if task in early]
    if not tasks:
        return []
    full = {(cell.task, cell.strategy): cell.pi for cell in board.cells}
    late = {name: _pi(tasks, {task: full.get((task, name), 0.0) for task in tasks}) for name in board.strategies}
    soon = {name: _pi(tasks, {task: early[task].get(name, 0.0) for task in tasks}) for name in board.strategies}
    order = sorted(board.strategies, key=lambda name: (-late[name], name))
    return [
        Flip(fraction, better, worse, tuple(tasks))
        for better, worse in combinations(order, 2)
        if late[better] > late[worse] and soon[better] < soon[worse]
    ]


def _pi(tasks: Sequence[str], pi: Mapping[str, float]) -> float:
    return float(sum(weight * pi[task] for weight, task in zip(weights(tasks), tasks, strict=True)))


def _reference_checks(board: Board, runs: Runs) -> tuple[ReferenceCheck, ...]:
    """One a task on which random search ran, where the reference is frozen."""
    if board.reference != "frozen":
        return ()
    cells = [cell for cell in board.cells if cell.strategy == RANDOM]
    return tuple(ReferenceCheck(cell.task, cell.kappa, cell.u, _u_interval(cell, runs)) for cell in cells)


def _u_interval(cell: Cell, runs: Runs) -> tuple[float, float] | None:
    """From that of pi, against a reference of 1: pi = u / (u + 1)."""
    curves = runs[cell.task, RANDOM]
    final_s, areas = np.array([[each.final_s for each in curves]]), np.array([[each.area for each in curves]])
    seeds = TaskSeeds(cell.task, final_s, areas, np.array([True]), 1.0, None)
    if seeds.seeds < 2:
        return None
    counts = draw(seeds.name, seeds.seeds, RESAMPLES)
    error, errors = (np.sqrt(seeds.covariance(each)[:, 0, 0]) for each in (seeds.once, counts))
    pi = float(against_reference(np.array(cell.u), np.array(1.0)))
    found = interval(pi, float(error[0]), seeds.pi(counts)[0], errors)
    return (found[0] / (1 - found[0]), found[1] / (1 - found[1])) if found else None
