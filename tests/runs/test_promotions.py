"""Multi-fidelity searches pay for the continued part of a training, and for nothing twice."""

from collections.abc import Callable

import pytest

from suite.catalog import STRATEGIES, load_strategy, select
from suite.runs.log import RunLog
from suite.runs.machine import package_version
from tests.conftest import HERE, budget, slow
from tests.runs.counted_steps import STEP_SECONDS

STEPS = f"{HERE / 'runs' / 'counted_steps.py'}:TASK"
STEP_JOULES = STEP_SECONDS * 10.0  # at 10 W
MULTI_FIDELITY = [
    "asha",
    "bohb",
    "carbon-aware",
    "dehb",
    "hyperband",
    "pasha",
    "pbt",
    "smac-mf",
    "successive-halving",
]


QUICK = ("asha", "hyperband", "pbt")  # the others are made with the slow tests


def test_none_is_left_out() -> None:
    names = select(STRATEGIES, ["*"])
    assert [name for name in names if "fidelity" in load_strategy(name).info.capabilities] == MULTI_FIDELITY


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in MULTI_FIDELITY])
def test_only_the_continued_part_of_a_training_is_paid_for(make_run: Callable[..., RunLog], name: str) -> None:
    info = load_strategy(name).info
    if info.extra and package_version(info.library or "") is None:
        pytest.skip(f"{name} needs the extra {info.extra}")
    log = make_run(STEPS, name, budget=budget(trials=16), idle_watts=0.0)
    reached = {trial.number: trial.proposal.fidelity for trial in log.trials}
    begun = {trial.number: reached[trial.proposal.parent] if trial.proposal.parent else 0 for trial in log.trials}
    paid = dict.fromkeys(reached, 0.0)
    for segment in log.segments:
        if segment.phase == "train" and segment.trial:
            paid[segment.trial] += segment.total_microjoules / 1e6
    assert all(trial.status == "ok" for trial in log.trials)
    assert any(begun.values())
    for number, joules in paid.items():
        steps = reached[number] - begun[number]
        assert joules == pytest.approx(steps * STEP_JOULES, rel=0.1, abs=0.4 * STEP_JOULES)
    assert sum(paid.values()) == pytest.approx(log.microjoules_by_phase()["train"] / 1e6)
    assert log.total_microjoules == log.recorded_total_microjoules
