"""Two ways to do the same work, timed in turn in one run, so that what else the machine does falls on both alike."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any


def peer_over_ours(
    benchmark: Any,
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """Median CPU time of ``peer`` over that of ``ours``, called in turn, ``rounds`` times each. ``clock``: what the
    benchmark is timed by."""
    seconds: list[float] = []

    def peer_first() -> None:
        begun = clock()
        peer()
        seconds.append(clock() - begun)

    benchmark.pedantic(ours, setup=peer_first, rounds=rounds)
    ratio = median(seconds) / benchmark.stats.stats.median
    benchmark.extra_info["peer_over_ours"] = round(ratio, 2)
    return float(ratio)
