"""Makes trials of one task again, in a process of its own: as a worker does, without ledger and log.

Run as ``python -P -m suite.submit.again TASK DEVICE KEEP PLAN``: it says that it is ready, then answers each order on a
line of its input with its outcome and CPU times by phase. PLAN: of a run on a program board, else empty.
"""

import sys
from contextlib import nullcontext
from typing import Final

import orjson

from suite.energy.ledger import Phase
from suite.energy.processes import own_cpu_ns
from suite.runs.trial import Order, Outcome, make
from suite.runs.worker import prepared
from suite.submit.answers import own_output, say

BOARDS_VARIANT: Final = 0


class Phases:
    """CPU nanoseconds by phase of the trial in hand."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self._phase, self._began = "train", own_cpu_ns()

    def enter(self, phase: Phase) -> None:
        now = own_cpu_ns()
        self.used[self._phase] = self.used.get(self._phase, 0) + now - self._began
        self._phase, self._began = phase, now

    def leave(self) -> dict[str, int]:
        self.enter("idle")
        return self.used


def main(task_name: str, device: str, keep: str, plan: str) -> int:
    answers = own_output()  # a task may print what it likes
    task, data = prepared(task_name, device, bool(keep), BOARDS_VARIANT, plan, nullcontext)
    say(answers, ready=True)
    for line in sys.stdin.buffer:
        phases = Phases()
        outcome: Outcome = make(task, data, Order(**orjson.loads(line)), device, phases.enter)
        say(answers, outcome=outcome.to_record(), cpu_ns=phases.leave())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
