"""A recording of the noisy task, made once: by the command's own way, in processes of its own."""

import shutil
from pathlib import Path

import pytest

from suite.replay.record import Amounts, Recording
from suite.runs.board import Settings
from suite.runs.jobs import Silent
from tests.conftest import HERE, made_once

AMOUNTS = Amounts(rounds=2, sobol=32, near=12, repeated=15, seeds=3, anchors=4)


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recorded task, by reference; its table lies beside it."""
    return f"{made_once(tmp_path_factory, 'noisy', record) / 'noisy.py'}:TASK"


def record(folder: Path) -> None:
    shutil.copy(HERE / "replay" / "noisy.py", folder)
    task = f"{folder / 'noisy.py'}:TASK"
    recording = Recording(task, folder / "recordings", Settings(meters=("cpu-time",), crosscheck=False), AMOUNTS)
    assert recording.make(Silent(), float("inf"))
    assert recording.write() == folder / "noisy.parquet"


@pytest.fixture
def table(noisy: str) -> Path:
    return Path(noisy.rpartition(":")[0]).with_suffix(".parquet")
