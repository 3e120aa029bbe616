"""Pictures of the ranking: forest plot, heat map of paradigms, probability of improvement, critical differences."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import rankdata, studentized_range

from suite.report import wording
from suite.report.plots.canvas import (
    GREY,
    MINUS,
    WIDE,
    WIDTH,
    NotDrawn,
    carbon_label,
    list_downwards,
    list_height,
    looks,
    new_figure,
    panels,
    short,
)
from suite.report.plots.carbon import draw_task
from suite.report.tables import cells_of
from suite.score.board import Board

_TASKS_A_ROW: Final = 3
_ALPHA: Final = 0.05
_MANY: Final = 12  # strategies, beyond which the cells of a square of one column hold no figures


def forest(board: Board) -> Figure:
    """Pi with its interval, and rank intervals beside it."""
    figure = new_figure(WIDTH, 0.75 + list_height(len(board.entries)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1.4))
    _forest(left, board)
    for row, entry in enumerate(board.entries):
        look = looks(board)[entry.strategy]
        low, high = entry.rank_interval
        right.plot((low, high), (row, row), color=look.colour, linewidth=3, solid_capstyle="round")
    right.set_xlim(0.4, len(board.entries) + 0.6)
    right.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    right.set_xlabel("rank")
    right.grid(axis="x")
    right.tick_params(axis="y", length=0)
    return figure


def overview(board: Board) -> Figure:
    """The ranking, and the performance on each task beside it; the names on the left are the legend."""
    columns = min(_TASKS_A_ROW, len(board.tasks))
    rows = ceil(len(board.tasks) / columns)
    figure = new_figure(WIDE, max(0.75 + list_height(len(board.entries)), 1.9 * rows, 2.1))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(3.2, 4.8))[0]
    axes = left.subplots()
    _forest(axes, board)
    _headlines(axes, board)
    for task, panel in panels(right, board.tasks, columns).items():
        draw_task(panel, board, task, as_regret=False)
    right.supxlabel(carbon_label(board), fontsize=7)
    right.supylabel("normalised performance s", fontsize=7)
    return figure


def _forest(axes: Axes, board: Board) -> None:
    drawn = looks(board)
    for row, entry in enumerate(board.entries):
        look = drawn[entry.strategy]
        if entry.pi_interval:
            axes.plot(entry.pi_interval, (row, row), color=look.colour, solid_capstyle="butt")
        axes.plot(entry.pi, row, marker=look.marker, color=look.colour, markersize=4.5, linestyle="none")
    list_downwards(
        axes, [f"{wording.ranks(entry, wording.EN_DASH)}  {short(entry.strategy)}" for entry in board.entries]
    )
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=0.8, zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "¼", "½", "¾", "1"))
    axes.set_xlabel("Π" if board.tier == "measured" else f"Π (energy {board.tier})")
    axes.grid(axis="x")


def _headlines(axes: Axes, board: Board) -> None:
    """H of each strategy to the right of ``axes``."""
    for row, entry in enumerate(board.entries):
        axes.annotate(
            wording.figure(entry.headline),
            (1, row),
            xytext=(6, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="center_baseline",
            fontsize=6.5,
        )
    axes.annotate("H (1/kg)", (1, 1), xytext=(6, 2), xycoords="axes fraction", textcoords="offset points", fontsize=6.5)


def heat_map(board: Board) -> Figure:
    """pi of each strategy in each paradigm."""
    paradigms = list(dict.fromkeys(task.split("/")[0] for task in board.tasks))
    values = np.array([[entry.pi_by_paradigm.get(name, np.nan) for name in paradigms] for entry in board.entries])
    figure = new_figure(WIDTH, 1.25 + list_height(len(board.entries)))
    axes = figure.subplots()
    _cells(axes, values, "cividis", show_figures=True)
    list_downwards(axes, [short(entry.strategy) for entry in board.entries])
    axes.set_ylim(len(values) - 0.5, -0.5)
    _columns(axes, [short(wording.paradigm_label(name), 18) for name in paradigms])
    _scale(figure, axes, "π")
    return figure


def improvement(board: Board) -> Figure:
    """Probability that the strategy of the row does better than that of the column."""
    names = [entry.strategy for entry in board.entries]
    if len(names) < 2:
        raise NotDrawn("With one strategy there is nothing to compare.")
    values = np.array([[board.improvement.get((row, column), np.nan) for column in names] for row in names])
    figure = new_figure(WIDTH, min(WIDTH, 1.3 + 0.35 * len(names)))
    axes = figure.subplots()
    _cells(axes, values, "PuOr_r", show_figures=len(names) <= _MANY)
    list_downwards(axes, [short(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    _columns(axes, [short(name) for name in names])
    _scale(figure, axes, "probability that the row beats the column")
    return figure


def gap(board: Board) -> Figure:
    """Validation-test gap of each strategy, a mark a task."""
    gaps = {
        entry.strategy: [
            cell.validation_gap for cell in cells_of(board, entry.strategy) if cell.validation_gap is not None
        ]
        for entry in board.entries
    }
    if not any(gaps.values()):
        raise NotDrawn("No task of this board has the same quantity for validation and test.")
    figure = new_figure(WIDTH, 0.6 + list_height(len(gaps)))
    axes = figure.subplots()
    for row, (name, values) in enumerate(gaps.items()):
        colour = looks(board)[name].colour
        axes.plot(values, np.full(len(values), row), "o", color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0)
        if values:
            axes.plot([np.median(values)] * 2, (row - 0.3, row + 0.3), color=colour, linewidth=1.6)
    list_downwards(axes, [short(name) for name in gaps])
    axes.axvline(0, color=GREY, linestyle=":", linewidth=0.8, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel(f"validation gain {MINUS} test gain, in a1 {MINUS} a0")
    axes.grid(axis="x")
    return figure


def _cells(axes: Axes, values: Any, colours: str, show_figures: bool) -> None:
    """``values`` between 0 and 1 as colours; with figures in the cells where there is room."""
    colour_map = colormaps[colours].with_extremes(bad="white")
    axes.pcolormesh(
        np.arange(values.shape[1] + 1) - 0.5,
        np.arange(values.shape[0] + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=colour_map,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=0.5,
    )
    for (row, column), value in np.ndenumerate(values):
        if show_figures and np.isfinite(value):
            red, green, blue, _ = colour_map(float(value))
            ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center_baseline", fontsize=5.5, color=ink, clip_on=True
            )
    for spine in axes.spines.values():
        spine.set_visible(False)


def _columns(axes: Axes, labels: Sequence[str]) -> None:
    if len(labels) > _MANY:
        axes.set_xticks(np.arange(len(labels)), labels, rotation=90)
    else:
        axes.set_xticks(np.arange(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)


def _scale(figure: Figure, axes: Axes, label: str) -> None:
    bar = figure.colorbar(axes.collections[0], ax=axes, location="top", fraction=0.05, aspect=30, pad=0.02)
    bar.set_label(label, fontsize=6.5)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "¼", "½", "¾", "1"])
    bar.outline.set_visible(False)


def critical_difference(board: Board) -> Figure:
    """Mean ranks over tasks, with bars over those that Nemenyi's test does not separate (Demsar 2006)."""
    names, ranks, difference = mean_ranks(board)
    groups = _groups(ranks, difference)
    half = ceil(len(names) / 2)
    depth = 0.16 * half + 0.09 * len(groups) + 0.1
    figure = new_figure(WIDTH, 0.75 + depth)
    axes = figure.subplots()
    axes.set_axis_off()
    last = len(names)
    axes.set_xlim(1 - 0.75 * (last - 1), last + 0.75 * (last - 1))
    axes.set_ylim(depth + 0.02, -0.62)
    axes.plot((1, last), (0, 0), color="black", linewidth=0.8)
    for tick in range(1, last + 1):
        axes.plot((tick, tick), (-0.05, 0), color="black", linewidth=0.8)
        if last <= _MANY or tick % 2:
            axes.text(tick, -0.09, str(tick), ha="center", va="bottom", fontsize=6.5)
    shown = min(difference, last - 1.0)
    axes.plot((1, 1 + shown), (-0.42, -0.42), color="black", linewidth=1.2)
    clipped = "" if shown == difference else " (beyond the scale)"
    axes.text(1, -0.47, f"critical difference {difference:.2f}{clipped}", va="bottom", fontsize=6.5)
    for number, (first, final) in enumerate(groups):
        level = 0.08 + 0.09 * number
        axes.plot((ranks[first] - 0.03, ranks[final] + 0.03), (level, level), color=GREY, linewidth=2.5)
    for number, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        on_left = number < half
        row = number if on_left else len(names) - 1 - number
        level = 0.16 + 0.09 * len(groups) + 0.16 * row
        edge = 1 - 0.04 * last if on_left else last + 0.04 * last
        colour = looks(board)[name].colour
        axes.plot((rank, rank, edge), (0, level, level), color=colour, linewidth=0.8)
        label = f"{short(name, 16)}  {rank:.2f}" if on_left else f"{rank:.2f}  {short(name, 16)}"
        axes.text(edge, level, f" {label} ", ha="right" if on_left else "left", va="center_baseline", fontsize=6.5)
    return figure


