"""CPU time and memory of scoring: a large board with all its resamples, and one very long log.

Beside it in the same run: rliable's intervals of the interquartile mean, by as many resamples of the same runs, and the
log's lines through the ``json`` module.

    tox -e bench -- tests/benchmarks/test_scoring.py
"""

import json
import resource
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.runs.lines import encode
from suite.runs.log import LOG_NAME, RunLog, read_log
from suite.score.board import Board, score
from suite.score.ranks import RESAMPLES
from tests.benchmarks.paired import Peer, beside
from tests.score.make import run, spec

METHODS, TASKS, SEEDS, PARADIGMS = 30, 24, 30, 8
TRIALS = 1_000_000
PEER_TRIALS = 100_000
ROUNDS = 3


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


def interquartile_means(board: Board) -> None:
    """Stratified bootstrap of the runs of each strategy."""
    library = pytest.importorskip("rliable.library", reason="needs the dependency group peers")
    from rliable.metrics import aggregate_iqm

    reached = {name: np.zeros((SEEDS, TASKS)) for name in board.strategies}
    for curve in board.curves:
        reached[curve.strategy][curve.seed, board.tasks.index(curve.task)] = curve.final_s
    library.get_interval_estimates(reached, lambda runs: np.array([aggregate_iqm(runs)]), reps=RESAMPLES)


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


@pytest.mark.filterwarnings("ignore")  # rliable's
def test_a_large_board(benchmark: Any) -> None:
    logs = large_board()
    board = score(logs)
    differs = "ours: `Pi` and ranks by the differences of all pairs; the peer: interquartile means alone"
    peer = Peer("rliable", lambda: interquartile_means(board), differs)
    what = f"intervals by {RESAMPLES:,} resamples: {METHODS} strategies, {TASKS} tasks, {SEEDS} seeds"
    pair = beside(benchmark, what, lambda: score(logs), peer, ROUNDS)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info["gib"] = round(gib, 2)
    assert pair.ratio > 5
    assert pair.ours_seconds < 6
    assert gib < 2


def test_a_long_log(benchmark: Any, tmp_path: Path) -> None:
    path = tmp_path / LOG_NAME
    long_log(path, TRIALS)

    def scored() -> None:
        assert score([read_log(path)]).cells[0].trials == TRIALS

    def read() -> None:
        with path.open() as file:
            for line in islice(file, 2 * PEER_TRIALS):  # each has its ask
                json.loads(line)

    peer = Peer("the module `json`", read, "the peer: lines alone, no checksums, nothing made of them", PEER_TRIALS)
    pair = beside(benchmark, f"reading and scoring a log of {TRIALS:,} trials, a trial", scored, peer, ROUNDS, TRIALS)
    assert pair.ratio > 0.4
