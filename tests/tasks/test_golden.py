"""Golden curves: a task whose first steps or data have changed is another task, and needs another version."""

from collections.abc import Mapping

import pytest

from suite import catalog
from suite.task import Metric
from tests.tasks import golden

WAY_OUT = (
    "a changed task is a new version: bump TaskSpec.version, re-measure its constants (carbon-suite constants), then "
    "rewrite its record (python -m tests.tasks.golden {})"
)
RELATIVE = 2e-2  # another processor rounds differently, and a training carries that on
ABSOLUTE_OVER_WORST = 5e-3  # an error rate may differ by a few examples


def agree(found: Mapping[str, float], kept: Mapping[str, float], metric: Metric) -> bool:
    return found == pytest.approx(kept, rel=RELATIVE, abs=ABSOLUTE_OVER_WORST * abs(metric.worst))


@pytest.mark.parametrize("name", golden.embedded())
def test_a_task_is_what_its_version_was(name: str) -> None:
    record, task = golden.kept().get(name), catalog.load_task(name)
    assert record, f"{name} has no golden curve: write it (python -m tests.tasks.golden {name})"
    assert golden.definition(task) == {part: record[part] for part in ("version", "data")}, WAY_OUT.format(name)
    found = golden.curve(task, task.spec.default)
    assert agree(found, record["validation"], task.spec.validation), f"{found}: {WAY_OUT.format(name)}"


def test_there_is_no_curve_without_a_task() -> None:
    assert set(golden.kept()) <= set(golden.embedded()), "rewrite the file: python -m tests.tasks.golden"


@pytest.mark.parametrize("name", ["supervised/mnist1d", "few_shot/sinusoid"])
def test_a_change_is_seen(name: str) -> None:
    """Another default, say of the learning rate, lies outside the tolerance."""
    task = catalog.load_task(name)
    changed = {**task.spec.default, "learning_rate": 2.0 * float(task.spec.default["learning_rate"])}
    assert not agree(golden.curve(task, changed), golden.kept()[name]["validation"], task.spec.validation)
