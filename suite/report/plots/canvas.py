"""What all pictures share: how a strategy looks, labels, sizes, and the files that a figure becomes.

Drawn on figures of their own, so that a program's pyplot state and settings stay as they are. Colours are those of
Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart; markers and lines differ
too. Carbon is at the frozen reference, so that no picture depends on a grid.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import ceil
from typing import Any, Final

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
from suite.report import wording
from suite.score.board import RANDOM, Board

WIDTH: Final = 3.5  # inches: one column of a paper
WIDE: Final = 8.0
GREY: Final = "#767676"
PALE: Final = "#b0b0b0"
MINUS: Final = "\N{MINUS SIGN}"

_STYLE: Final = "style.mplstyle"
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_LINES: Final = ("-", (0, (5, 1)), "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (7, 1, 2, 1)), (0, (2, 1)))

#: Metadata by format that keep the date of drawing out of the file.
_METADATA: Final[dict[str, dict[str, Any]]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


class NotDrawn(Exception):
    """A picture that a board gives no figures for; the message says why, in a sentence."""


@dataclass(frozen=True)
class Look:
    """How a strategy is drawn, the same in every picture of a board. is_shown: in a colour of its own."""

    strategy: str
    colour: str
    marker: str
    line: Any
    is_shown: bool = True


@dataclass(frozen=True)
class Picture:
    """A drawn picture: its name, what it shows, and its bytes by file suffix (png, pdf, svg).

    size: width and height in CSS pixels. Without files, ``caption`` says why it was not drawn.
    """

    name: str
    title: str
    caption: str
    files: dict[str, bytes]
    size: tuple[int, int] = (0, 0)


def picture(name: str, title: str, caption: str, draw: Callable[[], Figure]) -> Picture:
    """What ``draw`` draws, in all formats. The same figures give the same bytes, whatever a program has set."""
    style = str(files("suite.report.plots") / _STYLE)
    with matplotlib.style.context(style, after_reset=True):
        try:
            figure = draw()
        except NotDrawn as reason:
            return Picture(name, title, str(reason), {})
        figure.draw_without_rendering()  # lays it out, once for all formats
        figure.set_layout_engine("none")
        width, height = figure.get_size_inches()
        return Picture(name, title, caption, _files(figure), (round(96 * width), round(96 * height)))


def _files(figure: Figure) -> dict[str, bytes]:
    drawn = {}
    for suffix, metadata in _METADATA.items():
        sink = io.BytesIO()
        figure.savefig(sink, format=suffix, metadata=metadata)
        drawn[suffix] = sink.getvalue()
    return drawn


def new_figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def looks(board: Board) -> dict[str, Look]:
    """The look of each strategy, best first. Random search is black; beyond six others, the rest are grey."""
    found: dict[str, Look] = {}
    coloured = 0
    for entry in board.entries:
        if entry.strategy == RANDOM:
            found[RANDOM] = Look(RANDOM, "#000000", "X", (0, (1, 1)))
        elif coloured < len(_COLOURS):
            found[entry.strategy] = Look(entry.strategy, _COLOURS[coloured], _MARKERS[coloured], _LINES[coloured])
            coloured += 1
        else:
            found[entry.strategy] = Look(entry.strategy, PALE, ".", "-", is_shown=False)
    return found


def legend(figure: Figure, board: Board, columns: int = 3) -> None:
    """Names of the strategies above the panels of ``figure``; those in grey have one name together."""
    every = looks(board).values()
    shown = [look for look in every if look.is_shown]
    handles = [_handle(look, short(look.strategy)) for look in shown]
    others = [look for look in every if not look.is_shown]
    if others:
        handles.append(_handle(others[0], f"{len(others)} more"))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _handle(look: Look, label: str) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, label=label)


def legend_height(board: Board, columns: int = 3) -> float:
    """Inches that ``legend`` takes."""
    return 0.17 * ceil(min(len(board.strategies), len(_COLOURS) + 2) / columns) + 0.08


def panels(figure: Any, tasks: Sequence[str], columns: int) -> dict[str, Axes]:
    """One panel a task, ``columns`` a row, with its name above it."""
    grid = figure.subplots(ceil(len(tasks) / columns), columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(tasks) :]:
        axes.set_axis_off()
    found = dict(zip(tasks, grid.flat, strict=False))
    for task, axes in found.items():
        axes.set_title(task_label(task, "\n"))
    return found


def kg(kwh: Any) -> Any:
    """kWh, a number or an array, as kg CO2e at the frozen reference."""
    return kwh * kg_co2e(1.0, REFERENCE, REFERENCE_PUE)


def carbon_label(board: Board) -> str:
    return wording.qualified("charged kg CO₂e", board.tier)


def list_downwards(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def list_height(count: int) -> float:
    """Inches of ``count`` lines of a list, one a strategy."""
    return 0.24 * max(2, count)


def short(name: str, most: int = 20) -> str:
    """``name`` as it is, but for its middle where it is long; a dollar sign must not start a formula."""
    line = " ".join(name.split())
    cut = line if len(line) <= most else f"{line[: most - 7]}…{line[-6:]}"
    return cut.replace("$", r"\$")


def task_label(task: str, separator: str) -> str:
    paradigm, _, name = task.partition("/")
    return f"{short(wording.paradigm_label(paradigm))}{separator}{short(name)}"
