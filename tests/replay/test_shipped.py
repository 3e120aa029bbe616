"""Tables that ship are what their recordings say: the logs behind them lie in ``results/recordings``."""

import tarfile
from pathlib import Path

import pandas as pd
import pytest

from suite.catalog import task_card, task_names, task_spec
from suite.replay.table import frame, read_table, table_path
from suite.runs.log import read_log
from tests.conftest import HERE

RECORDINGS = HERE.parent / "results" / "recordings"
IDLE_WATTS = 1.0  # as they were recorded: carbon-suite record --idle-watts 1
KEY = ["configuration", "seed", "fidelity"]


def recorded(name: str) -> Path:
    return RECORDINGS / f"{name.replace('/', '-')}.tar.xz"


SHIPPED = [name for name in task_names() if table_path(task_card(name)).exists()]


def test_some_ship() -> None:
    assert SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_table_is_what_its_logs_say(name: str, tmp_path: Path) -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("results/recordings is not beside these tests")
    with tarfile.open(recorded(name)) as archive:
        archive.extractall(tmp_path, filter="data")
    logs = [read_log(path) for path in sorted(tmp_path.rglob("log.jsonl"))]
    rows, _ = read_table(table_path(task_card(name)), task_spec(name))
    origins = dict(zip(rows["configuration"], rows["origin"], strict=True))
    again = frame(logs, origins, IDLE_WATTS)
    pd.testing.assert_frame_equal(
        again.sort_values(KEY, ignore_index=True), rows.sort_values(KEY, ignore_index=True), check_exact=True
    )
