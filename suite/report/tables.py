"""The ranking as a table: a DataFrame for programs, and text, Markdown, CSV, LaTeX and JSON from it.

Energies that no counter measured are called so in every header, and every table for people ends with the board's notes.
"""

import io
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from suite.energy.carbon import REFERENCE_PUE, Place, kg_co2e
from suite.report import wording
from suite.score.board import HIGH, Board, Cell, Entry

if TYPE_CHECKING:
    import pandas as pd

_LAST: Final = 8  # columns after those of the paradigms
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")
_WIDTH: Final = 100  # of running text beside a table in a terminal
_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class Printed:
    """A table for people: all cells as they are printed. The first ``left`` columns are words, the others figures."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int
    caption: str
    notes: tuple[str, ...]


def ranking(board: Board, grid: Place, pue: float | None = None) -> "pd.DataFrame":
    """The ranking, one row a strategy, best first. ``pue``: the frozen reference where None.

    ``H`` and its bounds are in 1/kg, ``kg CO2e`` is of all energy spent, on ``grid``. ``kWh low`` and ``kWh high``
    bound the total by the errors of the meters, ``kWh net`` leaves out the power at rest. What is not defined is NaN.
    Raises ``ValueError`` where ``pue`` is below 1, or ``grid`` is a trace that does not cover the runs.
    """
    import pandas as pd

    return pd.DataFrame([_row(board, entry, grid, REFERENCE_PUE if pue is None else pue) for entry in board.entries])


def printed(board: Board, grid: Place, pue: float, dash: str = "-") -> Printed:
    """The ranking with all its columns, for a page."""
    paradigms = _paradigms(board)
    by_paradigm = (f"Pi {wording.paradigm_label(name)}" for name in paradigms)
    rows = tuple(
        (
            wording.ranks(entry, dash),
            entry.strategy,
            entry.family,
            wording.headline(entry),
            wording.aggregate(entry),
            *(wording.share(entry.pi_by_paradigm[name]) if name in entry.pi_by_paradigm else "" for name in paradigms),
            *_last_cells(board, entry, grid, pue),
        )
        for entry in board.entries
    )
    energies = tuple(wording.qualified(label, board.tier) for label in ("kWh charged", "kWh total", "kg CO2e"))
    last = ("s(B)", f"At {HIGH:g}", "Trials", *energies, "Tier", "Verified")
    headers = ("Rank", "Strategy", "Family", "H (1/kg)", "Pi", *by_paradigm, *last)
    return Printed(headers, rows, 3, caption(board, grid, pue), board.notes)


def _last_cells(board: Board, entry: Entry, grid: Place, pue: float) -> tuple[str, ...]:
    """The ``_LAST`` columns: what was reached, and what it took."""
    return (
        wording.share(entry.final_s),
        f"{entry.reached}/{entry.runs + entry.missing}",
        str(_trials(board, entry)),
        *map(wording.figure, (entry.kwh, entry.kwh_total, spent_kg(entry, grid, pue))),
        board.tier,
        wording.yes(entry.whole),
    )


def caption(board: Board, grid: Place, pue: float) -> str:
    """What every table for people says beside its figures."""
    return " ".join(
        (
            f"{wording.size_sentence(board)} H: performance per kg CO2e at the frozen reference.",
            f"Pi: 0 does nothing, 1/2 is random search, 1 the limit. {wording.ranks_sentence(board)}",
            f"s(B): test performance at the end, 0 is the default and 1 the best known. At {HIGH:g}: runs that came to "
            f"s = {HIGH:g}. Verified: all runs are there, have ended, and sum to what their ledgers counted.",
            wording.energy_sentence(board.tier),
            wording.grid_sentence(grid, pue),
        )
    )


def write(board: Board, grid: Place, pue: float, style: str) -> str:
    """The ranking in ``style``: table, md, csv, latex or json. Ends in a line break. Raises ``ValueError``."""
    writers: Mapping[str, Callable[[Board, Place, float], str]] = {
        "table": _text,
        "md": _markdown,
        "csv": lambda board, grid, pue: ranking(board, grid, pue).to_csv(index=False, lineterminator="\n"),
        "latex": _latex,
        "json": lambda board, grid, pue: json.dumps(record(board, grid, pue), indent=2, allow_nan=False) + "\n",
    }
    if style not in writers:
        raise ValueError(f"a table is written as one of {', '.join(writers)}, got {style!r}")
    return writers[style](board, grid, pue)


def record(board: Board, grid: Place, pue: float) -> dict[str, Any]:
    """The whole board as JSON can hold it; what is not defined or not finite is None."""
    plain: dict[str, Any] = finite(
        {
            "tier": board.tier,
            "energy": wording.energy_sentence(board.tier),
            "reference": board.reference,
            "budget_multiple": board.budget_multiple,
            "grid": grid.to_record(),
            "pue": pue,
            "tasks": board.tasks,
            "seeds": board.seeds,
            "notes": board.notes,
            "entries": [
                {
                    **asdict(entry),
                    "trials": _trials(board, entry),
                    "kg_co2e": spent_kg(entry, grid, pue),
                }
                for entry in board.entries
            ],
            "cells": [asdict(cell) for cell in board.cells],
            "improvement": [
                {"strategy": better, "over": worse, "probability": probability}
                for (better, worse), probability in board.improvement.items()
            ],
        }
    )
    return plain


def _row(board: Board, entry: Entry, grid: Place, pue: float) -> dict[str, Any]:
    headline_low, headline_high = entry.headline_interval or (None, None)
    pi_low, pi_high = entry.pi_interval or (None, None)
    numbers = {
        "H 1/kg": entry.headline,
        "H low": headline_low,
        "H high": headline_high,
        "Pi": entry.pi,
        "Pi low": pi_low,
        "Pi high": pi_high,
        "Pi low over tasks": (entry.task_interval or (None, None))[0],
        "Pi high over tasks": (entry.task_interval or (None, None))[1],
        **{f"Pi {paradigm}": entry.pi_by_paradigm.get(paradigm) for paradigm in _paradigms(board)},
    }
    energies = {
        "kWh charged": entry.kwh,
        "kWh total": entry.kwh_total,
        "kWh low": entry.kwh_interval[0],
        "kWh high": entry.kwh_interval[1],
        "kWh net": math.nan if entry.kwh_net is None else entry.kwh_net,
        "kg CO2e": spent_kg(entry, grid, pue),
    }
    return {
        "rank": wording.ranks(entry),
        "strategy": entry.strategy,
        "family": entry.family,
        **{name: math.nan if value is None else value for name, value in numbers.items()},
        "s(B)": entry.final_s,
        f"success at {HIGH:g}": entry.reached / (entry.runs + entry.missing),
        "trials": _trials(board, entry),
        **{wording.qualified(name, board.tier): value for name, value in energies.items()},
        "tier": board.tier,
        "verified": entry.whole,
    }


def write_printed(table: Printed, style: str) -> str:
    """``table`` in a ``style`` for people: table, md or latex. Ends in a line break. Raises ``ValueError``."""
    writers = {"table": _as_text, "md": _as_markdown, "latex": _as_latex}
    if style not in writers:
        raise ValueError(f"this table is written as one of {', '.join(writers)}, got {style!r}")
    return writers[style](table, [table])


def _text(board: Board, grid: Place, pue: float) -> str:
    table = printed(board, grid, pue)
    return _as_text(table, split(table, brief=True))


def _as_text(table: Printed, parts: Sequence[Printed]) -> str:
    notes = (textwrap.fill(note, _WIDTH, initial_indent="- ", subsequent_indent="  ") + "\n" for note in table.notes)
    texts = (*map(_ruled, parts), textwrap.fill(table.caption, _WIDTH) + "\n", "".join(notes))
    return "\n".join(text for text in texts if text)


def split(table: Printed, brief: bool) -> list[Printed]:
    """``table`` as a page can hold it: the main columns, then Pi by paradigm where there are several.

    brief: without the family, the energies, which follow from the kg, and the tier, which the headers say.
    """
    after = len(table.headers) - _LAST
    last = range(after, len(table.headers))
    main = [0, 1, 3, 4, *last[:3], last[5], last[7]] if brief else [*range(5), *last]
    paradigms = list(range(5, after))
    return [_columns(table, main), *([_columns(table, [0, 1, *paradigms])] if len(paradigms) > 1 else [])]


def _columns(table: Printed, chosen: list[int]) -> Printed:
    return Printed(
        tuple(table.headers[column] for column in chosen),
        tuple(tuple(row[column] for column in chosen) for row in table.rows),
        sum(column < table.left for column in chosen),
        "",
        (),
    )


def _ruled(table: Printed) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    ruled = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for number, header in enumerate(table.headers):
        justify: Literal["left", "right"] = "left" if number < table.left else "right"
        ruled.add_column(Text(header.replace(" (", "\n(")), justify=justify, no_wrap=True)
    for row in table.rows:
        ruled.add_row(*(Text(_one_line(cell)) for cell in row))
    console = Console(file=io.StringIO(), width=10_000, color_system=None)
    with console.capture() as capture:
        console.print(ruled)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _markdown(board: Board, grid: Place, pue: float) -> str:
    table = printed(board, grid, pue)
    return _as_markdown(table, [table])


def _as_markdown(table: Printed, parts: Sequence[Printed]) -> str:
    """One table: a page of Markdown scrolls."""
    rule = ["---" if number < table.left else "---:" for number in range(len(table.headers))]
    lines = [_piped(table.headers), _piped(rule), *(_piped(row) for row in table.rows)]
    notes = [f"- {_escape_markdown(note)}" for note in table.notes]
    return "\n".join([*lines, "", _escape_markdown(table.caption), *(["", *notes] if notes else []), ""])


def _piped(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(_escape_markdown(cell) for cell in cells) + " |"


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*<>|])", r"\\\1", _one_line(text))


def _latex(board: Board, grid: Place, pue: float) -> str:
    table = printed(board, grid, pue, dash="--")
    return _as_latex(table, split(table, brief=True))


def _as_latex(table: Printed, parts: Sequence[Printed]) -> str:
    """Booktabs tables under one caption, with the notes below them."""
    lines = [
        r"% \usepackage{booktabs,siunitx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape_latex(table.caption)}}}",
        "\n\\par\\medskip\n".join(map(_tabular, parts)),
        *(rf"\par\smallskip\raggedright\footnotesize {_escape_latex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _tabular(table: Printed) -> str:
    """Columns of plain numbers are siunitx's S, which aligns them at the point; its other cells are in braces."""
    numeric = [number >= table.left and _is_numeric(table, number) for number in range(len(table.headers))]
    alignment = "".join(
        "l" if number < table.left else "S" if numeric[number] else "r" for number in range(len(table.headers))
    )

    def row(cells: Sequence[str]) -> str:
        written = (
            text if not column or _NUMBER.fullmatch(text) else f"{{{text}}}"
            for text, column in zip(map(_escape_latex, cells), numeric, strict=True)
        )
        return " & ".join(written) + r" \\"

    lines = [
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        row(table.headers),
        r"\midrule",
        *map(row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _is_numeric(table: Printed, column: int) -> bool:
    """Whether some cells of a column are numbers, and none has an interval beside it."""
    cells = [row[column] for row in table.rows]
    return any(map(_NUMBER.fullmatch, cells)) and not any("[" in cell or "/" in cell for cell in cells)


def _escape_latex(text: str) -> str:
    return _one_line(text).translate(_LATEX)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _paradigms(board: Board) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.split("/")[0] for task in board.tasks))


def _trials(board: Board, entry: Entry) -> int:
    return sum(cell.trials for cell in cells_of(board, entry.strategy))


def spent_kg(entry: Entry, place: Place, pue: float) -> float:
    """kg CO2e of all energy that the runs of ``entry`` spent at ``place``."""
    return kg_co2e(entry.kwh_total, place, pue, entry.hours)


def cells_of(board: Board, strategy: str) -> list[Cell]:
    return [cell for cell in board.cells if cell.strategy == strategy]


def finite(value: Any) -> Any:
    """``value`` with None in place of every float that JSON cannot write."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case _:
            return value
