"""Pictures of energy by phase."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from suite.energy.ledger import CHARGED, PHASES, Phase
from suite.report import wording
from suite.report.plots.canvas import WIDTH, list_downwards, list_height, new_figure, short, task_label
from suite.report.tables import cells_of
from suite.score.board import Board

_COLOURS: Final[dict[Phase, str]] = {
    "ask": "#D55E00",
    "train": "#0072B2",
    "validate": "#56B4E9",
    "tell": "#E69F00",
    "idle": "#F0E442",
}
_HATCHES: Final[dict[Phase, str]] = {"setup": "////", "test": "\\\\\\\\", "resume": "xxxx"}


def by_strategy(board: Board) -> Figure:
    """Stacked bars of the energy of all runs, one a strategy."""
    bars = {short(entry.strategy): _phases(board, entry.strategy) for entry in board.entries}
    return _bars(board, bars, "energy of all runs")


def of_strategy(board: Board, strategy: str) -> Figure:
    """Stacked bars of the energy of one run, one a task."""
    bars = {
        task_label(cell.task, " / "): {
            phase: amount / len(cell.seeds) for phase, amount in cell.microjoules_by_phase.items()
        }
        for cell in cells_of(board, strategy)
    }
    return _bars(board, bars, "energy of one run")


def _bars(board: Board, bars: Mapping[str, Mapping[str, float]], label: str) -> Figure:
    figure = new_figure(WIDTH, 1.0 + list_height(len(bars)))
    axes = figure.subplots()
    factor, unit = wording.unit(max(wording.kwh(sum(phases.values())) for phases in bars.values()))
    start = np.zeros(len(bars))
    for phase in _stacked(list(bars.values())):
        widths = np.array([wording.kwh(phases.get(phase, 0)) * factor for phases in bars.values()])
        axes.barh(
            np.arange(len(bars)),
            widths,
            left=start,
            height=0.65,
            color=_COLOURS.get(phase, "#ffffff"),
            hatch=_HATCHES.get(phase, ""),
            edgecolor="#333333",
            linewidth=0.3,
            label=phase,
        )
        start += widths
    list_downwards(axes, list(bars))
    axes.set_xlim(0, max(float(start.max()) * 1.03, 1e-9))
    axes.set_xlabel(wording.qualified(f"{label} / {unit}", board.tier))
    axes.grid(axis="x")
    figure.legend(loc="outside upper center", ncols=4, handlelength=1.4)
    return figure


def _phases(board: Board, strategy: str) -> Mapping[str, int]:
    phases: Counter[str] = Counter()
    for cell in cells_of(board, strategy):
        phases.update(cell.microjoules_by_phase)
    return phases


def _stacked(bars: Sequence[Mapping[str, float]]) -> list[Phase]:
    """The phases that occur: charged ones first, largest first, so that bars can be compared from the left."""
    total = {phase: sum(bar.get(phase, 0) for bar in bars) for phase in PHASES}
    return sorted((phase for phase in PHASES if total[phase]), key=lambda phase: (phase not in CHARGED, -total[phase]))
