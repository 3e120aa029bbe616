"""Pictures of a board: the ranking, performance against carbon, and energy by phase.

Drawn on figures of their own, so that a program's pyplot state and settings stay as they are. Colours are those of
Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart; markers and lines differ
too. All pictures are of energy and of carbon at the frozen reference, so that they do not depend on a grid.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import ceil
from typing import Any, Final

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
from suite.energy.ledger import CHARGED, PHASES, Phase
from suite.report import wording
from suite.report.tables import cells_of
from suite.score.board import Board
from suite.score.curve import Curve

_STYLE: Final = "style.mplstyle"
_WIDTH: Final = 3.5  # inches: one column of a paper
_WIDE: Final = 8.0
_TASKS_A_ROW: Final = 3
_FEW_SEEDS: Final = 5  # below that, quartiles say nothing: the band shows all seeds

_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_LINES: Final = ("-", "--", "-.", (0, (1, 1)))
_GREY: Final = "#767676"

_PHASE_COLOURS: Final[dict[Phase, str]] = {
    "ask": "#D55E00",
    "train": "#0072B2",
    "validate": "#56B4E9",
    "tell": "#E69F00",
    "idle": "#F0E442",
    "setup": "#ffffff",
    "test": "#ffffff",
    "resume": "#ffffff",
}
_HATCHES: Final[dict[Phase, str]] = {"setup": "////", "test": "\\\\\\\\", "resume": "xxxx"}

#: Metadata by format that keep the date of drawing out of the file.
_METADATA: Final[dict[str, dict[str, Any]]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@dataclass(frozen=True)
class _Look:
    """How a strategy is drawn, the same in every picture."""

    strategy: str
    colour: str
    marker: str
    line: Any


@dataclass(frozen=True)
class Picture:
    """A drawn picture: its name, what it shows, and its bytes by file suffix (png, pdf, svg)."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]


def pictures(board: Board) -> Iterator[Picture]:
    """Every picture of ``board``. The same board gives the same bytes."""
    energy = wording.energy_sentence(board.tier)
    drawn: Sequence[tuple[str, str, str, Callable[[Board], Figure]]] = (
        ("overview", "Overview", f"{_RANKING} {_PERFORMANCE} {_seeds_sentence(board)} {energy}", overview),
        ("ranking", "Ranking", f"{_RANKING} {energy}", ranking),
        ("performance", "Performance against carbon", f"{_PERFORMANCE} {_seeds_sentence(board)} {energy}", performance),
        ("energy", "Energy by phase", f"{_ENERGY} {energy}", energy_by_phase),
    )
    for name, title, caption, draw in drawn:
        yield Picture(name, title, caption, _files(board, draw))


_RANKING: Final = (
    "Pi with its interval, best on top, after the rank or the range of ranks that a strategy shares; H beside it. "
    "Dotted: random search."
)
_PERFORMANCE: Final = (
    "Normalised test performance of the incumbent (0: the default configuration, 1: best known) against the carbon "
    "charged so far, at the frozen reference; it ends at the budget."
)
_ENERGY: Final = (
    "Energy of all runs of a strategy. Hatched: not charged to it, since setup, test evaluations and resuming are off "
    "the clock."
)


def ranking(board: Board) -> Figure:
    """Forest plot of Pi."""
    figure = _figure(_WIDTH, 0.75 + 0.24 * max(2, len(board.entries)))
    _forest(figure.subplots(), board)
    return figure


def performance(board: Board) -> Figure:
    """s against kg CO2e, one panel a task, above one another."""
    legend_rows = ceil(len(board.strategies) / 3)
    figure = _figure(_WIDTH, 0.45 + 0.17 * legend_rows + 1.5 * len(board.tasks))
    panels = figure.subplots(len(board.tasks), squeeze=False, sharey=True)[:, 0]
    for axes, task in zip(panels, board.tasks, strict=True):
        _performance(axes, board, task)
        axes.set_title(_task_label(task, " / "))
    panels[-1].set_xlabel(_carbon_label(board))
    figure.supylabel("normalised performance s", fontsize=7)
    figure.legend(handles=_legend(board), loc="outside upper center", ncols=3)
    return figure


