"""Two ways to do the same work, timed in turn in one run, so that what else the machine does falls on both alike."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any


def peer_over_ours(benchmark: Any, ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> float:
    """Median CPU time of ``peer`` over that of ``ours``, called in turn, ``rounds`` times each."""
    seconds: list[float] = []

    def peer_first() -> None:
        begun = time.process_time()
        peer()
        seconds.append(time.process_time() - begun)

    benchmark.pedantic(ours, setup=peer_first, rounds=rounds)
    ratio = median(seconds) / benchmark.stats.stats.median
    benchmark.extra_info["peer_over_ours"] = round(ratio, 2)
    return float(ratio)
