"""A board of 10,000 planned runs: what planning it, asking for its status and going on with it take.

Each is the whole command in a process of its own, imports included, in CPU seconds: machines are shared, and the wall
says more of the others. The runs stand in the directory as ended ones of 20 trials each, so that going on with the
board finds nothing to do.

    pytest tests/benchmarks/test_board_of_ten_thousand.py --benchmark-only -m ""
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.runs.agenda import read_agenda
from tests.benchmarks.paired import cpu_seconds
from tests.conftest import VALLEY
from tests.runs.boards import log_of, write_run

RUNS = 10_000
SECONDS, GIB = 5.0, 1.0
REFERENCE = {"version": "1", "default_microjoules": 1000, "default_seconds": 0.1, "trainings": 1, "v0": 7.1, "mix": {}}
COMMAND = [sys.executable, "-P", "-c", "from suite.cli import main; main()"]
PLAN = ["--task", VALLEY, "--strategy", "random", "--strategy", "tpe", "--seeds", f"0-{RUNS // 2 - 1}", "--plan-only"]

pytestmark = pytest.mark.benchmark(group=f"a board of {RUNS} runs", timer=cpu_seconds)


def carbon_suite(*arguments: str) -> bytes:
    return subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ten-thousand") / "board"
    carbon_suite("run", *PLAN, "--no-crosscheck", "--out", str(directory))
    content = log_of(0, trials=20)
    for run in read_agenda(directory).entries:
        write_run(directory, run, content)
    kept = json.loads((directory / "board.json").read_text())
    (directory / "board.json").write_text(json.dumps({**kept, "tasks": {"toy/valley": REFERENCE}}))
    return directory


def within_limits(benchmark: Callable[..., object], *arguments: str) -> bytes:
    began = time.monotonic()
    said: bytes = benchmark.pedantic(carbon_suite, args=arguments, rounds=3)  # type: ignore[attr-defined]
    benchmark.extra_info["mean_wall_seconds"] = round((time.monotonic() - began) / 3, 2)  # type: ignore[attr-defined]
    gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    benchmark.extra_info["most_gib_of_any_command"] = round(gib, 3)  # type: ignore[attr-defined]
    assert benchmark.stats.stats.max < SECONDS  # type: ignore[attr-defined]
    assert gib < GIB
    return said


def test_planning(benchmark: Callable[..., object], tmp_path: Path) -> None:
    said = within_limits(benchmark, "run", *PLAN, "--no-crosscheck", "--out", str(tmp_path / "board"))
    assert f"{RUNS} runs are planned" in said.decode()


def test_status(benchmark: Callable[..., object], board: Path) -> None:
    assert f"{RUNS} of {RUNS} runs ended" in within_limits(benchmark, "status", str(board)).decode()


def test_going_on(benchmark: Callable[..., object], board: Path) -> None:
    assert f"{RUNS} of {RUNS} runs ended" in within_limits(benchmark, "run", "--out", str(board)).decode()
