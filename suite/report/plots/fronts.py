"""Pictures of what was attained: the front of test performance over carbon, and the profile against random search."""

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from suite.report.plots.canvas import (
    GREY,
    PALE,
    WIDTH,
    NotDrawn,
    carbon_label,
    kg,
    legend,
    legend_height,
    looks,
    new_figure,
    panels,
)
from suite.report.plots.carbon import frame, start_kg
from suite.score.board import Board
from suite.score.curve import Curve
from suite.score.details import Details
from suite.score.fronts import Attainment, attainment

PERCENTS: Final = (25.0, 50.0, 75.0)  # of the runs
_TASKS_A_ROW: Final = 2


def front(board: Board) -> Figure:
    """The Pareto front over all strategies with its attainment band, and who is on it, one panel a task."""
    rows = ceil(len(board.tasks) / _TASKS_A_ROW)
    figure = new_figure(WIDTH, 0.35 + legend_height(board) + 1.45 * rows)
    for task, axes in panels(figure, board.tasks, min(_TASKS_A_ROW, len(board.tasks))).items():
        _front(axes, board, task)
    figure.supxlabel(carbon_label(board), fontsize=7)
    figure.supylabel("normalised test performance s", fontsize=7)
    legend(figure, board)
    return figure


def _front(axes: Axes, board: Board, task: str) -> None:
    runs = [curve for curve in board.curves if curve.task == task]
    frame(axes, runs, as_regret=False)
    surfaces = {name: _surfaces([curve for curve in runs if curve.strategy == name]) for name in board.strategies}
    surfaces = {name: found for name, found in surfaces.items() if found}
    budget = max(curve.budget_kwh for curve in runs)
    shares = np.unique([1.0, *(at for found in surfaces.values() for each in found for at in each.carbon)])
    best = [
        np.max([attained(found[number], shares) for found in surfaces.values()], axis=0)
        for number in range(len(PERCENTS))
    ]
    start = start_kg(runs)
    at = np.maximum(kg(shares * budget), start)
    axes.fill_between(at, best[2], best[0], step="post", color=PALE, alpha=0.45, linewidth=0, zorder=1)
    axes.step(at, best[1], where="post", color=GREY, linewidth=1.6, zorder=2)
    for name, look in reversed(looks(board).items()):
        if name not in surfaces:
            continue
        median = surfaces[name][1]
        reached = attained(median, np.array(median.carbon))
        leads = reached >= best[1][np.searchsorted(shares, median.carbon)]
        x = np.maximum(kg(np.array(median.carbon) * budget), start)
        moved = np.array(median.carbon) > 0  # at no carbon all hold the default
        for chosen, alpha, size in ((~leads & moved, 0.45, 2.0), (leads & moved, 1.0, 4.0)):
            axes.plot(
                x[chosen], reached[chosen], look.marker, color=look.colour, alpha=alpha, markersize=size, zorder=3
            )


def _surfaces(runs: Sequence[Curve]) -> tuple[Attainment, ...]:
    try:
        return attainment(runs, PERCENTS) if runs else ()
    except ModuleNotFoundError as error:
        raise NotDrawn(f"{str(error).capitalize()}.") from error


def attained(surface: Attainment, shares: np.ndarray) -> np.ndarray:
    """s that ``surface`` has come to at ``shares`` of the budget; 0, the default in hand, before its first corner."""
    s = np.array([0.0, *(1 - shortfall for shortfall in surface.shortfall)])
    return np.asarray(s[np.searchsorted(np.array(surface.carbon), shares, side="right")])


def profile(board: Board, found: Details) -> Figure:
    """Share of runs at the profile's target for at most each multiple of random search's carbon."""
    if not found.carbon_profiles:
        raise NotDrawn(
            "Random search reaches the target of the profile on no task, so there is nothing to compare with."
        )
    figure = new_figure(WIDTH, 2.3 + legend_height(board))
    axes = figure.subplots()
    profiles = {profile.strategy: profile for profile in found.carbon_profiles}
    for name, look in reversed(looks(board).items()):
        shown = {"linestyle": look.line, "marker": look.marker, "markevery": 8} if look.is_shown else {"linewidth": 0.7}
        axes.step(profiles[name].at, profiles[name].share, where="post", color=look.colour, **shown)
    axes.axvline(1, color=GREY, linestyle=":", linewidth=0.8, zorder=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([2.0**power for power in range(-5, 6, 2)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("carbon over that of random search")
    axes.set_ylabel("share of runs at the target")
    axes.grid(axis="y")
    legend(figure, board)
    return figure
