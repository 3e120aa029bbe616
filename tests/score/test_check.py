"""The regression gate: what is replayed is exact, what is not is tested, and what is live energy never decides."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from suite.energy.ledger import Segment
from suite.report.check import junit, printed, to_record, write
from suite.runs.log import RunLog
from suite.score.check import CheckError, Report, check, from_baseline, holm, record, records, sign_flip, to_baseline
from tests.score.make import BUDGET, end, run, spec

Steps = Sequence[tuple[float, float | None]]


def replayed(*steps: tuple[float, float | None], overhead: int = 7, version: str = "1", **given: object) -> RunLog:
    """A run whose trials come from a recording; ``steps`` are (trial energy so far, s)."""
    log = run(*steps, **given)  # type: ignore[arg-type]
    energies = np.diff([0.0, *(at for at, _ in steps)])
    segments = []
    for number, energy in enumerate(energies, 1):
        segments.append(Segment("ask", number, {"cpu": overhead}, overhead, overhead))
        segments.append(Segment("train", number, {"cpu": round(float(energy) * BUDGET)}, 10, 10))
    meters = ({"component": "cpu", "meter": "recorded", "tier": "replay", "source": "a table"},)
    strategy = {**log.header.strategy, "version": version}
    return replace(log, header=replace(log.header, meters=meters, strategy=strategy), segments=tuple(segments))


def replayed_board(shift: float = 0.0, seeds: int = 12, version: str = "1", **given: object) -> list[RunLog]:
    draw = np.random.default_rng(0)
    levels = draw.uniform(0.4, 0.6, size=seeds)
    return [
        replayed((0.1, 0.1), (0.3, float(level) + shift), strategy=name, seed=seed, version=version, **given)  # type: ignore[arg-type]
        for name in ("a", "random")
        for seed, level in enumerate(levels)
    ]


def live_board(spread: float = 0.05, shift: float = 0.0, seeds: int = 20, energy: float = 0.1) -> list[RunLog]:
    draw = np.random.default_rng(1)
    return [
        run(*((energy * k, float(level) * k / 5 + shift) for k in range(1, 6)), strategy="a", seed=seed)
        for seed, level in enumerate(draw.normal(0.5, spread, size=seeds))
    ]


def compared(now: Sequence[RunLog], before: Sequence[RunLog]) -> Report:
    """Through JSON, as the baseline is kept."""
    return check(records(now), from_baseline(json.loads(json.dumps(to_baseline(records(before))))))


def test_the_same_runs_pass() -> None:
    report = compared(replayed_board(), replayed_board())
    assert report.passed
    assert [each.status for each in report.comparisons] == ["same", "same"]


def test_live_overhead_and_the_order_of_logs_change_nothing() -> None:
    assert compared(replayed_board(overhead=999)[::-1], replayed_board()).passed


@pytest.mark.parametrize("shift", [1e-9, -0.01])
def test_a_replayed_value_that_moved_fails_and_says_which(shift: float) -> None:
    report = compared(replayed_board(shift), replayed_board())
    assert not report.passed
    assert {each.status for each in report.comparisons} == {"changed"}
    assert "seed 0: validation is" in report.comparisons[0].message


def test_less_than_the_tolerance_passes() -> None:
    assert compared(replayed_board(2e-13), replayed_board()).passed


@pytest.mark.parametrize(
    ("now", "before", "status"), [(slice(1, None), slice(None), "missing"), (slice(None), slice(1, None), "extra")]
)
def test_missing_and_extra_runs_fail(now: slice, before: slice, status: str) -> None:
    report = compared(replayed_board()[now], replayed_board()[before])
    assert not report.passed
    assert [each.status for each in report.comparisons] == [status, "same"]
    assert "seed 0" in report.comparisons[0].message


def test_a_new_version_of_a_task_is_another_task() -> None:
    newer = [replace(log, header=replace(log.header, task=replace(spec(), version="2"))) for log in replayed_board()]
    assert {each.status for each in compared(newer, replayed_board()).comparisons} == {"missing", "extra"}


def test_other_random_numbers_under_a_new_version_are_tested() -> None:
    def board(version: str, draw: int, shift: float = 0.0) -> list[RunLog]:
        levels = np.random.default_rng(draw).uniform(0.4, 0.6, size=20)
        return [replayed((0.3, float(each) + shift), seed=seed, version=version) for seed, each in enumerate(levels)]

    fine = compared(board("2", 5), board("1", 6))
    assert fine.passed
    assert not fine.comparisons[0].exact
    worse = compared(board("2", 5, -0.2), board("1", 6))
    assert not worse.passed
    assert worse.shifts[0].changed
    assert worse.shifts[0].pi_after < worse.shifts[0].pi_before
    assert not compared(board("1", 5), board("1", 6)).passed  # of the same version they are no others


def test_a_significant_change_that_is_too_small_passes() -> None:
    report = compared(live_board(shift=0.001), live_board())
    assert report.shifts[0].p < 0.001
    assert report.passed


@pytest.mark.parametrize("shift", [0.2, -0.2])
def test_a_large_change_of_live_runs_fails_either_way(shift: float) -> None:
    assert not compared(live_board(shift=shift), live_board()).passed


def test_live_energy_never_gates() -> None:
    """Twice the energy, so half as many trials in the budget: the values at equal numbers of trials are the same."""
    dear = [replace(log, trials=log.trials[:3]) for log in live_board(energy=0.3)]
    report = compared(dear, live_board())
    assert report.passed
    assert report.shifts[0].p == 1.0
    assert report.shifts[0].pi_before == report.shifts[0].pi_after


def test_what_cannot_tell_is_refused() -> None:
    with pytest.raises(CheckError, match="fewer than 11"):
        compared(live_board(seeds=10), live_board(seeds=10))
    with pytest.raises(CheckError, match="replayed on one side only"):
        compared(live_board(seeds=1), [replayed((0.1, 0.1))])
    with pytest.raises(CheckError, match="has not ended"):
        record(run((0.1, 0.1), ended=None))
    with pytest.raises(CheckError, match="without constants"):
        record(run((0.1, 0.1), task=spec(constants=None)))
    with pytest.raises(CheckError, match="two logs of the run"):
        records([run((0.1, 0.1)), run((0.1, 0.1))])
    with pytest.raises(CheckError, match="no ranked runs"):
        records([])


@pytest.mark.parametrize(
    "content",
    [[], {"schema": 2, "runs": []}, {"schema": 1}, {"schema": 1, "runs": [{"task": 1}]}, {"schema": 1, "runs": [3]}],
)
def test_what_is_no_baseline_is_refused(content: object) -> None:
    with pytest.raises(CheckError, match="--update"):
        from_baseline(content)


def test_a_failed_trial_is_charged_and_counts_as_a_trial() -> None:
    found = record(replayed((0.2, None), (0.5, 0.4)))
    assert (found.trials, found.at, found.s) == (2, (0.0, 0.5), (0.0, 0.4))
    live = record(run(end(1, 0.2, None), end(2, 0.9, 0.4)))
    assert (live.at, live.length) == ((0.0, 2.0), 2.0)
    assert live.until(1.0) == (0.0, 1.0)


def test_sign_flips_are_exact_for_few_pairs() -> None:
    assert sign_flip(np.ones(11), "x") == pytest.approx(2 / 2**11)
    assert sign_flip(np.zeros(5), "x") == 1.0
    draw = np.random.default_rng(2).normal(size=40)
    assert sign_flip(draw, "x") == sign_flip(draw, "x")


def test_the_test_of_a_strategy_against_itself_is_uniform() -> None:
    draw = np.random.default_rng(3)
    p = np.array([sign_flip(draw.standard_exponential(12) - draw.standard_exponential(12), "x") for _ in range(400)])
    assert abs(np.mean(p < 0.05) - 0.05) < 3 * (0.05 * 0.95 / 400) ** 0.5


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def failed() -> Report:
    return compared(replayed_board(-0.1), replayed_board())


def test_people_programs_and_readers_of_junit_are_told_the_same() -> None:
    from xml.etree import ElementTree

    tree = ElementTree.fromstring(junit(failed()))
    assert (tree.get("tests"), tree.get("failures")) == ("2", "2")
    assert tree[0].find("failure") is not None
    assert to_record(failed())["passed"] is False
    json.dumps(to_record(failed()), allow_nan=False)
    for style in ("table", "md"):
        assert "Failed: 2 of 2" in write(failed(), style)
        assert "--update" in write(failed(), style)
    passed = compared(replayed_board(), replayed_board())
    assert ElementTree.fromstring(junit(passed)).get("failures") == "0"
    assert "Passed" in printed(passed).caption
