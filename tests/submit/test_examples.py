"""The packages in ``examples``, installed as a stranger would, work with each other and keep the contracts; and the
steps of docs/submissions.md, taken to the letter, go the whole way."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from suite.catalog import load_strategy, load_task, task_spec
from suite.testing import StrategyContract
from tests.submit.conftest import EXAMPLES, command

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("installed")
class TestClimbing(StrategyContract):
    @pytest.fixture(autouse=True)
    def _load(self, installed: Path) -> None:
        type(self).strategy = import_module("carbon_climber.climbing").Climbing  # type: ignore[assignment]


def test_both_are_in_the_catalogue(installed: Path) -> None:
    names = json.loads(command("list", "--json"))
    assert "curves/polynomial" in {task["name"] for task in names["tasks"]}
    assert "climbing" in {strategy["name"] for strategy in names["strategies"]}
    assert load_strategy("climbing").info.version == "1.0"


def test_the_task_is_what_its_card_says(installed: Path) -> None:
    task = load_task("curves/polynomial")
    assert task_spec("curves/polynomial") == task.spec
    assert task.spec.constants is not None
    assert task.spec.constants.headroom_sigmas > 5
    assert (installed / "carbon_polynomial" / "polynomial.json").exists()


def test_the_task_goes_on_from_a_checkpoint_bit_for_bit(installed: Path) -> None:
    task = load_task("curves/polynomial")
    data, spec = task.load(), task.spec
    whole = list(task.train(data, spec.default, 3, "cpu", None))
    rest = list(task.train(data, spec.default, 3, "cpu", whole[4]))
    assert [each.fidelity for each in whole[5:]] == [each.fidelity for each in rest]
    assert whole[-1].state == rest[-1].state
    assert task.evaluate(data, whole[-1], "test") != task.evaluate(data, whole[-1], "validation")


def test_another_variant_has_other_data(installed: Path) -> None:
    task = load_task("curves/polynomial")
    assert (task.load(0)["test_y"] != task.load(1)["test_y"]).all()


def test_they_use_nothing_private() -> None:
    for path in EXAMPLES.rglob("*.py"):
        assert not re.search(r"from suite\S* import _|import tests|from tests", path.read_text()), path


@pytest.mark.slow
def test_the_steps_of_the_document_lead_to_a_verified_submission(tmp_path: Path) -> None:
    """Every command of its step-by-step part, as it stands there, beside what the tutorial has written."""
    text = (ROOT / "docs" / "submissions.md").read_text().partition("## The layout")[0]
    commands = [line.strip() for line in text.splitlines() if re.match(r"\s{4,}carbon-suite ", line)]
    taken = [each.split()[2] for each in commands if each.startswith("carbon-suite submit")]
    assert taken == ["nonce", "run", "package", "validate", "verify"]
    shutil.copy(ROOT / "tests" / "examples" / "climber.py", tmp_path)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    nonce = ""
    for each in commands:
        made = subprocess.run(
            ["bash", "-c", each.replace("NONCE", nonce)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, f"{each}\n{made.stdout}{made.stderr}"
        nonce = made.stdout.strip() if " nonce " in each else nonce
    assert (tmp_path / "site" / "index.html").exists()
