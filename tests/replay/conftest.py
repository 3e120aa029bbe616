"""A recording of the noisy task, made once: by the command's own way, in processes of its own."""

import shutil
from pathlib import Path

import pytest

from suite.replay.record import Amounts, Recording
from suite.runs.board import Settings
from suite.runs.processes import Silent
from tests.conftest import HERE

AMOUNTS = Amounts(rounds=2, sobol=32, near=12, repeated=15, seeds=3, anchors=4)


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recorded task, by reference; its table lies beside it."""
    folder = tmp_path_factory.mktemp("noisy")
    shutil.copy(HERE / "replay" / "noisy.py", folder)
    task = f"{folder / 'noisy.py'}:TASK"
    recording = Recording(task, folder / "recordings", Settings(meters=("cpu-time",), crosscheck=False), AMOUNTS)
    assert recording.make(Silent(), float("inf"))
    assert recording.write() == folder / "noisy.parquet"
    return task


@pytest.fixture
def table(noisy: str) -> Path:
    return Path(noisy.rpartition(":")[0]).with_suffix(".parquet")
