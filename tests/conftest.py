"""Runs for tests: in a process of their own, as the board makes them."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.data import CACHE_VARIABLE, OFFLINE_VARIABLE
from suite.runs.engine import PINNED
from suite.runs.log import Budget, RunLog, read_log
from suite.runs.plan import RunPlan

HERE = Path(__file__).parent
VALLEY = f"{HERE / 'examples' / 'valley.py'}:TASK"
CLIMBER = f"{HERE / 'examples' / 'climber.py'}:Climber"
#: Put before a program, in which torch and the tasks' own code then cannot be imported.
WITHOUT_TORCH = """
import sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        assert name.partition(".")[0] not in ("torch", "tasks"), name
sys.meta_path.insert(0, Forbid())
"""
SCRIPTED = f"{HERE / 'runs' / 'tasks_that_fail.py'}:TASK"


@pytest.fixture(autouse=True, scope="session")
def data_at_hand() -> Iterator[None]:
    """Tests download nothing. Fetched data sets are where ``CARBON_SUITE_DATA`` says, else beside this checkout, if at
    all; tasks without theirs are skipped."""
    beside = HERE.parents[1] / "shared" / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OFFLINE_VARIABLE, "1")
        if beside.is_dir() and not os.environ.get(CACHE_VARIABLE):
            patch.setenv(CACHE_VARIABLE, str(beside))
        yield


@pytest.fixture(autouse=True, scope="session")
def tests_importable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Other processes import ``tests`` too, and nothing else of this checkout: ``suite`` and ``tasks`` are to be the
    installed ones."""
    folder = tmp_path_factory.mktemp("importable")
    (folder / HERE.name).symlink_to(HERE, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A trial that a test makes in its own process flushes denormals to zero; the next test has them again."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that ``make`` fills once a session, whichever of its processes needs it first."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


def slow(parameter: str) -> Any:
    """``parameter`` of a test, with the slow ones."""
    return pytest.param(parameter, marks=pytest.mark.slow)


def script(name: str) -> str:
    return f"{HERE / 'runs' / 'scripts.py'}:{name}"


def budget(joules: float | None = None, trials: int | None = None, v0: float | None = 0.5) -> Budget:
    """A budget in joules or trials, for a task whose default costs one joule."""
    microjoules = None if joules is None else round(joules * 1e6)
    return Budget(joules, microjoules, trials, 1_000_000, 1, v0)


def session(plan: RunPlan, directory: Path, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start a run as the board does."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "suite.runs.session", plan.to_json(), str(directory), str(os.getpid())],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", **PINNED},
    )


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunLog]:
    """Run to the end and read the log. Keyword arguments are those of ``RunPlan``."""

    def make(task: str, strategy: str, into: str = "run", **plan: object) -> RunLog:
        given = RunPlan(task, strategy, seed=0, budget=budget(trials=1000), crosscheck=False)
        process = session(replace(given, **plan), tmp_path / into)  # type: ignore[arg-type]
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return read_log(tmp_path / into)

    return make
