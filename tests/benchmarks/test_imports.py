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
    ("what", "arguments"),
    [("`import suite`", ("-c", "import suite")), ("`carbon-suite --help`", ("-m", "suite.cli", "--help"))],
    ids=["import", "help"],
)
def test_it_starts_as_soon_as_a_peer(benchmark: Any, what: str, arguments: tuple[str, ...], peer: str) -> None:
    other = Peer(peer, lambda: python("-c", f"import {peer}"), f"the peer: `import {peer}`")
    assert beside(benchmark, f"{what}, in a new process", lambda: python(*arguments), other, ROUNDS).ratio > 0.8
