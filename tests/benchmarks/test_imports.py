"""CPU time of a new process that imports ``suite`` or prints the help, beside one that imports a peer in the same run.

All of them include Python's own start.

    tox -e bench -- tests/benchmarks/test_imports.py
"""

import resource
import subprocess
import sys
from typing import Any

import pytest

from tests.benchmarks.paired import peer_over_ours

ROUNDS = 7


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def python(*arguments: str) -> None:
    subprocess.run([sys.executable, "-P", *arguments], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.benchmark(timer=cpu_of_children)
@pytest.mark.parametrize("peer", ["optuna", "codecarbon"])
@pytest.mark.parametrize(
    ("arguments", "most_seconds"),
    [(("-c", "import suite"), 0.3), (("-m", "suite.cli", "--help"), 0.5)],
    ids=["import", "help"],
)
def test_it_starts_at_once(benchmark: Any, arguments: tuple[str, ...], most_seconds: float, peer: str) -> None:
    peer_over_ours(
        benchmark, lambda: python(*arguments), lambda: python("-c", f"import {peer}"), ROUNDS, cpu_of_children
    )
    assert benchmark.stats.stats.median < most_seconds
