"""Runs a minute by each engine, two at a time on this machine: runs of about ten seconds, and runs that do nothing.

A run of ten seconds is thirty trials of 0.3 s that sleep; one that does nothing has one trial of the smallest task.
Both start a process for the run and one for its trials. Ray has two nodes on this machine; its start counts apart.

    pytest tests/benchmarks/test_engines.py --benchmark-only -m ""
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from suite.runs.jobs import Job, RunEngine, Silent, run_jobs
from suite.runs.on_ray import METER, RayRuns
from suite.runs.plan import RunPlan
from suite.runs.processes import LocalRuns, make_here
from tests.conftest import SCRIPTED, VALLEY, budget, script

SECONDS: dict[str, dict[str, float]] = {
    "ten": {},
    "nothing": {},
}  # by kind of run and engine, in the order of the tests

pytestmark = [pytest.mark.benchmark(group="runs by two at a time"), pytest.mark.filterwarnings("ignore")]


def jobs(kind: str, directory: Path) -> list[Job]:
    if kind == "ten":
        plan = RunPlan(SCRIPTED, script("Sleeps"), 0, budget(trials=1000), crosscheck=False)
        return [Job(f"ten {number}", plan, directory / f"ten-{number}") for number in range(6)]
    plan = RunPlan(VALLEY, "random", 0, budget(trials=1, v0=7.1), crosscheck=False)
    return [Job(f"nothing {number}", plan, directory / f"nothing-{number}") for number in range(10)]


def make(kind: str, engine: RunEngine, directory: Path) -> None:
    results = run_jobs(jobs(kind, directory), engine, Silent())
    assert all(result.ok for result in results), [result.message for result in results]


def report(benchmark: Any, kind: str, name: str) -> None:
    count = 6 if kind == "ten" else 10
    SECONDS[kind][name] = benchmark.stats.stats.min
    benchmark.extra_info["runs_per_minute"] = round(60 * count / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("kind", ["ten", "nothing"])
def test_local(benchmark: Callable[..., object], tmp_path: Path, kind: str) -> None:
    benchmark.pedantic(make, args=(kind, LocalRuns(2), tmp_path), rounds=1)  # type: ignore[attr-defined]
    report(benchmark, kind, "local")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # loopback
    ray_cluster = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "resources": {METER: 1}}
    made = ray_cluster.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made.add_node(**node)
    yield made
    made.shutdown()


@pytest.mark.parametrize("kind", ["ten", "nothing"])
def test_ray(benchmark: Callable[..., object], cluster: Any, tmp_path: Path, kind: str) -> None:
    began = time.monotonic()
    engine = RayRuns(make_here, address=cluster.address)
    benchmark.extra_info["seconds_to_connect"] = round(time.monotonic() - began, 2)  # type: ignore[attr-defined]
    benchmark.extra_info["idle_cores"] = round(idle_cores(10.0), 4)  # type: ignore[attr-defined]
    benchmark.pedantic(make, args=(kind, engine, tmp_path), rounds=1)  # type: ignore[attr-defined]
    report(benchmark, kind, "ray")
    if kind == "ten":
        share = SECONDS[kind]["local"] / SECONDS[kind]["ray"]
        benchmark.extra_info["share_of_local_throughput"] = round(share, 3)  # type: ignore[attr-defined]
        assert share >= 0.9


def idle_cores(seconds: float) -> float:
    """CPU seconds a second of all that Ray has started, while it has nothing to do."""

    def used() -> float:
        processes = psutil.Process().children(recursive=True)
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = used()
    time.sleep(seconds)
    return (used() - before) / seconds