def energy_by_phase(board: Board) -> Figure:
    """Stacked bars of energy, one a strategy."""
    figure = _figure(_WIDTH, 1.0 + 0.24 * max(2, len(board.entries)))
    axes = figure.subplots()
    names = [entry.strategy for entry in board.entries]
    by_phase = {name: _microjoules_by_phase(board, name) for name in names}
    factor, unit = wording.unit(max(wording.kwh(sum(phases.values())) for phases in by_phase.values()))
    start = np.zeros(len(names))
    for phase in _stacked(list(by_phase.values())):
        widths = np.array([wording.kwh(by_phase[name].get(phase, 0)) * factor for name in names])
        axes.barh(
            range(len(names)),
            widths,
            left=start,
            height=0.65,
            color=_PHASE_COLOURS[phase],
            hatch=_HATCHES.get(phase, ""),
            edgecolor="#333333",
            linewidth=0.3,
            label=phase,
        )
        start += widths
    _list_downwards(axes, [_short(name) for name in names])
    axes.set_xlim(0, max(float(start.max()) * 1.03, 1e-9))
    axes.set_xlabel(wording.qualified(f"energy of all runs / {unit}", board.tier))
    axes.grid(axis="x")
    figure.legend(loc="outside upper center", ncols=4, handlelength=1.4)
    return figure


def overview(board: Board) -> Figure:
    """The ranking, and the performance on each task beside it; the names on the left are the legend."""
    columns = min(_TASKS_A_ROW, len(board.tasks))
    rows = ceil(len(board.tasks) / columns)
    figure = _figure(_WIDE, max(0.75 + 0.24 * len(board.entries), 1.9 * rows, 2.1))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(3.2, 4.8))[0]
    _forest(left.subplots(), board)
    panels = right.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, task in zip(panels.flat, board.tasks, strict=False):
        _performance(axes, board, task)
        axes.set_title(_task_label(task, "\n"))
    for axes in panels.flat[len(board.tasks) :]:
        axes.set_axis_off()
    right.supxlabel(_carbon_label(board), fontsize=7)
    right.supylabel("normalised performance s", fontsize=7)
    return figure


def _forest(axes: Axes, board: Board) -> None:
    for row, entry in enumerate(board.entries):
        look = _look(board, entry.strategy)
        if entry.pi_interval:
            axes.plot(entry.pi_interval, (row, row), color=look.colour, solid_capstyle="butt")
        axes.plot(entry.pi, row, marker=look.marker, color=look.colour, markersize=4.5, linestyle="none")
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
    _list_downwards(
        axes, [f"{wording.ranks(entry, wording.EN_DASH)}  {_short(entry.strategy)}" for entry in board.entries]
    )
    axes.axvline(0.5, color=_GREY, linestyle=":", linewidth=0.8, zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "¼", "½", "¾", "1"))
    axes.set_xlabel("Π" if board.tier == "measured" else f"Π (energy {board.tier})")
    axes.grid(axis="x")


