"""CPU time of a new process that imports ``suite`` or prints the help, beside one that imports a peer in the same run.

All of them include Python's own start.

    tox -e bench -- tests/benchmarks/test_imports.py
"""

import subprocess
import sys
from typing import Any

import pytest

from tests.benchmarks.paired import Peer, beside

ROUNDS = 7


def python(*arguments: str) -> None:
    subprocess.run([sys.executable, "-P", *arguments], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("peer", ["optuna", "codecarbon"])
@pytest.mark.parametrize(
    ("what", "arguments", "most_seconds"),
    [("`import suite`", ("-c", "import suite"), 0.3), ("`carbon-suite --help`", ("-m", "suite.cli", "--help"), 0.5)],
    ids=["import", "help"],
)
def test_it_starts_as_soon_as_a_peer(
    benchmark: Any, what: str, arguments: tuple[str, ...], most_seconds: float, peer: str
) -> None:
    other = Peer(peer, lambda: python("-c", f"import {peer}"), f"the peer: `import {peer}`")
    pair = beside(benchmark, f"{what}, in a new process", lambda: python(*arguments), other, ROUNDS)
    assert pair.ratio > 0.8
    assert pair.ours_seconds < most_seconds
