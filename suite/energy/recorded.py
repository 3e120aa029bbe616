"""A meter that plays a recorded trace back, so that tests and demonstrations need no hardware."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from suite.energy.meter import MeterInfo, Unavailable


class Recorded:
    """Answers each reading with the next one of ``trace`` (cumulative microjoules), and the last one ever after."""

    info: ClassVar = MeterInfo(
        name="recorded", component="cpu", tier="replay", summary="plays back a recorded trace of readings", factor=1.0
    )

    def __init__(self, trace: Iterable[int]) -> None:
        self._trace: Iterator[int] = iter(trace)
        try:
            self._last = next(self._trace)
        except StopIteration:
            raise Unavailable("a recorded trace needs one reading at least, got none") from None

    @property
    def source(self) -> str:
        return "a recorded trace"

    def microjoules(self) -> int:
        reading, self._last = self._last, next(self._trace, self._last)
        return reading
