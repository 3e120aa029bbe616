"""Which trials are made again, and how large a forgery that would have caught."""

import random
from collections.abc import Sequence
from math import comb
from typing import Final, TypeVar

SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

T = TypeVar("T")


def draw(pool: Sequence[T], count: int, key: str) -> list[T]:
    """``count`` of ``pool`` at random, without any twice, all where it has fewer. The same ``key`` draws the same."""
    return random.Random(key).sample(list(pool), min(count, len(pool)))


def caught(total: int, forged: int, drawn: int) -> float:
    """Probability that one of ``forged`` trials, at least, is among ``drawn`` of ``total`` (hypergeometric)."""
    return 1.0 - comb(total - forged, drawn) / comb(total, drawn)


def power(total: int, drawn: int) -> dict[str, float]:
    """``caught``, by how large a share of the trials is forged."""
    counts = {share: max(1, round(share * total)) for share in SHARES} if total else {}
    single = {"one trial": caught(total, 1, drawn)} if total else {}
    return {**single, **{f"{share:.0%} of the trials": caught(total, m, drawn) for share, m in counts.items()}}
