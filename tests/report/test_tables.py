"""The ranking as a DataFrame, text, Markdown, CSV, LaTeX and JSON."""

import io
import json
import math
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, Grid, kg_co2e
from suite.report import wording
from suite.report.tables import ranking, write
from suite.score.board import score
from tests.report.boards import make_board, make_logs

GRID = Grid("XYZ", "Nowhere", 0.1, 2020, "made up")
FOR_PEOPLE = ["table", "md", "latex"]
STYLES = [*FOR_PEOPLE, "csv", "json"]


def test_the_ranking_has_a_row_a_strategy_best_first() -> None:
    board = make_board()
    frame = ranking(board, GRID, 1.5)
    assert list(frame["strategy"]) == [entry.strategy for entry in board.entries]
    assert frame["Pi"].is_monotonic_decreasing
    assert list(frame["rank"]) == ["1-2", "1-3", "2-4", "3-5", "4-5"]
    assert frame["trials"].eq(3 * 2 * 41).all()


def test_kg_are_of_the_total_on_the_given_grid() -> None:
    board = make_board(tier="measured")
    frame = ranking(board, GRID, 1.5)
    assert frame["kg CO2e"].to_list() == pytest.approx([entry.kwh_total * 0.15 for entry in board.entries])


def test_the_pue_is_the_frozen_one_where_none_is_given() -> None:
    frame = ranking(make_board(tier="measured"), REFERENCE)
    total = frame["kWh total"][0]
    assert frame["kg CO2e"][0] == pytest.approx(kg_co2e(total, REFERENCE, REFERENCE_PUE))


def test_a_grid_changes_no_rank() -> None:
    board = make_board()
    here, there = ranking(board, GRID, 1.0), ranking(board, REFERENCE, 2.0)
    energies = [name for name in here.columns.astype(str) if "kg CO2e" in name]
    pd.testing.assert_frame_equal(here.drop(columns=energies), there.drop(columns=energies))


def test_csv_round_trip() -> None:
    board = make_board()
    read = pd.read_csv(io.StringIO(write(board, GRID, 1.5, "csv")), dtype={"rank": str})
    pd.testing.assert_frame_equal(read, ranking(board, GRID, 1.5), check_exact=False, rtol=1e-12)


def test_json_holds_everything_and_no_nan() -> None:
    board = make_board(flat=True)
    entries = tuple(replace(entry, headline=math.inf) for entry in board.entries)
    record = json.loads(write(replace(board, entries=entries), GRID, 1.5, "json"))
    assert record["notes"] == list(board.notes)
    assert record["grid"] == asdict(GRID)
    assert (record["pue"], record["tier"], record["reference"]) == (1.5, "estimated", "local random search")
    assert record["entries"][0]["headline"] is None
    assert record["entries"][0]["headline_interval"] is None
    assert len(record["cells"]) == len(board.cells)
    assert record["improvement"][0] == {"strategy": "tpe", "over": "hyperband", "probability": 0.5}


@pytest.mark.parametrize("style", STYLES)
def test_estimated_energy_is_called_so(style: str) -> None:
    assert "estimated" in write(make_board(), GRID, 1.5, style)
    assert "estimated" not in write(make_board(tier="measured", notes=()), GRID, 1.5, style)


def test_columns_of_estimated_energy_say_so() -> None:
    energies = {"kWh charged", "kWh total", "kg CO2e"}
    assert {f"{name} (estimated)" for name in energies} <= set(ranking(make_board(), GRID, 1.5).columns)
    assert energies <= set(ranking(make_board(tier="measured"), GRID, 1.5).columns)


@pytest.mark.parametrize("style", FOR_PEOPLE)
def test_people_are_told_how_far_to_trust_estimated_kg(style: str) -> None:
    text = " ".join(write(make_board(), GRID, 1.5, style).split())
    assert "within a factor of 3" in text
    assert "made up" in text


@pytest.mark.parametrize("style", FOR_PEOPLE)
def test_notes_stand_under_the_table(style: str) -> None:
    text = write(make_board(notes=("One seed only.", "Provisional.")), GRID, 1.5, style)
    assert text.index("default") < text.index("One seed only.") < text.index("Provisional.")
    assert text.endswith("\n")


@pytest.mark.parametrize("style", FOR_PEOPLE)
def test_intervals_are_in_brackets_and_what_is_not_defined_says_so(style: str) -> None:
    assert "0.70 [0.62, 0.76]" in write(make_board(), GRID, 1.5, style)
    flat = write(make_board(flat=True), GRID, 1.5, style)
    assert "not defined" in flat
    assert "[" not in flat.replace("\\\\[", "")


