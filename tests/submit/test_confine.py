"""What a stranger's code is run with, and what a strategy is told (Linux)."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from suite.catalog import task_names, task_spec
from suite.runs.log import RunLog
from suite.submit import confine
from suite.submit.confine import Limits, OutOfTime, has_namespaces
from suite.submit.line import HungUp, Line
from suite.submit.rules import PROGRAM_TASKS
from tests.conftest import budget

MEBIBYTE = 2**20
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and namespaces are Linux's")


def python(code: str, limits: Limits | None = None) -> "CompletedProcess[bytes]":
    return confine.run([sys.executable, "-P", "-c", code], limits or Limits())


@pytest.mark.skipif(not has_namespaces(), reason="this system gives ordinary users no namespaces")
def test_there_is_no_network() -> None:
    made = python(
        "import socket; print([name for _, name in socket.if_nameindex()]);"
        "socket.create_connection(('127.0.0.1', 9), 1)"
    )
    assert made.stdout.strip() == b"['lo']"
    assert made.returncode != 0
    assert b"unreachable" in made.stderr


def test_memory_is_limited() -> None:
    made = python("x = bytearray(600 * 2**20)", Limits(memory_bytes=400 * MEBIBYTE))
    assert b"MemoryError" in made.stderr


def test_cpu_time_is_limited() -> None:
    made = python("while True: pass", Limits(cpu_seconds=1, seconds=60))
    assert made.returncode < 0


def test_files_are_limited() -> None:
    made = python("open('x', 'wb').write(bytes(2 * 2**20))", Limits(file_bytes=MEBIBYTE))
    assert made.returncode != 0


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
open({str(tmp_path / "pid")!r}, 'w').write(str(child.pid))
time.sleep(60)
"""
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        python(code, Limits(seconds=5))
    assert time.monotonic() - began < 30
    status = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_its_folder_is_empty_temporary_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    code = "import json, os; print(json.dumps([os.getcwd(), os.environ['HOME'], os.listdir(), dict(os.environ)]))"
    here, home, files, environment = json.loads(python(code).stdout)
    assert (here, files) == (home, [])
    assert not Path(here).exists()
    assert "GITHUB_TOKEN" not in environment


def test_a_line_to_a_process_that_hangs_up_or_talks_nonsense(tmp_path: Path) -> None:
    for code, error in (("raise SystemExit('broken')", "broken"), ("print('{')", "no JSON")):
        with Line([sys.executable, "-c", code], tmp_path, Limits()) as line, pytest.raises(HungUp, match=error):
            line.answer()
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with Line(sleeper, tmp_path, Limits(seconds=1)) as line, pytest.raises(OutOfTime):
        line.answer()


def test_test_values_are_not_within_the_contract(make_run: Callable[..., RunLog], tmp_path: Path) -> None:
    """A spy writes down all that it is given, however deep; no test value is among it, and neither task nor data."""
    spy = tmp_path / "spy.py"
    spy.write_text((HERE / "spy.py").read_text().replace("WHERE", str(tmp_path / "seen")))
    log = make_run("few_shot/sinusoid", f"{spy}:Spy", budget=budget(trials=2), time_limit_seconds=300.0)
    seen = (tmp_path / "seen").read_text()
    ends = [end for end in log.trials if end.test is not None]
    assert ends
    assert all(repr(end.validation) in seen for end in ends)
    assert not any(repr(end.test) in seen for end in ends)
    assert "suite.task.Task" not in seen
    assert "Tensor" not in seen


def test_the_tasks_of_program_boards_are_those_that_are_differentiable() -> None:
    from suite.catalog import load_task
    from suite.task import DifferentiableTask

    embedded = [name for name in task_names() if task_spec(name).embedded]
    assert sorted(PROGRAM_TASKS) == sorted(n for n in embedded if isinstance(load_task(n), DifferentiableTask))
