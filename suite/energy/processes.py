"""CPU time of a run's whole process tree, in nanoseconds, from the kernel's process clocks.

``getrusage`` alone misses living workers and children that double-forked away. Here the run's process and each worker
are *child subreapers*: an orphan below them becomes their child, is waited for, and so is counted.
"""

import ctypes
import os
import resource
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Adopt orphaned descendants of this process (Linux; elsewhere they stay uncounted)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed as soon as the process ``parent``, which started this one, is gone (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the call
        os._exit(1)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)


def own_cpu_ns() -> int:
    """CPU time of this process and of all its descendants that have been waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + round((children.ru_utime + children.ru_stime) * 1e9)


def process_clock_ns(pid: int) -> int:
    """CPU time of the living process ``pid`` (all threads), without its children; 0 once it is gone."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)  # the CLOCK_PROCESS_CPUTIME_ID of another process
    except OSError:
        return 0


def reap(group: int | None = None) -> bool:
    """Wait for every child that has ended, adopted ones included; of process group ``group``, or of any.

    Returns whether there are children left that live.
    """
    try:
        while os.waitpid(-(group or 1), os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


class ProcessTree:
    """The run's own process and its workers. A worker is a lane of its own; all else is the run's process, lane 0.

    busy_ns: for how long workers were at trials, added up by the ledger at its cuts.
    """

    def __init__(self) -> None:
        self.busy_ns = 0
        self._workers: dict[int, int] = {}  # pid -> the latest reading, never decreasing
        self._total_ns = own_cpu_ns()

    def watch(self, pid: int) -> None:
        self._workers[pid] = 0

    def forget(self, pid: int) -> None:
        """To be called right after ``pid`` was waited for: from then on the run's own process holds its time."""
        del self._workers[pid]

    def report(self, pid: int, cpu_ns: int) -> None:
        """A worker's own reading, which knows its children that have ended."""
        self._workers[pid] = max(self._workers[pid], cpu_ns)

    def refresh(self, reported: int | None = None) -> None:
        """Read all clocks but that of worker ``reported``, which has just sent its reading.

        A worker's ended children are added when it reports.
        """
        total = own_cpu_ns()
        for pid, latest in self._workers.items():
            if pid != reported:
                self._workers[pid] = latest = max(latest, process_clock_ns(pid))
            total += latest
        self._total_ns = total

    def worker_cpu_ns(self, pid: int) -> int:
        return self._workers[pid]

    def cpu_ns(self) -> int:
        """Total of the tree as of the last refresh."""
        return self._total_ns
