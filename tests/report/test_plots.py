"""Pictures: three formats, the same bytes for the same board, no trace in the program's pyplot."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from suite.report import plots
from suite.report.plots import Picture, pictures
from suite.score.board import Board, score
from suite.score.curve import Curve
from tests.report.boards import TASKS, make_board, make_logs

SMALL = make_board(tasks=TASKS[:1], strategies=("tpe", "random"))
STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture(scope="module")
def drawn() -> list[Picture]:
    return list(pictures(SMALL))


def test_every_picture_in_three_formats(drawn: list[Picture]) -> None:
    assert [one.name for one in drawn] == ["overview", "ranking", "performance", "energy"]
    for one in drawn:
        assert {suffix: content[:4] for suffix, content in one.files.items()} == {
            suffix: start[:4] for suffix, start in STARTS.items()
        }
        assert all(len(content) > 2000 for content in one.files.values())
        assert "estimated" in one.caption


def test_pictures_carry_no_date(drawn: list[Picture]) -> None:
    assert all(b"Date" not in one.files["pdf"] and b"<dc:date>" not in one.files["svg"] for one in drawn)


@pytest.mark.parametrize(
    "board",
    [
        make_board(tasks=TASKS[:1], strategies=("random",), seeds=1),
        make_board(tasks=TASKS[:1], flat=True),
        make_board(tasks=TASKS[:1], strategies=("no $^{formula$", "_hidden", "<script>", "long " * 10), seeds=6),
        make_board(strategies=tuple(f"strategy-{number}" for number in range(9)), tasks=(*TASKS, "a/b"), seeds=1),
        score(make_logs()),
    ],
    ids=["one of each", "flat", "odd names", "many", "scored"],
)
def test_boards_at_the_edge_are_drawn(board: Board) -> None:
    assert len(list(pictures(board))) == 4


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys; from tests.report.test_plots import SMALL; from suite.report.plots import pictures;"
        "list(pictures(SMALL)); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_same_board_gives_the_same_bytes_under_any_settings(drawn: list[Picture]) -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert list(pictures(SMALL)) == drawn
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.facecolor"]) == (30, "red")


def test_steps_hold_until_the_next_change() -> None:
    runs = [
        Curve("a/b", "x", 0, 1.0, (0.0, 0.1, 0.5), (0.0, 0.2, 0.6), (0.0, 0.2, 0.6), (None, 0.2, 0.6)),
        Curve("a/b", "x", 1, 1.0, (0.0, 0.3), (0.0, -0.5), (0.0, 0.1), (None, -0.5)),
    ]
    kwh, s = plots._steps(runs)
    np.testing.assert_array_equal(kwh, [0, 0.1, 0.3, 0.5, 1.0])
    np.testing.assert_array_equal(s, [[0, 0.2, 0.2, 0.6, 0.6], [0, 0, -0.5, -0.5, -0.5]])


def test_looks_do_not_repeat() -> None:
    board = make_board(strategies=tuple(f"s{number}" for number in range(28)), tasks=TASKS[:1], seeds=1)
    looks = [plots._look(board, strategy) for strategy in board.strategies]
    assert len({(look.colour, look.marker) for look in looks}) == 28
    assert len({look.colour for look in looks[:7]}) == len({look.marker for look in looks[:7]}) == 7
