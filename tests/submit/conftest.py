"""A real, small submission, made once by the commands, with the packages in ``examples`` installed as by a stranger."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from suite.submit.findings import Report
from suite.submit.rules import RELEASE
from suite.submit.validate import validate
from tests.submit import forge

EXAMPLES = Path(__file__).parents[2] / "examples"
ABOUT = {
    "author": "Ada Lovelace",
    "licence": "Apache-2.0",
    "link": "https://example.org/climbing",
    "commit": "0123456789abcdef",
}


@dataclass(frozen=True)
class Published:
    """A submission as its author made it. code: the strategy as a file, as verify may be given it."""

    root: Path
    board: Path
    register: Path
    nonce: str
    code: str


def command(*arguments: object, expect: int = 0) -> str:
    """Run ``carbon-suite`` in a process of its own. Returns what it printed."""
    made = subprocess.run(
        [sys.executable, "-P", "-m", "suite.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert made.returncode == expect, made.stdout + made.stderr
    return made.stdout


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The packages in ``examples``, copied and installed offline into a folder that all processes import from."""
    import shutil

    folder = tmp_path_factory.mktemp("examples")
    packages = [shutil.copytree(EXAMPLES / name, folder / name) for name in ("task", "strategy")]
    target = folder / "site"
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, *packages],
        check=True,
        capture_output=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(target), os.environ["PYTHONPATH"]]))
        patch.syspath_prepend(str(target))
        yield target


@pytest.fixture(scope="package")
def published(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """docs/submissions.md, followed: a nonce, the runs, a package."""
    folder = tmp_path_factory.mktemp("entry")
    results, board = folder / "results", folder / "board"
    register = results / RELEASE / "nonces.csv"
    named = ("--board", "practice", "--strategy", "climbing")
    nonce = command("submit", "nonce", *named, "--version", "1.0", "--register", register).strip()
    means = ("--task", "curves/polynomial", "--seeds", 2, "--budget", 8, "--no-crosscheck", "--out", board)
    command("submit", "run", "--nonce", nonce, "--strategy", "climbing", *means)
    about = [word for name, value in ABOUT.items() for word in (f"--{name}", value)]
    code = installed / "carbon_climber"
    command("submit", "package", board, *named, "--nonce", nonce, *about, "--code", code, "--out", results)
    root = results / RELEASE / "practice" / "climbing" / "1.0"
    return Published(root, board, register, nonce, f"{root}/strategy/carbon_climber/climbing.py:Climbing")


@pytest.fixture
def mutant(published: Published, tmp_path: Path) -> Path:
    """A copy of the submission, to be changed."""
    return forge.copy(published.root, tmp_path / "mutant")


@pytest.fixture
def check() -> Callable[..., Report]:
    """Validates with a manifest made anew: what is found is found in the content."""

    def checked(root: Path, manifest: bool = True, **given: Path) -> Report:
        if manifest:
            forge.write_manifest(root)
        return validate(root, **given)

    return checked


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}


def edit_log(path: Path, change: Callable[[forge.Records], object]) -> None:
    records = forge.load(path)
    change(records)
    forge.save(path, forge.settle(records))


def document(root: Path, name: str) -> dict[str, object]:
    record: dict[str, object] = json.loads((root / name).read_text())
    return record
