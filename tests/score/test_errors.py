"""Errors of the meters: they cancel where one component is metered, and separate nobody where they could decide."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from suite.energy.ledger import Segment
from suite.runs.log import RunLog
from suite.score.board import score
from suite.score.curve import curve
from suite.score.errors import corners, factors_of
from tests.score.make import BUDGET, run

METERS: tuple[dict[str, Any], ...] = (
    {"component": "cpu", "meter": "cpu-time", "tier": "estimated", "source": "", "factor": 3.0},
    {"component": "gpu", "meter": "nvml", "tier": "measured", "source": "", "factor": 1.05},
)


def on_gpu(log: RunLog, cpu_share: float, default_share: float = 0.1) -> RunLog:
    """``log`` with ``cpu_share`` of its charge from the CPU and the rest from the GPU."""

    def charged(amount: int) -> dict[str, int]:
        return {"cpu": round(cpu_share * amount), "gpu": amount - round(cpu_share * amount)}

    mix = {"cpu": default_share, "gpu": 1 - default_share}
    return replace(
        log,
        header=replace(log.header, meters=METERS, default_mix=mix),
        trials=tuple(trial._replace(charged=charged(trial.charged_microjoules)) for trial in log.trials),
        segments=(Segment("train", 1, charged(BUDGET), 10, 10),),
    )


def board_of(shares: dict[str, float], reached: dict[str, float]) -> list[RunLog]:
    draw = np.random.default_rng(3)
    return [
        on_gpu(run((0.3 + 0.02 * draw.random(), reached[name]), strategy=name, seed=seed), share)
        for name, share in shares.items()
        for seed in range(10)
    ]


def test_one_component_has_no_corners_since_its_error_cancels() -> None:
    log = run((0.3, 0.5), (0.6, 0.8))
    assert list(corners([log])) == []
    single = on_gpu(log, cpu_share=1.0, default_share=1.0)
    assert factors_of([single]) == {"cpu": 3.0}
    halved = curve(single, {"cpu": 0.5, "gpu": 7.0})
    assert halved.area == pytest.approx(curve(single).area)
    assert halved.budget_kwh == pytest.approx(curve(single).budget_kwh / 2)


def test_one_factor_for_all_components_changes_nothing() -> None:
    log = on_gpu(run((0.3, 0.5), (0.6, 0.8)), cpu_share=0.4)
    for factor in (0.3, 1.0, 3.0):
        assert curve(log, {"cpu": factor, "gpu": factor}).area == pytest.approx(curve(log).area)


def test_a_strategy_that_thinks_much_is_cheaper_if_the_cpu_is_overestimated() -> None:
    log = on_gpu(run((0.5, 0.8)), cpu_share=0.8)
    low, high = (curve(log, {"cpu": factor, "gpu": 1.0}).area for factor in (1 / 3, 3.0))
    assert low < curve(log).area < high


def test_two_components_have_the_corners_at_which_they_differ() -> None:
    found = list(corners([on_gpu(run((0.3, 0.5)), 0.2)]))
    assert found == [{"cpu": 1 / 3, "gpu": 1.05}, {"cpu": 3.0, "gpu": 1 / 1.05}]


def test_who_owes_his_place_to_the_error_of_a_meter_is_not_separated() -> None:
    reached = {"thinker": 0.8, "random": 0.7}
    alike = {entry.strategy: entry for entry in score(board_of({"thinker": 0.1, "random": 0.1}, reached)).entries}
    assert [alike[name].rank_interval for name in ("thinker", "random")] == [(1, 1), (2, 2)]
    board = score(board_of({"thinker": 0.9, "random": 0.1}, reached))
    assert {entry.rank_interval for entry in board.entries} == {(1, 2)}
    assert any("whatever these errors are" in note for note in board.notes)


def test_energy_of_a_board_has_an_interval() -> None:
    board = score(board_of({"random": 0.5}, {"random": 0.7}))
    (entry,) = board.entries
    low, high = entry.kwh_interval
    assert low == pytest.approx(entry.kwh_total * (0.5 / 3 + 0.5 / 1.05))
    assert high == pytest.approx(entry.kwh_total * (0.5 * 3 + 0.5 * 1.05))


def test_gaps_a_suspended_machine_and_a_gpu_without_meter_are_told() -> None:
    logs = [run((0.3, 0.5), strategy="random", seed=seed) for seed in range(3)]
    logs[0] = replace(logs[0], gaps={"cpu": 5}, suspended_ns=9 * 10**9)
    notes = score(logs).notes
    assert any("The cpu was read for 75.0% of the time only in one run" in note for note in notes)
    assert "The machine was suspended during 1 of 3 runs." in notes
    blind = [
        replace(log, header=replace(log.header, device="cuda", unmetered={"gpu": "no meter of it was asked for"}))
        for log in logs
    ]
    assert any("its energy is not in these figures" in note for note in score(blind).notes)
