"""Live and replayed boards beside each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suite.cli import cli
from suite.report.agreement import printed, to_record
from suite.report.tables import write_printed
from suite.score.agreement import NothingInCommon, agreement
from suite.score.board import Board, score
from tests.score.make import several, spec

SEEDS = 10


def board(levels: dict[str, float], draw: int, task: str = "toy/one", noise: float = 0.03) -> Board:
    """Strategies that come to ``levels``, give or take, half-way through the budget."""
    random = np.random.default_rng(draw)
    runs = {
        name: [[(0.5, float(np.clip(level + noise * random.standard_normal(), 0, 1)))] for _ in range(SEEDS)]
        for name, level in levels.items()
    }
    return score([log for name, each in runs.items() for log in several(name, each, task=spec(task))])


LEVELS = {"random": 0.4, "tpe": 0.6, "hyperband": 0.8, "twin": 0.8}


def test_boards_of_the_same_strategies_agree() -> None:
    found = agreement(board(LEVELS, 0), board(LEVELS, 1))
    assert len(found.pairs) == 6
    told = {frozenset((pair.first, pair.second)) for pair in found.separated}
    assert frozenset(("random", "tpe")) in told
    assert frozenset(("random", "hyperband")) in told
    assert found.same_order is not None
    assert found.same_order >= 5 / 6  # twins may be told apart by chance
    assert found.contradictions == 0
    assert found.cells == 4
    assert found.covered >= 3


def test_a_board_that_turns_the_order_round_is_found() -> None:
    turned = {**LEVELS, "tpe": 0.8, "hyperband": 0.6}
    found = agreement(board(LEVELS, 0), board(turned, 1))
    (pair,) = [pair for pair in found.pairs if {pair.first, pair.second} == {"tpe", "hyperband"}]
    assert pair.separated_live
    assert pair.contradicted
    assert found.contradictions == 1
    assert found.same_order is not None
    assert found.same_order < 1
    assert found.covered == 2
    assert "tells 1 apart the other way" in write_printed(printed(found), "table").replace("\n", " ")
    assert json.loads(json.dumps(to_record(found)))["contradictions"] == 1


def test_intervals_cover_as_often_as_they_say() -> None:
    covered = [agreement(board(LEVELS, 2 * n), board(LEVELS, 2 * n + 1)).covered for n in range(40)]
    assert 0.86 <= sum(covered) / (4 * 40) <= 1.0  # 160 of .95: .916 to .984, and bootstraps of ten seeds are narrow


def test_boards_without_anything_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingInCommon, match="toy/one"):
        agreement(board(LEVELS, 0), board(LEVELS, 1, task="toy/two"))
    result = CliRunner().invoke(cli, ["agree", str(tmp_path), str(tmp_path)])
    assert result.exit_code != 0
