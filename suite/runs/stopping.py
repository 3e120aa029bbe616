"""Signals that ask a run to stop, heard where its books are in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal asked the run to stop; it can be continued."""


class Stopper:
    """Raises ``Stopped`` on SIGTERM and SIGINT: at once while it is open, else as soon as it is open again.

    It is open from the start. ``close`` it before there are books that an exception in the middle would put in
    disorder, and wait or let others compute within ``opened``.
    """

    def __init__(self) -> None:
        self._asked = False
        self._open = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def close(self) -> None:
        self._open = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        if self._asked:
            raise Stopped
        self._open = True
        try:
            yield
        finally:
            self._open = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._open:
            self._open = False  # once is enough: what follows is to end in order
            raise Stopped
