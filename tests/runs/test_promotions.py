"""Multi-fidelity searches pay for the continued part of a training, and for nothing twice."""

from collections.abc import Callable

import pytest

from suite.catalog import load_strategy
from suite.runs.log import RunLog
from suite.runs.machine import package_version
from tests.conftest import HERE, budget
from tests.runs.counted_steps import STEP_SECONDS

STEPS = f"{HERE / 'runs' / 'counted_steps.py'}:TASK"
STEP_JOULES = STEP_SECONDS * 10.0  # at 10 W


@pytest.mark.parametrize("name", ["successive-halving", "hyperband", "asha", "pasha", "bohb", "dehb", "smac-mf"])
def test_only_the_continued_part_of_a_training_is_paid_for(make_run: Callable[..., RunLog], name: str) -> None:
    info = load_strategy(name).info
    if info.extra and package_version(info.library or "") is None:
        pytest.skip(f"{name} needs the extra {info.extra}")
    log = make_run(STEPS, name, budget=budget(trials=14), idle_watts=0.0)
    reached = {trial.number: trial.proposal.fidelity for trial in log.trials}
    promoted = [trial for trial in log.trials if trial.proposal.parent is not None]
    assert promoted
    assert all(trial.status == "ok" for trial in log.trials)
    again = sum(reached[trial.proposal.parent or 0] for trial in promoted)
    steps = sum(reached.values()) - again
    trained = log.microjoules_by_phase()["train"] / 1e6
    assert trained == pytest.approx(steps * STEP_JOULES, rel=0.1)
    assert trained < (steps + 0.5 * again) * STEP_JOULES
