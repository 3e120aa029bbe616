"""A board's rows: it can be scored anew from them, and the digest says what was tried and what came of it."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.runs.log import RunLog
from suite.score.board import score
from suite.score.efficiency import weights
from suite.score.ranks import TaskSeeds, uncertainty
from suite.score.runs import Row, digest, rows
from suite.search.strategy import Proposal
from tests.score.make import BUDGET, CONSTANTS, end, run

performance = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3)


@given(st.lists(performance, min_size=2, max_size=2))
def test_a_board_is_scored_anew_from_its_rows(found: list[list[float]]) -> None:
    logs = [
        run((0.1 + seed / 10, s), strategy=strategy, seed=seed)
        for strategy, values in zip(("a", "random"), found, strict=True)
        for seed, s in enumerate(values)
    ]
    board = score(logs)
    anew = uncertainty([seeds_of(list(rows(logs)))], weights(["toy/one"]))
    pi_of = {entry.strategy: entry for entry in board.entries}
    for number, name in enumerate(("a", "random")):
        assert pi_of[name].pi_interval == anew.pi_intervals[number]
        assert pi_of[name].rank_interval == anew.rank_intervals[number]


def seeds_of(found: list[Row]) -> TaskSeeds:
    by_strategy = [list(own) for _, own in groupby(found, key=lambda row: row.strategy)]
    final_s, areas = (np.array([[getattr(row, name) for row in own] for own in by_strategy]) for name in ("s", "area"))
    return TaskSeeds(found[0].task, final_s, areas, np.ones(len(by_strategy), bool), CONSTANTS.kappa_t, None)


def searched(*shares: float) -> RunLog:
    """A run whose trials took these shares of the budget, and its strategy nothing."""
    ends = [end(number, 0.1 * number, 0.1 * number) for number in range(1, len(shares) + 1)]
    trials = [each._replace(microjoules=round(share * BUDGET)) for each, share in zip(ends, shares, strict=True)]
    return run(*trials)


def test_what_the_strategy_took_does_not_change_the_digest() -> None:
    log = searched(0.1, 0.1, 0.2)
    dearer = replace(
        log, trials=tuple(each._replace(charged_microjoules=each.charged_microjoules + 7) for each in log.trials)
    )
    assert digest(dearer) == digest(log)


def test_values_are_digested_to_nine_digits() -> None:
    log = searched(0.1, 0.1)
    first, second = log.trials
    assert digest(replace(log, trials=(first, second._replace(test=0.2 * (1 + 1e-12))))) == digest(log)
    assert digest(replace(log, trials=(first, second._replace(test=0.2 * (1 + 1e-6))))) != digest(log)


@pytest.mark.parametrize(
    "changed",
    [
        {"proposal": Proposal({"x": 0.5}, 9)},
        {"proposal": Proposal({"x": 0.002}, 3)},
        {"proposal": Proposal({"x": 0.002}, 9, 1)},
        {"validation": 0.3},
        {"test": None},
        {"status": "timeout"},
        {"number": 7},
    ],
)
def test_the_digest_is_of_all_that_was_tried_and_came_of_it(changed: dict[str, object]) -> None:
    log = searched(0.1, 0.1)
    first, second = log.trials
    assert digest(replace(log, trials=(first, second._replace(**changed)))) != digest(log)


def test_the_digest_ends_at_half_of_the_budget() -> None:
    first, second, *rest = searched(0.3, 0.2, 0.1, 0.1).trials
    log = searched(0.3, 0.2)
    assert digest(replace(log, trials=(first, second, *rest))) == digest(log)
    assert digest(replace(log, trials=(first,))) != digest(log)


def test_a_row_counts_what_was_trained() -> None:
    log = run(end(1, 0.1, 0.2), end(2, 0.2, None), end(3, 0.2, 0.2, returned=True))
    row = next(rows([log]))
    assert (row.trials, row.failed, row.s) == (2, 1, 0.2)
    assert row.area == pytest.approx(0.1 + 0.9 * 0.8)
