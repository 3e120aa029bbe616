"""What a worker says of a task that it cannot set up: whether it is unavailable, with the way out, or in error."""

from dataclasses import replace

import pytest

from suite.catalog import CatalogError
from suite.data import DataUnavailable
from suite.runs import worker
from suite.task import TaskSpec
from tests.examples.valley import Valley


@pytest.fixture(autouse=True)
def spec(monkeypatch: pytest.MonkeyPatch) -> TaskSpec:
    """The task at hand needs the extra mujoco."""
    needy = replace(Valley().spec, extra="mujoco")
    monkeypatch.setattr(worker, "task_spec", lambda name: needy)
    return needy


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_missing_data_are_unavailable_and_say_themselves_what_to_do() -> None:
    said = worker.complaint("toy/valley", DataUnavailable("put the file there"))
    assert said == {"unavailable": "task toy/valley cannot be set up: put the file there"}


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'mujoco'"),
        caused_by(RuntimeError("MuJoCo is not installed"), ImportError("No module named 'mujoco'")),
        caused_by(CatalogError("task toy/valley cannot be loaded"), ImportError("No module named 'mujoco'")),
    ],
)
def test_a_missing_extra_is_unavailable_and_named(error: Exception) -> None:
    ((kind, message),) = worker.complaint("toy/valley", error).items()
    assert kind == "unavailable"
    assert str(error) in message
    assert message.endswith("it needs the extra: pip install 'carbon-suite[mujoco]'")


def test_a_missing_module_of_a_task_without_extra_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, spec: TaskSpec
) -> None:
    monkeypatch.setattr(worker, "task_spec", lambda name: replace(spec, extra=None))
    said = worker.complaint("toy/valley", ImportError("No module named 'zuko'"))
    assert said == {"unavailable": "task toy/valley cannot be set up: ImportError: No module named 'zuko'"}


def test_anything_else_is_an_error_of_the_task() -> None:
    said = worker.complaint("toy/valley", ZeroDivisionError("division by zero"))
    assert said == {"error": "task toy/valley cannot be set up: ZeroDivisionError: division by zero"}
