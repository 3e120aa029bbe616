"""CPU time and memory of scoring: a large board with all its resamples, and one very long log.

Beside each in the same run the naive loop: the bootstrap of u and pi in plain Python, over few resamples and scaled up
(it leaves out the covariances that the rank intervals need), and the log's lines through the ``json`` module, without
checksums, ledger or anything made of them.

    tox -e bench
"""

import json
import random
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.runs.log import LOG_NAME, RunLog, encode, read_log
from suite.score.board import Board, score
from suite.score.ranks import RESAMPLES
from tests.score.make import run, spec

METHODS, TASKS, SEEDS, PARADIGMS = 30, 24, 30, 8
NAIVE_RESAMPLES = 5
TRIALS = 1_000_000
NAIVE_LINES = 100_000


def large_board() -> list[RunLog]:
    draw = np.random.default_rng(0)
    names = ["random", *(f"strategy-{number}" for number in range(1, METHODS))]
    tasks = [spec(f"paradigm-{number % PARADIGMS}/task-{number}") for number in range(TASKS)]
    return [
        run((0.2 * draw.random(), level / 2), (0.5 + 0.2 * draw.random(), level), strategy=name, seed=seed, task=task)
        for task in tasks
        for rank, name in enumerate(names)
        for seed, level in enumerate(np.clip(0.3 + 0.02 * rank + 0.1 * draw.standard_normal(SEEDS), 0, 1))
    ]


def naive_bootstrap(board: Board, resamples: int) -> list[list[float]]:
    """Pi of each strategy and resample; seeds are drawn once a task."""
    runs: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for curve in board.curves:
        runs.setdefault(curve.task, {}).setdefault(curve.strategy, []).append((curve.final_s, curve.area))
    found = []
    for _ in range(resamples):
        totals = dict.fromkeys(board.strategies, 0.0)
        for of_task in runs.values():
            chosen = [random.randrange(SEEDS) for _ in range(SEEDS)]
            for strategy, pairs in of_task.items():
                reached = max(0.0, sum(pairs[seed][0] for seed in chosen))
                u = reached / sum(pairs[seed][1] for seed in chosen)
                totals[strategy] += u / (u + 2 / 3) / TASKS
        found.append(list(totals.values()))
    return found


def long_log(path: Path, trials: int) -> None:
    """A log of ``trials`` trials, each with its ask, as the harness writes them."""
    draw = np.random.default_rng(1).random(trials).tolist()
    header = run().header.to_record()
    with path.open("wb") as file:
        file.write(encode({"record": "run", "schema": 1, **header, "segments": [], "total": 0}))
        file.write(encode({"record": "session", "started": "2025-01-01T00:00:00+00:00", "segments": [], "total": 0}))
        for number, value in enumerate(draw, 1):
            ask: dict[str, Any] = {"record": "ask", "trial": number, "total": number}
            answer = {"configuration": {"x": value}, "fidelity": 9, "parent": None}
            file.write(encode({**ask, "answer": answer, "segments": [["ask", number, {"cpu": 0}, 100, 100]]}))
            trial = {"record": "trial", "trial": number, "attempt": 0, "status": "ok", "validation": value}
            rest = {"test": value, "reason": "", "seconds": 0.1, "returned": False, "total": number}
            file.write(encode({**trial, **rest, "segments": [["train", number, {"cpu": 1}, 100, 100]]}))
        file.write(encode({"record": "end", "reason": "budget", "crosscheck": {}, "segments": [], "total": trials}))


@pytest.mark.benchmark(group="30 strategies x 24 tasks x 30 seeds, 9,999 resamples", timer=time.process_time)
def test_a_large_board(benchmark: Any) -> None:
    logs = large_board()
    board = benchmark.pedantic(score, args=(logs,), rounds=1)
    begun = time.process_time()
    naive_bootstrap(board, NAIVE_RESAMPLES)
    naive = (time.process_time() - begun) / NAIVE_RESAMPLES * RESAMPLES
    ours, gib = benchmark.stats.stats.median, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info.update(naive_over_ours=round(naive / ours, 1), gib=round(gib, 2))
    print(f"{ours:.1f} s, {gib:.2f} GiB; naive loop {naive:.0f} s, {naive / ours:.0f} times as long")
    assert ours < 6
    assert gib < 2


@pytest.mark.benchmark(group="a log of a million trials", timer=time.process_time)
def test_a_long_log(benchmark: Any, tmp_path: Path) -> None:
    path = tmp_path / LOG_NAME
    long_log(path, TRIALS)
    board = benchmark.pedantic(lambda: score([read_log(path)]), rounds=1)
    assert board.cells[0].trials == TRIALS
    begun = time.process_time()
    with path.open() as file:
        kept = [json.loads(line) for line, _ in zip(file, range(NAIVE_LINES), strict=False)]
    naive = (time.process_time() - begun) / len(kept) * 2 * TRIALS
    ours = benchmark.stats.stats.median
    benchmark.extra_info.update(naive_over_ours=round(naive / ours, 2))
    print(f"{ours:.1f} s; lines through json alone {naive:.1f} s, {naive / ours:.2f} times as long")
    assert ours < 2.5 * naive  # seconds depend on the machine, and on who else is on it