def _performance(axes: Axes, board: Board, task: str) -> None:
    runs = [curve for curve in board.curves if curve.task == task]
    for strategy in board.strategies:
        own = [curve for curve in runs if curve.strategy == strategy]
        if own:
            _draw_curves(axes, own, _start_kg(runs), _band(board), _look(board, strategy))
    axes.axhline(0, color=_GREY, linewidth=0.6, zorder=0)
    if runs:
        budget = _kg(max(curve.budget_kwh for curve in runs))
        axes.axvline(budget, color=_GREY, linestyle=":", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(_start_kg(runs), budget * 1.15)
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(top=1.04)
    axes.grid(axis="y")


def _draw_curves(axes: Axes, runs: Sequence[Curve], start_kg: float, band: tuple[float, float], look: _Look) -> None:
    """The median over seeds as a step curve, with a band between the quantiles ``band``."""
    kwh, s = _steps(runs)
    kg = np.maximum(_kg(kwh), start_kg)  # a logarithmic axis has no 0
    low, high = np.quantile(s, band, axis=0)
    if len(runs) > 1:
        axes.fill_between(kg, low, high, step="post", color=look.colour, alpha=0.15, linewidth=0)
    axes.step(
        kg,
        np.median(s, axis=0),
        where="post",
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markevery=0.3,
    )


def _steps(runs: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """kWh at which any of ``runs`` changes, up to the budget, shape (n,), and s from there on, shape (runs, n)."""
    budget = max(curve.budget_kwh for curve in runs)
    changes = np.unique([0.0, *(kwh for curve in runs for kwh in curve.kwh if kwh < budget), budget])
    s = [np.asarray(curve.s)[np.searchsorted(curve.kwh, changes, side="right") - 1] for curve in runs]
    return changes, np.array(s)


def _start_kg(runs: Sequence[Curve]) -> float:
    """Where the axis of carbon begins: before the first change of any incumbent, and at least a decade before B."""
    budget = max(curve.budget_kwh for curve in runs)
    first = min((kwh for curve in runs for kwh in curve.kwh if kwh > 0), default=budget)
    return float(_kg(min(budget / 50, 0.7 * first)))


def _kg(kwh: Any) -> Any:
    """kWh, a number or an array, as kg CO2e at the frozen reference."""
    return kwh * kg_co2e(1.0, REFERENCE, REFERENCE_PUE)


def _band(board: Board) -> tuple[float, float]:
    """The quantiles over seeds that a band lies between."""
    return (0, 1) if len(board.seeds) < _FEW_SEEDS else (0.25, 0.75)


def _seeds_sentence(board: Board) -> str:
    if len(board.seeds) == 1:
        return "One seed."
    return f"Line: median over seeds; band: {'all seeds' if _band(board) == (0, 1) else 'the middle half of them'}."


def _carbon_label(board: Board) -> str:
    return wording.qualified("charged kg CO₂e", board.tier)


def _look(board: Board, strategy: str) -> _Look:
    number = board.strategies.index(strategy)
    shifted = number + number // len(_COLOURS)  # a colour that comes again gets another marker and line
    return _Look(
        strategy,
        _COLOURS[number % len(_COLOURS)],
        _MARKERS[shifted % len(_MARKERS)],
        _LINES[shifted % len(_LINES)],
    )


def _legend(board: Board) -> list[Line2D]:
    looks = [_look(board, strategy) for strategy in board.strategies]
    return [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, label=_short(look.strategy))
        for look in looks
    ]


def _microjoules_by_phase(board: Board, strategy: str) -> dict[str, int]:
    phases: dict[str, int] = {}
    for cell in cells_of(board, strategy):
        for phase, microjoules in cell.microjoules_by_phase.items():
            phases[phase] = phases.get(phase, 0) + microjoules
    return phases


def _stacked(bars: Sequence[dict[str, int]]) -> list[Phase]:
    """The phases that occur: charged ones first, largest first, so that bars can be compared from the left."""
    total = {phase: sum(bar.get(phase, 0) for bar in bars) for phase in PHASES}
    return sorted((phase for phase in PHASES if total[phase]), key=lambda phase: (phase not in CHARGED, -total[phase]))


def _list_downwards(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _short(name: str, most: int = 20) -> str:
    """``name`` as it is, but for its middle where it is long; a dollar sign must not start a formula."""
    short = name if len(name) <= most else f"{name[: most - 7]}…{name[-6:]}"
    return short.replace("$", r"\$")


def _task_label(task: str, separator: str) -> str:
    paradigm, _, name = task.partition("/")
    return f"{wording.paradigm_label(paradigm)}{separator}{_short(name)}"


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _files(board: Board, draw: Callable[[Board], Figure]) -> dict[str, bytes]:
    """The picture by file suffix."""
    style = str(files("suite.report") / _STYLE)
    drawn = {}
    with matplotlib.style.context(style, after_reset=True):
        figure = draw(board)
        figure.draw_without_rendering()  # lays it out, once for all formats
        figure.set_layout_engine("none")
        for suffix, metadata in _METADATA.items():
            sink = io.BytesIO()
            figure.savefig(sink, format=suffix, metadata=metadata)
            drawn[suffix] = sink.getvalue()
    return drawn
