"""The wheel and the source distribution: what is in them, how large they are, and that the wheel needs no repository.

pytest -m slow tests/test_packages.py -s      says the sizes
"""

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from suite.catalog import TASKS
from tests.conftest import HERE, made_once

ROOT = HERE.parent
PACKAGES = ("suite", "tasks")
LARGEST_WHEEL = 20 * 2**20
OURS = ("carbon_suite.egg-info", "build", "dist", "site", "results", ".*", "__pycache__")

pytestmark = pytest.mark.slow


def build(what: str, source: Path, out: Path) -> Path:
    """Build the ``sdist`` or ``wheel`` of ``source`` with the setuptools that is here, offline."""
    out.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta; print(build_meta.build_{what}({str(out)!r}))"
    made = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return out / made.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, what it unpacks to (``source``), and the wheel that is built from that."""

    def make(folder: Path) -> None:
        checkout = shutil.copytree(ROOT, folder / "checkout", ignore=shutil.ignore_patterns(*OURS))
        for left_out in (".ci", ".github", "results"):
            shutil.copytree(ROOT / left_out, checkout / left_out)
        with tarfile.open(build("sdist", checkout, folder)) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        build("wheel", unpacked.rename(folder / "source"), folder)

    return made_once(tmp_path_factory, "packages", make)


def files_below(folder: Path, *names: str) -> set[str]:
    found = (path for name in names for path in (folder / name).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_source_distribution_has_what_builds_tests_and_documents_it(built: Path) -> None:
    folders = (*PACKAGES, "docs", "examples", "tests", ".github")
    assert files_below(built / "source", *folders) == files_below(ROOT, *folders)
    for name in ("README.md", "RULES.md", "CITATION.cff", "LICENSE", "mkdocs.yml", "pyproject.toml", "tox.ini"):
        assert (built / "source" / name).exists()


def test_the_wheel_has_the_packages_with_their_data_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (source,) = built.glob("*.tar.gz")
    print(f"\n{wheel.name}: {wheel.stat().st_size:,} bytes; {source.name}: {source.stat().st_size:,} bytes")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == files_below(ROOT, *PACKAGES)
    assert wheel.stat().st_size < LARGEST_WHEEL


@pytest.fixture(scope="session")
def fresh(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, in which all else is what this one has. Returns its ``bin``."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place)
    (wheel,) = built.glob("*.whl")
    python, options = place / "bin" / "python", ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], check=True)
    (packages,) = place.glob("lib/*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join([*site.getsitepackages(), ""]))
    return place / "bin"


def carbon_suite(fresh: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [fresh / "carbon-suite", *arguments]
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_wheel_needs_no_repository(fresh: Path, tmp_path: Path) -> None:
    code = "import suite, tasks; print(suite.__file__, *tasks.__path__)"
    places = subprocess.run(
        [fresh / "python", "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(Path(place).is_relative_to(fresh.parent) for place in places.stdout.split())
    assert "which way of searching" in carbon_suite(fresh, tmp_path, "--help").lower()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][TASKS]
    listed = {task["name"] for task in json.loads(carbon_suite(fresh, tmp_path, "list", "tasks", "--json"))}
    assert listed >= set(declared)


def test_the_wheel_makes_ranks_and_reports_a_board(fresh: Path, tmp_path: Path) -> None:
    means = ("--strategy", "random", "--seeds", "0", "--budget", "1", "--no-crosscheck", "--out", "board")
    carbon_suite(fresh, tmp_path, "run", "--task", "few_shot/sinusoid", *means)
    assert "random" in carbon_suite(fresh, tmp_path, "rank", "board")
    carbon_suite(fresh, tmp_path, "report", "board", "--out", "report")
    assert (tmp_path / "report" / "index.html").exists()
