"""What nobody can gain by, and what must not move: properties of the score over random runs."""

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suite.energy.carbon import REFERENCE, Grid
from suite.report.elsewhere import survival
from suite.report.tables import write
from suite.runs.log import RunLog
from suite.score.board import Board, score
from suite.score.curve import curve
from suite.score.details import details
from tests.score.make import end, run, spec

Steps = list[tuple[float, float | None]]

VALUES = st.one_of(st.none(), st.floats(-1.5, 1.5))
STEPS = st.lists(st.tuples(st.floats(0.01, 1.0), VALUES), max_size=5).map(
    lambda steps: sorted(steps, key=lambda s: s[0])
)
SEEDS = st.lists(STEPS, min_size=3, max_size=3)
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def board_of(
    runs: dict[str, Sequence[Steps]], tasks: Sequence[str] = ("toy/one", "toy/two", "other/three")
) -> list[RunLog]:
    return [
        run(*steps, strategy=name, seed=seed, task=spec(task))
        for task in tasks
        for name, several in runs.items()
        for seed, steps in enumerate(several)
    ]


def figures(board: Board, strategy: str) -> tuple[object, ...]:
    """All of a strategy that is its own: no rank, and no probability against another."""
    entry = next(each for each in board.entries if each.strategy == strategy)
    return repr(replace(entry, rank_interval=(0, 0))), *(repr(c) for c in board.cells if c.strategy == strategy)


RANDOM: Sequence[Steps] = [[(0.5, 0.5)], [(0.4, 0.4)], [(0.6, 0.6)]]


@quick
@given(SEEDS, SEEDS)
def test_removing_a_competitor_leaves_the_rest_bit_for_bit(one: list[Steps], other: list[Steps]) -> None:
    runs: dict[str, Sequence[Steps]] = {"one": one, "other": other, "random": RANDOM}
    everybody = score(board_of(runs))
    for left_out in runs:
        rest = score(board_of({name: each for name, each in runs.items() if name != left_out}))
        for name in rest.strategies:
            assert figures(rest, name) == figures(everybody, name)


@quick
@given(st.lists(st.floats(-3, 3), min_size=12, max_size=12))
def test_doing_nothing_scores_zero_at_any_noise(noise: list[float]) -> None:
    """The default proposed again and again is answered from trial 0; a worse validation replaces nothing."""
    again = [
        run(*(end(n, n / 20, 0.0, returned=True) for n in range(1, 13)), strategy="again", seed=seed)
        for seed in range(2)
    ]
    worse = [
        run(
            *(end(n, n / 20, test, validation=-abs(test)) for n, test in enumerate(noise, 1)),
            strategy="worse",
            seed=seed,
        )
        for seed in range(2)
    ]
    board = score([*again, *worse, *(log for log in board_of({"random": RANDOM}, ["toy/one"]) if log.header.seed < 2)])
    assert {entry.strategy: entry.pi for entry in board.entries if entry.strategy != "random"} == {
        "again": 0,
        "worse": 0,
    }


@quick
@given(STEPS, st.sampled_from([0.5, 2.0, 4096.0]))
def test_energy_and_budget_together_leave_u_unchanged(steps: Steps, factor: float) -> None:
    log = run(*steps)
    scaled = replace(
        log,
        header=replace(log.header, budget=replace(log.header.budget, microjoules=int(1_000_000 * factor))),
        trials=tuple(t._replace(charged_microjoules=round(t.charged_microjoules * factor)) for t in log.trials),
    )
    one, other = curve(log), curve(scaled)
    assert one.final_s == other.final_s
    assert abs(one.area - other.area) < 2e-5  # charges are whole microjoules


@quick
@given(SEEDS, st.integers(0, 2), st.floats(0.001, 0.2))
def test_no_crash_missing_seed_or_default_again_pays(runs: list[Steps], seed: int, cost: float) -> None:
    def pi(own: Sequence[RunLog]) -> float:
        board = score([*own, *board_of({"random": RANDOM}, ["toy/one"])])
        return next(entry.pi for entry in board.entries if entry.strategy == "a")

    whole = [run(*[(at, None if s is None else abs(s)) for at, s in steps], seed=n) for n, steps in enumerate(runs)]
    before = pi(whole)

    def with_first(first: tuple[float, float | None], returned: bool = False) -> list[RunLog]:
        log = whole[seed]
        later = [t._replace(charged_microjoules=t.charged_microjoules + round(cost * 1e6)) for t in log.trials]
        extra = end(99, *first, returned=returned)
        return [*whole[:seed], replace(log, trials=(extra, *later)), *whole[seed + 1 :]]

    assert pi(with_first((cost, None))) <= before + 1e-12  # a crash
    assert pi(with_first((cost, 0.0), returned=True)) <= before + 1e-12  # the default again
    assert pi([log for log in whole if log.header.seed != seed]) <= before + 1e-12  # a seed left out


@quick
@given(SEEDS, st.floats(1e-3, 2.0))
def test_intensity_and_pue_change_no_order_at_one_site(runs: list[Steps], intensity: float) -> None:
    board = score(board_of({"a": runs, "b": runs[::-1], "random": RANDOM}))
    there = Grid("XYZ", "Nowhere", intensity, 2020, "made up")
    assert survival(board, [REFERENCE, there]) == "The order survives: it is the same on all of these grids."


@quick
@given(SEEDS)
def test_duplicates_tie(runs: list[Steps]) -> None:
    board = score(board_of({"a": runs, "b": runs, "random": RANDOM}))
    one, other = (next(e for e in board.entries if e.strategy == name) for name in "ab")
    assert repr(replace(one, strategy="b")) == repr(other)
    assert board.improvement["a", "b"] == 0.5


@quick
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_files_changes_no_byte(runs: list[Steps], shuffle: random.Random) -> None:
    logs = board_of({"a": runs, "random": RANDOM})
    other = list(logs)
    shuffle.shuffle(other)
    for style in ("json", "csv", "latex", "md"):
        assert write(score(logs), REFERENCE, 1.5, style) == write(score(other), REFERENCE, 1.5, style)
    assert repr(details(score(logs))) == repr(details(score(other)))
