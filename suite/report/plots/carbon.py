"""Pictures over carbon: performance and regret by task, the distribution of carbon to targets."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from suite.report.plots.canvas import (
    GREY,
    MINUS,
    PALE,
    WIDTH,
    Look,
    carbon_label,
    kg,
    legend,
    legend_height,
    looks,
    new_figure,
    panels,
    short,
    task_label,
)
from suite.score.board import RANDOM, Board
from suite.score.curve import Curve
from suite.score.targets import TARGETS, cost_of

FEW_SEEDS: Final = 5  # below that, quartiles say nothing: the band shows all seeds
LEAST_REGRET: Final = 0.01  # where a logarithmic axis of regret ends; what is below is drawn on it
_TASKS_A_ROW: Final = 2


def regret(board: Board) -> Figure:
    """1 - s on a logarithmic scale against kg CO2e, one panel a task."""
    rows = ceil(len(board.tasks) / _TASKS_A_ROW)
    figure = new_figure(WIDTH, 0.35 + legend_height(board) + 1.35 * rows)
    for task, axes in panels(figure, board.tasks, min(_TASKS_A_ROW, len(board.tasks))).items():
        draw_task(axes, board, task, as_regret=True)
    figure.supxlabel(carbon_label(board), fontsize=7)
    figure.supylabel(f"normalised regret 1 {MINUS} s", fontsize=7)
    legend(figure, board)
    return figure


def task(board: Board, name: str) -> Figure:
    """s above, and 1 - s on a logarithmic scale below, against kg CO2e on one task."""
    figure = new_figure(WIDTH, 3.3 + legend_height(board))
    upper, lower = figure.subplots(2, sharex=True)
    draw_task(upper, board, name, as_regret=False)
    draw_task(lower, board, name, as_regret=True)
    upper.set_title(task_label(name, " / "))
    upper.set_ylabel("performance s")
    lower.set_ylabel(f"regret 1 {MINUS} s")
    lower.set_xlabel(carbon_label(board))
    legend(figure, board)
    return figure


def strategy(board: Board, name: str) -> Figure:
    """Every run of a strategy, with random search's median behind, one panel a task."""
    tasks = [task for task in board.tasks if any((c.task, c.strategy) == (task, name) for c in board.curves)]
    rows = ceil(len(tasks) / _TASKS_A_ROW)
    figure = new_figure(WIDTH, 0.6 + 1.35 * rows)
    look = looks(board)[name]
    for task, axes in panels(figure, tasks, min(_TASKS_A_ROW, len(tasks))).items():
        every = [curve for curve in board.curves if curve.task == task]
        frame(axes, every, as_regret=False)
        start = start_kg(every)
        random = [curve for curve in every if curve.strategy == RANDOM and name != RANDOM]
        if random:
            kwh, s = steps(random)
            axes.step(np.maximum(kg(kwh), start), np.median(s, axis=0), where="post", color=GREY, linestyle=":")
        for curve in (curve for curve in every if curve.strategy == name):
            kwh, s = steps([curve])
            colour = look.colour if look.is_shown else "#0072B2"
            axes.step(np.maximum(kg(kwh), start), s[0], where="post", color=colour, linewidth=0.8, alpha=0.8)
    figure.supxlabel(carbon_label(board), fontsize=7)
    figure.supylabel("performance s", fontsize=7)
    return figure


def ecdf(board: Board) -> Figure:
    """Share of (task, target, seed) reached against kg CO2e: an empirical cumulative distribution."""
    figure = new_figure(WIDTH, 2.3 + legend_height(board))
    axes = figure.subplots()
    budgets = [curve.budget_kwh for curve in board.curves]
    start, end = min(start_kg([curve]) for curve in board.curves), float(kg(max(budgets)))
    for name, look in reversed(looks(board).items()):
        spent, number = reached(board, name)
        costs = np.maximum(kg(np.sort(spent)), start)
        share = np.arange(len(costs) + 1) / number
        _step(axes, np.concatenate([[start], costs, [end]]), np.append(share, share[-1]), look)
    axes.set_xscale("log")
    axes.set_xlim(start, end)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(carbon_label(board))
    axes.set_ylabel("share of targets reached")
    axes.grid(axis="y")
    legend(figure, board)
    return figure


def reached(board: Board, name: str) -> tuple[list[float], int]:
    """The charge (kWh) of every target that a run of ``name`` reached, and how many there were to reach.

    Missing runs, and tasks that the strategy did not run, reach none.
    """
    own = [curve for curve in board.curves if curve.strategy == name]
    costs = [cost_of(curve, target) for curve in own for target in TARGETS]
    runs = len({(curve.task, curve.seed) for curve in board.curves})
    return [cost for cost in costs if cost is not None], runs * len(TARGETS)


