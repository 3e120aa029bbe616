"""The published board and one's own strategies on it: the same figures as from logs, and only what is comparable."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from suite.score.admission import ScoreError
from suite.score.board import score
from suite.score.runs import Row, from_csv, rows
from suite.score.standing import standings
from tests.score.make import CONSTANTS, several, spec

TASKS = ("few_shot/one", "few_shot/two", "supervised/one")
KAPPAS = dict.fromkeys(TASKS, CONSTANTS.kappa_t)


def logs(strategy: str, gain: float) -> list:
    return [
        log
        for number, task in enumerate(TASKS)
        for log in several(
            strategy, [((0.1, gain / 2 + seed / 50), (0.3, gain + number / 20)) for seed in range(4)], spec(task)
        )
    ]


LOGS = [*logs("good", 0.8), *logs("poor", 0.3), *logs("random", 0.5)]


def searched(found: Sequence[Row]) -> list[Row]:
    return [replace(row, kwh_search=0.1 * row.kwh_charged) for row in found]


def test_the_published_board_stands_as_from_its_logs() -> None:
    board, found = score(LOGS), standings(list(rows(LOGS)), [], KAPPAS)
    assert [each.strategy for each in found] == [entry.strategy for entry in board.entries]
    for each, entry in zip(found, board.entries, strict=True):
        assert each.pi == pytest.approx(entry.pi, rel=1e-12)
        assert each.s == pytest.approx(entry.final_s, rel=1e-12)
        assert each.pi_interval == pytest.approx(entry.pi_interval, rel=1e-12)
        assert each.rank_interval == entry.rank_interval
        assert not each.own


def test_ones_own_strategies_stand_among_the_published() -> None:
    published = list(rows([log for log in LOGS if log.header.strategy["name"] != "poor"]))
    own = [row for row in searched(list(rows(LOGS))) if row.strategy != "good"]
    found = standings(published, own, KAPPAS)
    assert [each.strategy for each in found if each.own] == ["random (yours)", "poor"]
    whole = {entry.strategy: entry for entry in score(LOGS).entries}
    assert next(each.pi for each in found if each.strategy == "poor") == pytest.approx(whole["poor"].pi, rel=1e-12)
    same = [each.pi for each in found if each.strategy.startswith("random")]
    assert same[0] == same[1]
    assert next(each.search for each in found if each.strategy == "poor") == pytest.approx(0.1)


def test_what_cannot_be_compared_is_refused() -> None:
    published, own = list(rows(LOGS)), searched([row for row in rows(LOGS) if row.strategy == "good"])
    with pytest.raises(ScoreError, match=r"lacks 1 of 12 runs .* few_shot/two with seed 3"):
        standings(published, [row for row in own if (row.task, row.seed) != ("few_shot/two", 3)], KAPPAS)
    with pytest.raises(ScoreError, match="ran version 2 of few_shot/one"):
        standings(published, [replace(row, task_version="2") for row in own], KAPPAS)
    with pytest.raises(ScoreError, match="without --watts-per-core 0"):
        standings(published, [replace(row, kwh_search=0.0) for row in own], KAPPAS)


@pytest.mark.parametrize("lines", [[], ["a,b", "1,2"], ["task,seed"]])
def test_other_files_are_no_runs(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="with the columns task, task_version"):
        from_csv(lines)
