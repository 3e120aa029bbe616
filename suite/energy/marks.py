"""When a worker went over to validation and to test, and what it searched, told to the run through shared memory.

A message for each change of phase would wake the run's process up three times a trial. Instead the worker leaves marks,
in its own CPU time, and the ledger reads them whenever it cuts. A program goes from training to search and back many
times a trial, so that these are summed up.
"""

import mmap
from typing import Final

from suite.energy.ledger import Phase

_PHASES: Final[tuple[Phase, ...]] = ("validate", "test")  # in the order in which a trial goes through them
_SEARCHED: Final = len(_PHASES)
BYTES: Final = 8 * (len(_PHASES) + 1)


class Marks:
    """The marks of one worker, in a file of ``BYTES`` that both processes have open as ``descriptor``."""

    def __init__(self, descriptor: int) -> None:
        self._cpu_ns = memoryview(mmap.mmap(descriptor, BYTES)).cast("q")

    def clear(self) -> None:
        """Before a trial: it is in training."""
        for position in range(len(self._cpu_ns)):
            self._cpu_ns[position] = 0

    def enter(self, phase: Phase, cpu_ns: int) -> None:
        """``phase`` begins now, when the worker has used ``cpu_ns``."""
        self._cpu_ns[_PHASES.index(phase)] = cpu_ns

    def entered(self) -> list[tuple[Phase, int]]:
        """The phases entered since ``clear``, each with the CPU time at which it began."""
        return [(phase, cpu_ns) for phase, cpu_ns in zip(_PHASES, self._cpu_ns, strict=False) if cpu_ns]

    def search(self, cpu_ns: int) -> None:
        """The training in hand has used ``cpu_ns`` more on search."""
        self._cpu_ns[_SEARCHED] += cpu_ns

    def searched_ns(self) -> int:
        """CPU time used on search since ``clear``, within training."""
        return self._cpu_ns[_SEARCHED]
