"""SIGINT and SIGTERM stop a board within seconds, with all that it started, and the same command goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from suite.runs.claim import holder
from suite.runs.log import LOG_NAME, read_log
from suite.runs.stopping import Stopped, Stopper
from tests.conftest import SCRIPTED, script
from tests.runs.test_resume import wait_for

SECONDS = 10.0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_board_and_all_its_processes(tmp_path: Path, number: int, status: int) -> None:
    board = tmp_path / "board"
    options = ["--budget", "500", "--seeds", "0-1", "--no-crosscheck", "--jobs", "2", "--out", str(board)]
    command = [sys.executable, "-P", "-c", "from suite.cli import main; main()", "run", "--task", SCRIPTED]
    process = subprocess.Popen(
        [*command, "--strategy", script("Works"), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    runs = board / "runs" / "toy" / "scripted" / "works"
    paths = [runs / f"seed-{seed}" / LOG_NAME for seed in range(2)]
    wait_for(lambda: all(b'"record":"trial"' in path.read_bytes() for path in paths), seconds=120)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 4
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < SECONDS
    assert process.returncode == status, errors
    assert "What was completed is kept" in errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(family, timeout=2)
    assert not alive
    assert holder(board) is None
    for path in paths:
        log = read_log(path)
        assert (log.ended, log.torn) == (None, 0)
        assert log.total_microjoules == log.recorded_total_microjoules
    states = subprocess.run(
        [sys.executable, "-P", "-c", "from suite.cli import main; main()", "status", str(board), "--json"],
        capture_output=True,
        check=True,
    )
    assert json.loads(states.stdout)["counts"]["interrupted"] == 2


def test_a_signal_is_heard_where_the_books_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stopper = Stopper()
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)  # open from the start
        stopper = Stopper()
        stopper.close()
        signal.raise_signal(signal.SIGTERM)  # kept until it is open again
        with pytest.raises(Stopped), stopper.opened():
            pytest.fail("a signal was forgotten")
        stopper = Stopper()
        stopper.close()
        with pytest.raises(Stopped), stopper.opened():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # what follows the first one is let go on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
