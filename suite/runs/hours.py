"""Energy by the hour of the day, for grids whose carbon intensity changes with it.

The only place where a run's date matters. It says when energy was used, never how much.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from suite.energy.ledger import Segment

SECONDS: Final = 3600


class Hours:
    """Adds up microjoules by the hour, counted from the epoch in UTC.

    A session knows when it started, and its segments how long they took.
    """

    def __init__(self) -> None:
        self.microjoules: dict[int, int] = {}
        self._now: float | None = None
        self._suspended_ns = 0
        self._before = 0  # energy from before the first session said when it started

    def start(self, moment: str) -> None:
        """A session starts at ``moment``, in ISO 8601 with its offset from UTC."""
        self._now = datetime.fromisoformat(moment).timestamp()
        self._spread(self._before, self._now, self._now)
        self._before = 0

    def add(self, segments: Iterable[Segment], suspended_ns: int) -> None:
        """What was used since the last call, evenly over the time that it took. ``suspended_ns``: all sleep so far."""
        amount = wall_ns = 0
        for _, _, microjoules, _, each_ns in segments:
            amount += sum(microjoules.values())
            wall_ns += each_ns
        if self._now is None:
            self._before += amount
            return
        start = self._now + (suspended_ns - self._suspended_ns) / 1e9
        self._suspended_ns = suspended_ns
        self._now = start + wall_ns / 1e9
        if amount:
            self._spread(amount, start, self._now)

    def _spread(self, amount: int, start: float, end: float) -> None:
        first, last, left = int(start // SECONDS), int(end // SECONDS), amount
        for hour in range(first, last):
            seconds = min(end, SECONDS * (hour + 1)) - max(start, SECONDS * hour)
            share = round(amount * seconds / (end - start))
            self._book(hour, share)
            left -= share
        self._book(last, left)

    def _book(self, hour: int, amount: int) -> None:
        if amount:
            self.microjoules[hour] = self.microjoules.get(hour, 0) + amount
