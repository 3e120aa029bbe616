"""The catalogue finds what is installed and what lies in a file, and says clearly what it cannot find."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from suite import catalog
from suite.catalog import CatalogError
from suite.runs.log import read_log
from suite.runs.plan import RunPlan
from tests.conftest import CLIMBER, SCRIPTED, VALLEY, budget, session


def test_names_of_the_first_release_are_there() -> None:
    assert {"supervised/mnist1d", "few_shot/sinusoid", "physics_informed/helmholtz"} <= set(catalog.task_names())
    assert {"default", "random", "sobol", "tpe", "hyperband"} <= set(catalog.strategy_names())
    assert "cpu-time" in catalog.meter_names()


def test_globs_select_and_keep_their_order() -> None:
    embedded = [name for name in catalog.task_names() if catalog.task_spec(name).embedded]
    few_shot = [name for name in embedded if name.startswith("few_shot/")]
    assert catalog.select(catalog.TASKS, ["*", "*"]) == embedded
    assert catalog.select(catalog.TASKS, ["few_shot/*", "*"])[: len(few_shot)] == few_shot
    assert catalog.select(catalog.STRATEGIES, [CLIMBER, "random"]) == [CLIMBER, "random"]


def test_programs_are_named_in_full() -> None:
    assert "unrolled" in catalog.strategy_names()
    assert not {"unrolled", "darts"} & set(catalog.select(catalog.STRATEGIES, ["*"]))
    assert catalog.select(catalog.STRATEGIES, ["unrolled", "darts"]) == ["unrolled", "darts"]
    with pytest.raises(CatalogError, match=r"strategies that ask and tell only, and these are programs.*: unrolled"):
        catalog.select(catalog.STRATEGIES, ["unroll*"])


def test_what_is_not_embedded_is_named_in_full() -> None:
    assert "supervised/cifar10" in catalog.task_names()
    assert "supervised/cifar10" not in catalog.select(catalog.TASKS, ["supervised/*"])
    assert catalog.select(catalog.TASKS, ["supervised/cifar10"]) == ["supervised/cifar10"]
    with pytest.raises(CatalogError, match=r"stands for embedded tasks only.*name in full.*: supervised/cifar10"):
        catalog.select(catalog.TASKS, ["supervised/cifar*"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: catalog.select(catalog.TASKS, ["vision/*"]), r"no task is called 'vision/\*'; there are: .*sinusoid"),
        (lambda: catalog.load_task("vision/imagenet"), "no task is called 'vision/imagenet'; there are: .*sinusoid"),
        (lambda: catalog.load_strategy("magic"), "no strategy is called 'magic'; there are: .*default"),
        (lambda: catalog.load_strategy("nowhere.py:Magic"), "there is no file"),
        (lambda: catalog.load_strategy(CLIMBER.replace("Climber", "Walker")), "defines no Walker"),
        (lambda: catalog.load_strategy(VALLEY), "is not a class with info, ask and tell"),
        (lambda: catalog.load_task(CLIMBER), "lacks spec, load, train or evaluate"),
    ],
)
def test_what_is_not_there_is_said_clearly(call: object, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        call()  # type: ignore[operator]


def test_a_file_with_an_error_in_it_is_said_clearly(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import nothing_of_this_name\n")
    with pytest.raises(
        CatalogError, match="cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    ):
        catalog.load_strategy(f"{file}:Broken")


def test_a_users_own_tasks_module_breaks_no_run(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("raise RuntimeError('not the tasks you are looking for')\n")
    (tmp_path / "suite.py").write_text("raise RuntimeError('not the suite you are looking for')\n")
    plan = RunPlan("few_shot/sinusoid", "default", seed=0, budget=budget(trials=9), crosscheck=False)
    process = session(plan, tmp_path / "run", cwd=tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert read_log(tmp_path / "run").ended == "exhausted"


def test_a_module_that_hides_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")
    code = "import sys; sys.path.insert(0, '')\nfrom suite.catalog import load_task\nload_task('few_shot/sinusoid')"
    found = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (
        f"the module 'tasks' was imported from {tmp_path / 'tasks.py'}, which hides carbon-suite's own" in found.stderr
    )


def test_a_package_adds_a_task_and_a_strategy_and_a_meter(tmp_path: Path) -> None:
    """A third-party package in one file, with its entry points, as an installer leaves it."""
    root = Path(__file__).parent
    (tmp_path / "third_party.py").write_text(
        (root / "examples" / "valley.py").read_text()
        + (root / "examples" / "climber.py").read_text()
        + textwrap.dedent(
            """
            from suite.energy.meter import MeterInfo

            class Steady:
                info = MeterInfo("steady", "cpu", "estimated", "a hundred microjoules a reading")
                source = "the test"
                def __init__(self, means):
                    self.count = 0
                def microjoules(self):
                    self.count += 100
                    return self.count
            """
        )
    )
    metadata = tmp_path / "third_party-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[carbon_suite.tasks]\ntoy/valley = third_party:TASK\n"
        "[carbon_suite.strategies]\nclimber = third_party:Climber\n"
        "[carbon_suite.meters]\nsteady = third_party:Steady\n"
    )
    command = ["run", "--task", "toy/*", "--strategy", "climber", "--meter", "steady", "--seeds", "0", "--out", "board"]
    made = subprocess.run(
        [sys.executable, "-P", "-m", "suite.cli", *command, "--budget", "500", "--no-crosscheck"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    log = read_log(tmp_path / "board" / "runs" / "toy" / "valley" / "climber" / "seed-0")
    assert log.header.meters[0]["meter"] == "steady"
    assert log.trials


def test_scripted_task_is_found_by_its_file() -> None:
    assert catalog.load_task(SCRIPTED).spec.name == "toy/scripted"
