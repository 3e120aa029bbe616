"""Pictures: three formats, the same bytes for the same board, no trace in the program's pyplot."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from suite.report.plots import Picture, canvas, carbon, energy, fronts, of_strategy, of_task, pictures, ranking
from suite.score.board import Board, score
from suite.score.curve import Curve
from suite.score.details import details
from tests.report.boards import TASKS, make_board, make_logs

SMALL = make_board(tasks=TASKS[:1], strategies=("tpe", "random"))
NAMES = [
    "overview",
    "ranking",
    "regret",
    "ecdf",
    "profile",
    "front",
    "paradigms",
    "improvement",
    "gap",
    "energy",
    "critical-difference",
]
STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
DRAW: dict[str, Callable[[Board], Figure]] = {
    "overview": ranking.overview,
    "forest": ranking.forest,
    "regret": carbon.regret,
    "ecdf": carbon.ecdf,
    "profile": lambda board: fronts.profile(board, details(board)),
    "front": fronts.front,
    "gap": ranking.gap,
    "heat map": ranking.heat_map,
    "improvement": ranking.improvement,
    "energy": energy.by_strategy,
    "critical difference": ranking.critical_difference,
    "task": lambda board: carbon.task(board, board.tasks[0]),
    "strategy": lambda board: carbon.strategy(board, board.strategies[0]),
    "energy of a strategy": lambda board: energy.of_strategy(board, board.strategies[0]),
}
BOARDS = {
    "one of each": make_board(tasks=TASKS[:1], strategies=("random",), seeds=1),
    "flat": make_board(tasks=TASKS[:1], flat=True),
    "odd names": make_board(
        tasks=TASKS[:2], strategies=("no $^{formula$", "_hidden", "<script>", "long " * 10), seeds=6
    ),
    "many": make_board(strategies=tuple(f"strategy-{number}" for number in range(14)), tasks=(*TASKS, "a/b"), seeds=1),
    "scored": score(make_logs()),
}


@pytest.fixture(scope="module")
def drawn() -> list[Picture]:
    return [*pictures(SMALL, details(SMALL)), of_task(SMALL, TASKS[0], "task"), *of_strategy(SMALL, "tpe", "tpe")]


def test_every_picture_in_three_formats(drawn: list[Picture]) -> None:
    assert [one.name for one in drawn] == [*NAMES, "task", "tpe-runs", "tpe-energy"]
    for one in (one for one in drawn if one.files):
        assert {suffix: content[:4] for suffix, content in one.files.items()} == {
            suffix: start[:4] for suffix, start in STARTS.items()
        }
        assert all(len(content) > 2000 for content in one.files.values())
        assert "estimated" in one.caption or one.name == "gap"  # which has no energy in it
        assert one.size[0] in (336, 768)  # one column of a paper, or the page


def test_pictures_carry_no_date(drawn: list[Picture]) -> None:
    assert all(b"Date" not in one.files["pdf"] and b"<dc:date>" not in one.files["svg"] for one in drawn if one.files)


def test_what_cannot_be_drawn_says_why(drawn: list[Picture]) -> None:
    missing = {one.name: one.caption for one in drawn if not one.files}
    assert set(missing) == {"profile", "critical-difference"}
    assert "Random search reaches" in missing["profile"]
    assert "two tasks" in missing["critical-difference"]
    with pytest.raises(canvas.NotDrawn, match="one strategy"):
        ranking.improvement(BOARDS["one of each"])


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_no_text_is_cut_off_or_lies_on_another(board: Board) -> None:
    style = str(Path(canvas.__file__).with_name("style.mplstyle"))
    with matplotlib.style.context(style, after_reset=True):
        for name, draw in DRAW.items():
            try:
                figure = draw(board)
            except canvas.NotDrawn:
                continue
            figure.draw_without_rendering()
            _check_texts(figure, name)


def _check_texts(figure: Figure, name: str) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox
    for axes in figure.axes:
        ticks = [_shown(axes.xaxis), _shown(axes.yaxis)] if axes.axison else []
        for label in [
            axes.title,
            axes.xaxis.label,
            axes.yaxis.label,
            *axes.texts,
            *(each for both in ticks for each in both),
        ]:
            box = label.get_window_extent(renderer)
            if label.get_text() and label.get_visible():
                assert box.x0 > page.x0 - 1, f"{name}: {label.get_text()}"
                assert box.x1 < page.x1 + 1, f"{name}: {label.get_text()}"
                assert page.y0 - 1 < box.y0 <= box.y1 < page.y1 + 1, f"{name}: {label.get_text()}"
        for labels in ticks:
            upright = [each for each in labels if each.get_text() and each.get_visible() and not each.get_rotation()]
            for one, other in pairwise(upright):
                boxes = one.get_window_extent(renderer), other.get_window_extent(renderer)
                assert not boxes[0].overlaps(boxes[1]), f"{name}: {one.get_text()} and {other.get_text()}"


def _shown(axis: Axis) -> list[Text]:
    """Labels of the ticks that are on the scale; others are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys; from tests.report.test_plots import SMALL; from suite.report.plots import of_task;"
        "of_task(SMALL, SMALL.tasks[0], 'task'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_same_board_gives_the_same_bytes_under_any_settings(drawn: list[Picture]) -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert list(pictures(SMALL, details(SMALL))) == drawn[: len(NAMES)]
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.facecolor"]) == (30, "red")


