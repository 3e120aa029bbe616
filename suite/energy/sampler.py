"""Calls a function again and again in the background: for counters that wrap, and for power that must be integrated."""

import threading
import weakref
from collections.abc import Callable


class Sampler:
    """Calls ``sample``, a method, every ``seconds``, from ``start`` until its object is gone.

    The thread is a daemon and holds no reference to the object, so that nobody needs to stop it.
    """

    def __init__(self, sample: Callable[[], object], seconds: float) -> None:
        self._sample = weakref.WeakMethod(sample)
        self._seconds = seconds
        self._thread: threading.Thread | None = None
        self._never = threading.Event()

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="energy sampler", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._never.wait(self._seconds) and self._sampled():
            pass

    def _sampled(self) -> bool:
        """Sample once. Returns whether the object is still there; while the thread waits, nothing here holds it."""
        sample = self._sample()
        if sample is not None:
            sample()
        return sample is not None
