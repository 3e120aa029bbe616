"""A disk that is full, read-only or gone stops the board with a clear message; the same command then goes on."""

import ctypes
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from suite.runs.board import find_logs
from suite.runs.files import DiskError
from suite.runs.lines import LogWriter
from suite.runs.log import RunLog, read_log
from suite.runs.trial import read_checkpoint, write_checkpoint
from suite.task import Checkpoint
from tests.conftest import HERE

MEASURED = f"{HERE / 'runs' / 'measured.py'}:TASK"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h


def carbon_suite(out: Path, *more: str, **popen: Any) -> subprocess.CompletedProcess[str]:
    """A board of one strategy and two seeds, in a process of its own."""
    options = ["--budget", "3000", "--seeds", "0-1", "--no-crosscheck", "--meter", "cpu-time", "--out", str(out)]
    command = [sys.executable, "-P", "-c", "from suite.cli import main; main()"]
    return subprocess.run(
        [*command, "run", "--task", MEASURED, "--strategy", "hyperband", *options, *more],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **popen,
    )


def logs(board: Path) -> dict[Path, RunLog]:
    return {path: read_log(path) for path in find_logs([board])}


def stopped(made: subprocess.CompletedProcess[str], *parts: str) -> None:
    said = made.stdout + made.stderr
    assert made.returncode == 2, said
    for part in parts:
        assert part in said
    assert "Traceback" not in said


def kept(before: dict[Path, RunLog], board: Path) -> None:
    """Every completed trial is still there, and all runs have ended."""
    after = logs(board)
    assert len(after) == 2
    assert all(log.ended and log.total_microjoules == log.recorded_total_microjoules for log in after.values())
    for path, log in before.items():
        pairs = zip(log.trials, after[path].trials, strict=False)
        assert all((one.number, one.proposal, one.test) == (two.number, two.proposal, two.test) for one, two in pairs)
        assert len(after[path].trials) >= len(log.trials)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", place], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip("this account may not mount a small file system; the limit on file sizes stands in for it")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_stops_the_board_and_room_lets_it_go_on(small_disk: Path) -> None:
    made = carbon_suite(small_disk / "board")
    stopped(made, "No space left on device", "run the same command again")
    before = logs(small_disk / "board")
    assert any(log.trials and not log.ended for log in before.values())
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    made = carbon_suite(small_disk / "board")
    assert made.returncode == 0, made.stderr
    kept(before, small_disk / "board")


def test_a_read_only_disk_stops_the_board(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    (small_disk / "board").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    made = carbon_suite(small_disk / "board")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    stopped(made, "Read-only file system", str(small_disk))


@pytest.mark.slow
def test_a_limit_on_file_sizes_stops_the_board_and_its_end_lets_it_go_on(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    made = carbon_suite(tmp_path / "board", preexec_fn=limit)
    stopped(made, "File too large", "log.jsonl", "run the same command again", "0 of 2 runs ended")
    before = logs(tmp_path / "board")
    assert [bool(log.trials) for log in before.values()] == [True], "the second run was not begun on such a disk"
    made = carbon_suite(tmp_path / "board")
    assert made.returncode == 0, made.stderr
    kept(before, tmp_path / "board")


def drop_the_right_to_write_everywhere() -> None:
    """What makes root like others: without these capabilities, modes of files hold for it too."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.slow
def test_a_directory_that_must_not_be_written_is_named_and_gone_on_with(tmp_path: Path) -> None:
    board = tmp_path / "board"
    board.mkdir(mode=0o555)
    stopped(carbon_suite(board, preexec_fn=drop_the_right_to_write_everywhere), f"{board}", "Permission denied")
    board.chmod(0o755)
    assert carbon_suite(board, "--plan-only").returncode == 0
    runs = board / "runs" / "toy" / "valley" / "hyperband"
    runs.mkdir(parents=True)
    runs.chmod(0o555)
    made = carbon_suite(board, preexec_fn=drop_the_right_to_write_everywhere)
    stopped(made, f"{runs}", "Permission denied", "run the same command again")
    runs.chmod(0o755)
    assert carbon_suite(board, preexec_fn=drop_the_right_to_write_everywhere).returncode == 0
    kept({}, board)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOSPC])
def test_a_file_system_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(file: int, content: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with closing(LogWriter(tmp_path / "log.jsonl")) as writer:
        monkeypatch.setattr(os, "write", fail)
        with pytest.raises(OSError, match=os.strerror(number)) as raised:
            writer.append({"record": "heartbeat"})
    assert raised.value.filename == str(tmp_path / "log.jsonl")


def test_a_checkpoint_that_cannot_be_kept_or_found_is_no_failure_of_the_trial(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"1\.pt: this checkpoint cannot be written: No such file or directory"):
        write_checkpoint(Checkpoint(1, {"x": 1.0}), tmp_path / "gone" / "1.pt")
    with pytest.raises(DiskError, match=r"1\.pt: this checkpoint cannot be read: No such file or directory"):
        read_checkpoint(str(tmp_path / "1.pt"))
    write_checkpoint(Checkpoint(1, {"x": 1.0}), tmp_path / "1.pt")
    assert read_checkpoint(str(tmp_path / "1.pt")) == Checkpoint(1, {"x": 1.0})