def test_steps_hold_until_the_next_change() -> None:
    runs = [
        Curve("a/b", "x", 0, 1.0, (0.0, 0.1, 0.5), (0.0, 0.2, 0.6), (0.0, 0.2, 0.6), (None, 0.2, 0.6)),
        Curve("a/b", "x", 1, 1.0, (0.0, 0.3), (0.0, -0.5), (0.0, 0.1), (None, -0.5)),
    ]
    kwh, s = carbon.steps(runs)
    np.testing.assert_array_equal(kwh, [0, 0.1, 0.3, 0.5, 1.0])
    np.testing.assert_array_equal(s, [[0, 0.2, 0.2, 0.6, 0.6], [0, 0, -0.5, -0.5, -0.5]])


def test_looks_do_not_repeat() -> None:
    board = make_board(strategies=(*(f"s{number}" for number in range(28)), "random"), tasks=TASKS[:1], seeds=1)
    shown = [look for look in canvas.looks(board).values() if look.is_shown]
    assert [look.strategy for look in shown] == ["s0", "s1", "s2", "s3", "s4", "s5", "random"]
    for each in ("colour", "marker", "line"):
        assert len({getattr(look, each) for look in shown}) == 7
    assert len({look.colour for look in canvas.looks(board).values()}) == 8


def test_targets_reached_count_missing_runs_as_never() -> None:
    curves = (
        Curve("a/b", "x", 0, 1.0, (0.0, 0.1, 0.5), (0.0, 0.25, 1.0), (0.0, 0.2, 0.6), (None, 0.2, 0.6)),
        Curve("a/b", "y", 0, 1.0, (0.0,), (0.0,), (0.0,), (None,)),
        Curve("a/b", "y", 1, 1.0, (0.0,), (0.0,), (0.0,), (None,)),
    )
    board = replace(SMALL, curves=curves)
    assert carbon.reached(board, "x") == ([0.1] * 2 + [0.5] * 7, 2 * 9)
    assert carbon.reached(board, "y") == ([], 2 * 9)


def test_mean_ranks_are_nemenyis() -> None:
    """Five strategies in the same order on fourteen tasks; the critical value is that of Demsar 2006, table 5."""
    board = make_board(tasks=tuple(f"a/{number}" for number in range(14)), seeds=1)
    names, ranks, difference = ranking.mean_ranks(board)
    assert difference == pytest.approx(2.728 * (5 * 6 / (6 * 14)) ** 0.5, abs=1e-3)
    assert names[0] == "tpe"
    assert names[-1] == "default"
    assert sum(ranks) == pytest.approx(15)


@pytest.mark.parametrize(
    ("ranks", "groups"),
    [([1, 2, 3], [(0, 1), (1, 2)]), ([1, 1.5, 2], [(0, 2)]), ([1, 3, 5], []), ([1, 1, 4, 4], [(0, 1), (2, 3)])],
)
def test_groups_are_the_widest_stretches(ranks: list[float], groups: list[tuple[int, int]]) -> None:
    assert ranking._groups(ranks, 1.0) == groups