def test_latex_escapes_what_it_would_take_for_commands() -> None:
    text = write(make_board(strategies=(r"50%_a&b$c#d{e}~f^g\h<", "random")), GRID, 1.5, "latex")
    escaped = r"50\%\_a\&b\$c\#d\{e\}\textasciitilde{}f\textasciicircum{}g\textbackslash{}h\textless{}"
    assert f"& {escaped} &" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert text.count("{") == text.count("}")


def test_markdown_cells_stay_cells() -> None:
    text = write(make_board(strategies=("a|b\nc<i>", "random")), GRID, 1.5, "md")
    row = next(line for line in text.splitlines() if "a" in line and line.startswith("| 1"))
    assert r"a\|b c\<i\>" in row
    header = text.splitlines()[0]
    assert row.replace(r"\|", "").count("|") == header.count("|")


def test_rich_markup_in_a_name_is_no_markup() -> None:
    assert "[red]x[/red]" in write(make_board(strategies=("[red]x[/red]", "random")), GRID, 1.5, "table")


def test_the_terminal_table_fits_a_terminal() -> None:
    assert max(map(len, write(make_board(), GRID, 1.5, "table").splitlines())) <= 100


def test_another_style_is_refused() -> None:
    with pytest.raises(ValueError, match="html"):
        write(make_board(), GRID, 1.5, "html")


@pytest.mark.parametrize("style", STYLES)
def test_a_pue_below_one_is_refused(style: str) -> None:
    with pytest.raises(ValueError, match="PUE"):
        write(make_board(), GRID, 0.5, style)


@pytest.mark.parametrize("style", STYLES)
def test_a_scored_board_is_written(style: str) -> None:
    board = score(make_logs())
    text = write(board, GRID, 1.5, style)
    assert "tpe" in text
    if style in FOR_PEOPLE:
        assert "provisional" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not defined"),
        (0.0, "0"),
        (0.42, "0.420"),
        (9.9999, "10.0"),
        (1234.5, "1234"),
        (0.00123, "0.00123"),
        (1.23e-5, "1.23e-05"),
        (-1.5, "-1.50"),
        (4.2e7, "4.20e+07"),
        (math.inf, "inf"),
    ],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert wording.figure(value) == text


@pytest.mark.parametrize(("kwh", "unit"), [(2.0, "kWh"), (0.5, "Wh"), (1e-4, "mWh"), (0.0, "mWh")])
def test_units_keep_their_factor(kwh: float, unit: str) -> None:
    factor, name = wording.unit(kwh)
    assert name == unit
    assert factor == {"kWh": 1, "Wh": 1e3, "mWh": 1e6}[unit]


def test_the_main_table_says_what_was_reached_and_whether_the_runs_are_whole() -> None:
    frame = ranking(make_board(), GRID, 1.5)
    assert {"s(B)", "success at 0.9", "Pi low over tasks", "Pi high over tasks", "tier", "verified"} <= set(frame)
    assert frame["success at 0.9"].to_list() == [2 / 6] * 5
    text = write(make_board(), GRID, 1.5, "table")
    assert "2/6" in text
    assert "Verified" in text


def test_markdown_renders_as_one_table_of_all_rows() -> None:
    board = make_board(strategies=("a|b", "<i>", "*c*", "random"))
    html = MarkdownIt("commonmark").enable("table").render(write(board, GRID, 1.5, "md"))
    assert html.count("<table>") == 1
    assert html.count("<tr>") == 1 + len(board.entries)
    assert html.count("<td") == len(board.entries) * html.count("<th ") + len(board.entries) * html.count("<th>")
    for name in ("a|b", "&lt;i&gt;", "*c*"):
        assert f"<td>{name}</td>" in html


def test_latex_numbers_are_aligned_and_what_is_none_is_braced() -> None:
    text = write(make_board(), GRID, 1.5, "latex")
    assert r"% \usepackage{booktabs,siunitx}" in text
    assert r"\begin{tabular}{llrrSrSSr}" in text
    assert "{Trials}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX is installed here")
def test_latex_compiles(tmp_path: Path) -> None:
    table = write(make_board(strategies=(r"50%_a&b$c#d{e}~f^g\h<", "random")), GRID, 1.5, "latex")
    document = rf"\documentclass{{article}}\usepackage{{booktabs,siunitx}}\begin{{document}}{table}\end{{document}}"
    (tmp_path / "table.tex").write_text(document)
    made = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:]