def draw_task(axes: Axes, board: Board, task: str, as_regret: bool) -> None:
    """Median and band of every strategy on ``task``; those without a colour of their own without a band, behind."""
    runs = [curve for curve in board.curves if curve.task == task]
    frame(axes, runs, as_regret, band(board))
    for name, look in reversed(looks(board).items()):
        own = [curve for curve in runs if curve.strategy == name]
        if own:
            _draw_curves(axes, own, start_kg(runs), band(board), look, as_regret)


def frame(axes: Axes, runs: Sequence[Curve], as_regret: bool, quantiles: tuple[float, float] = (0, 1)) -> None:
    """Axes as the curves of ``runs`` need them, of which those between ``quantiles`` are drawn, with the budget as a
    dotted line."""
    lowest = _lowest(runs, quantiles[0])
    if runs:
        budget = kg(max(curve.budget_kwh for curve in runs))
        axes.axvline(budget, color=GREY, linestyle=":", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(start_kg(runs), budget * 1.15)
        axes.xaxis.set_minor_formatter(NullFormatter())
    if as_regret:
        axes.set_yscale("log")
        axes.set_ylim(LEAST_REGRET * 0.9, max(1.3, (1 - lowest) * 1.1))
        axes.yaxis.set_major_locator(FixedLocator([0.01, 0.03, 0.1, 0.3, 1.0]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(FixedLocator([]))
    else:
        axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        axes.set_ylim(min(-0.05, 1.05 * lowest), 1.04)
    axes.grid(axis="y")


def _lowest(runs: Sequence[Curve], quantile: float) -> float:
    """The lowest s that the ``quantile`` over the seeds of any strategy comes to."""
    of_strategies = [[curve for curve in runs if curve.strategy == name] for name in {curve.strategy for curve in runs}]
    return min((float(np.quantile(steps(own)[1], quantile, axis=0).min()) for own in of_strategies), default=0.0)


def _draw_curves(
    axes: Axes, runs: Sequence[Curve], start: float, quantiles: tuple[float, float], look: Look, as_regret: bool
) -> None:
    """The median over seeds as a step curve, with a band between ``quantiles``."""
    kwh, s = steps(runs)
    values = np.maximum(1 - s, LEAST_REGRET) if as_regret else s
    at = np.maximum(kg(kwh), start)  # a logarithmic axis has no 0
    low, high = np.quantile(values, quantiles, axis=0)
    if len(runs) > 1 and look.is_shown:
        axes.fill_between(at, low, high, step="post", color=look.colour, alpha=0.13, linewidth=0)
    _step(axes, at, np.median(values, axis=0), look)


def _step(axes: Axes, at: Any, values: Any, look: Look) -> None:
    if look.is_shown:
        axes.step(
            at, values, where="post", color=look.colour, linestyle=look.line, marker=look.marker, markevery=(0.1, 0.3)
        )
    else:
        axes.step(at, values, where="post", color=PALE, linewidth=0.7, zorder=1)


def steps(runs: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """kWh at which any of ``runs`` changes, up to the budget, shape (n,), and s from there on, shape (runs, n)."""
    budget = max(curve.budget_kwh for curve in runs)
    changes = np.unique([0.0, *(kwh for curve in runs for kwh in curve.kwh if kwh < budget), budget])
    s = [np.asarray(curve.s)[np.searchsorted(curve.kwh, changes, side="right") - 1] for curve in runs]
    return changes, np.array(s)


def start_kg(runs: Sequence[Curve]) -> float:
    """Where the axis of carbon begins: before the first change of any incumbent, and at least a decade before B."""
    budget = max(curve.budget_kwh for curve in runs)
    first = min((kwh for curve in runs for kwh in curve.kwh if kwh > 0), default=budget)
    return float(kg(min(budget / 50, 0.7 * first)))


def band(board: Board) -> tuple[float, float]:
    """The quantiles over seeds that a band lies between."""
    return (0, 1) if len(board.seeds) < FEW_SEEDS else (0.25, 0.75)


def seeds_sentence(board: Board) -> str:
    if len(board.seeds) == 1:
        return "One seed."
    grey = " Grey: medians of the others." if any(not look.is_shown for look in looks(board).values()) else ""
    return (
        f"Line: median over seeds; band: {'all seeds' if band(board) == (0, 1) else 'the middle half of them'}.{grey}"
    )


def runs_sentence(board: Board, name: str) -> str:
    """What the picture of a strategy shows."""
    behind = "" if name == RANDOM or RANDOM not in board.strategies else " Dotted: median of random search."
    return f"Each line is one run of {short(name)}: test performance of its incumbent against carbon charged.{behind}"