def mean_ranks(board: Board) -> tuple[list[str], list[float], float]:
    """Strategies by mean rank over tasks (by pi, 1 is best, ties shared), these ranks, and Nemenyi's difference.

    Raises ``NotDrawn`` with fewer than two tasks or strategies: there is nothing to take a mean of.
    """
    if len(board.tasks) < 2 or len(board.strategies) < 2:
        raise NotDrawn("Critical differences need two tasks and two strategies at least.")
    pi = {(cell.task, cell.strategy): cell.pi for cell in board.cells}
    table = np.array([[-pi.get((task, name), 0.0) for name in board.strategies] for task in board.tasks])
    ranks = rankdata(table, axis=1).mean(axis=0)
    several, tasks = len(board.strategies), len(board.tasks)
    quantile = float(studentized_range.ppf(1 - _ALPHA, several, np.inf)) / sqrt(2)
    order = sorted(range(several), key=lambda number: (ranks[number], board.strategies[number]))
    difference = quantile * sqrt(several * (several + 1) / (6 * tasks))
    return [board.strategies[number] for number in order], [float(ranks[number]) for number in order], difference


def _groups(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """First and last of every widest stretch of ``ranks`` within ``difference``."""
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(number for number in range(first, len(ranks)) if ranks[number] - ranks[first] <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
