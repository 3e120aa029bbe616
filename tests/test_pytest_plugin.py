"""The fixture for other projects' tests, in a pytest of its own, as an installer leaves it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import time

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds

def test_step(carbon_benchmark):
    assert carbon_benchmark.joules_per_call is None
    assert carbon_benchmark.pedantic(burn, args=(0.05,), rounds=4) == 0.05
    assert 0.4 < carbon_benchmark.joules_per_call < 2.0  # 10 W a core for 0.05 s, and the machine at rest
    assert carbon_benchmark.interval[0] < carbon_benchmark.joules_per_call < carbon_benchmark.interval[1]

def test_call(carbon_benchmark):
    assert carbon_benchmark(burn, 0.01) == 0.01
"""


def pytest_in(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_theirs.py").write_text(TESTS)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments]
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(command, cwd=directory, env=theirs, capture_output=True, text=True, timeout=300)


def test_energy_and_carbon_stand_beside_the_seconds(tmp_path: Path) -> None:
    options = [
        "--carbon-meter",
        "cpu-time",
        "--carbon-grid",
        "100",
        "--carbon-pue",
        "1.5",
        "--benchmark-max-time",
        "0.1",
    ]
    made = pytest_in(tmp_path, *options, "--benchmark-json", "out.json")
    assert made.returncode == 0, made.stdout
    found = {each["name"]: each for each in json.loads((tmp_path / "out.json").read_text())["benchmarks"]}
    extra = found["test_step"]["extra_info"]
    assert extra["calls"] == 4
    assert extra["tier"] == "estimated"
    assert extra["kg_co2e_per_call"] == pytest.approx(extra["joules_per_call"] / 3.6e6 * 0.1 * 1.5)
    assert extra["joules_low"] == pytest.approx(extra["joules_per_call"] / 3)
    assert extra["meters"][0]["source"].startswith("CPU seconds x 10 W/core")
    assert "gpu" in extra["unmetered"]
    assert found["test_call"]["extra_info"]["calls"] >= found["test_call"]["stats"]["rounds"]


def test_without_pytest_benchmark_the_way_out_is_named(tmp_path: Path) -> None:
    made = pytest_in(tmp_path, "-p", "no:benchmark")
    assert made.returncode == 1
    assert "carbon_benchmark needs pytest-benchmark: pip install pytest-benchmark" in made.stdout
    assert "2 errors" in made.stdout


def test_the_plugin_costs_nothing_where_nobody_asks_for_it() -> None:
    heavy = {"suite.energy", "codecarbon", "ConfigSpace"}
    code = f"import sys, suite.pytest_plugin; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
