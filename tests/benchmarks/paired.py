"""Two ways to do the same work, timed in turn in one run, so that what else the machine does falls on both alike.

What comes of it is a ``Pair``. It stands in the results of pytest-benchmark under ``PAIR``, where ``table`` finds it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from suite.energy.processes import own_cpu_ns
from suite.runs.machine import package_version

PAIR = "pair"
Clock = Callable[[], float]


@dataclass(frozen=True)
class Peer:
    """Another's way to do the work. name: of the distribution, or words where it is none. run: does so many units.
    differs: what one side does and the other does not."""

    name: str
    run: Callable[[], object]
    differs: str = ""
    units: int = 1


@dataclass(frozen=True)
class Pair:
    """Median CPU seconds of a unit of work, ours and the peer's, of n rounds each. what: the unit, in words.
    version: the peer's, or None where it is no distribution."""

    what: str
    peer: str
    version: str | None
    ours_seconds: float
    peer_seconds: float
    n: int
    differs: str = ""

    @property
    def ratio(self) -> float:
        """The peer's time over ours."""
        return self.peer_seconds / self.ours_seconds


def cpu_seconds() -> float:
    """Of this process and of all its children that have ended."""
    return own_cpu_ns() / 1e9


def beside(
    benchmark: Any,
    what: str,
    ours: Callable[[], object],
    peer: Peer,
    rounds: int,
    units: int = 1,
    clock: Clock = cpu_seconds,
) -> Pair:
    """``ours`` does so many units of the work. clock: counts the CPU seconds of all that works for either side."""
    our_seconds: list[float] = []
    peer_seconds: list[float] = []
    benchmark.group = what
    benchmark.pedantic(timed(ours, clock, our_seconds), setup=timed(peer.run, clock, peer_seconds), rounds=rounds)
    pair = Pair(
        what,
        peer.name,
        package_version(peer.name),
        median(our_seconds) / units,
        median(peer_seconds) / peer.units,
        len(our_seconds),
        peer.differs,
    )
    benchmark.extra_info[PAIR] = asdict(pair)
    return pair


def timed(run: Callable[[], object], clock: Clock, seconds: list[float]) -> Callable[[], None]:
    """``run``, which adds what it took to ``seconds``."""

    def run_timed() -> None:
        begun = clock()
        run()
        seconds.append(clock() - begun)

    return run_timed
