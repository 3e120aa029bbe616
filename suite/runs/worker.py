"""The worker process: loads one task, then makes trials as they are ordered.

Speaks JSON lines over a socket that it inherits, and nothing else, so that a task may print what it likes:

    <- {"ready": versions, "cpu_ns": n}  |  {"error": message, "cpu_ns": n}  |  {"unavailable": message, "cpu_ns": n}
    -> an Order
    <- {"outcome": {...}, "cpu_ns": n}  |  {"disk": message, "cpu_ns": n}

Every message carries the CPU time of this process and of its ended children at that moment. Changes of phase within a
trial are marked in shared memory (``suite.energy.marks``).
"""

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from suite.catalog import CatalogError, load_task, task_spec
from suite.data import DataError
from suite.energy.ledger import Phase
from suite.energy.marks import Marks
from suite.energy.processes import become_subreaper, die_with_parent, own_cpu_ns, reap
from suite.runs.files import DiskError
from suite.runs.machine import package_version
from suite.runs.plan import RunPlan
from suite.runs.program import posed
from suite.runs.trial import Order, Outcome, make
from suite.search.strategy import Search
from suite.task import Task


class Line:
    """The worker's end of the socket, and its marks."""

    def __init__(self, connection: socket.socket, marks: Marks, device: str) -> None:
        self._connection = connection
        self._orders = connection.makefile("rb")
        self._marks = marks
        self._device = device
        self._outlived = 0

    def say(self, **message: Any) -> None:
        message["cpu_ns"] = own_cpu_ns()
        self._connection.sendall(orjson.dumps(message) + b"\n")

    def enter(self, phase: Phase) -> None:
        """Mark that ``phase`` begins. What the phase before started has ended by now, and counts, or is ended."""
        self._outlived += end_children()
        synchronize(self._device)
        self._marks.enter(phase, own_cpu_ns())

    @contextmanager
    def search(self) -> Iterator[None]:
        """What a program does inside is an outer step: it counts as ``ask``."""
        synchronize(self._device)
        begun_ns = own_cpu_ns()
        yield
        synchronize(self._device)
        self._marks.search(own_cpu_ns() - begun_ns)

    def conclude(self, outcome: Outcome) -> None:
        outlived = self._outlived + end_children()
        self._outlived = 0
        if outlived:
            reason = f"{outlived} process(es) outlived the trial; a trial must end what it starts"
            outcome = Outcome("failed", reason=reason)
        self.say(outcome=settled(outcome, self._device).to_record())

    def order(self) -> Order | None:
        """The next order, or None once the run has closed its end."""
        line = self._orders.readline()
        return Order(**orjson.loads(line)) if line else None


def serve(line: Line, task_name: str, device: str, keeps_checkpoints: bool, variant: int, program: str) -> None:
    """Make what is ordered over ``line``, until it is closed. program: the plan of a run on a program board."""
    try:
        task, data = prepared(task_name, device, keeps_checkpoints, variant, program, line.search)
        synchronize(device)
    except Exception as error:
        line.say(**complaint(task_name, error))
        return
    gc.freeze()  # what is loaded by now stays: collections need not walk through it again
    line.say(ready={"torch": package_version("torch")})
    while order := line.order():
        try:
            line.conclude(make(task, data, order, device, line.enter))
        except DiskError as error:
            line.say(disk=str(error))


def prepared(
    task_name: str, device: str, keeps_checkpoints: bool, variant: int, program: str, search: Search
) -> tuple[Task, Any]:
    """A task and its data, with all loaded and warm that a first trial would else be charged for. program: the plan of
    a run on a program board, in which ``search`` marks outer steps; else empty."""
    task = load_task(task_name)
    if keeps_checkpoints:
        import torch  # noqa: F401  # what writing the first checkpoint would load
    pin_threads(device)
    data = task.load(variant)
    warm_up(task, data, device)
    return (posed(task, RunPlan.from_json(program), search) if program else task), data


def complaint(task_name: str, error: Exception) -> dict[str, str]:
    """What to say of a failed setup: the data or an optional install are unavailable, or the task is in error."""
    said = str(error) if isinstance(error, CatalogError | DataError) else f"{type(error).__name__}: {error}"
    message = f"task {task_name} cannot be set up: {said}"
    if isinstance(error, DataError):
        return {"unavailable": message}
    if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
        with suppress(CatalogError):  # raised again by a module without a card
            if extra := task_spec(task_name).extra:
                message += f"; it needs the extra: pip install 'carbon-suite[{extra}]'"
        return {"unavailable": message}
    return {"error": message}


def warm_up(task: Task, data: Any, device: str) -> None:
    """One short training of the default, so that lazy initialisation falls into setup and not on the first trial."""
    checkpoint = next(iter(task.train(data, task.spec.default, 0, device, None)))
    task.evaluate(data, checkpoint, "validation")


def pin_threads(device: str) -> None:
    """One thread and no denormals: the same trial bit for bit, whatever the number of cores. Once torch is loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        if device.startswith("cuda"):
            torch.use_deterministic_algorithms(True, warn_only=True)


def synchronize(device: str) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        torch.cuda.synchronize(device)


def settled(outcome: Outcome, device: str) -> Outcome:
    """``outcome``, once all that the trial gave its GPU to do has ended; an error there is the trial's."""
    try:
        synchronize(device)
    except Exception as error:
        return outcome if outcome.spoils_the_worker else Outcome("failed", reason=f"{type(error).__name__}: {error}")
    return outcome


def limit_memory(gib: str) -> None:
    """Let allocations beyond so many GiB fail, in this process and in each that it starts; all where ``gib`` is empty.

    Where memory runs out all the same, the system is to end this process rather than the run, which then goes on.
    """
    if gib:
        limit = round(float(gib) * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def end_children() -> int:
    """Wait for the children that have ended, so that their CPU time counts; end and count those that still live."""
    if not reap():
        return 0
    living = children()
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in living:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return len(living)


def children() -> list[int]:
    """Living children of this process, adopted ones included (Linux)."""
    return [
        int(pid) for thread in Path("/proc/self/task").iterdir() for pid in (thread / "children").read_text().split()
    ]


def main(
    descriptor: str,
    shared: str,
    task_name: str,
    device: str,
    keep: str,
    variant: str,
    parent: str,
    program: str,
    memory_gib: str,
) -> None:
    die_with_parent(int(parent))
    become_subreaper()
    limit_memory(memory_gib)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run decides when to stop
    with socket.socket(fileno=int(descriptor)) as connection, suppress(BrokenPipeError, ConnectionResetError):
        line = Line(connection, Marks(int(shared)), device)
        serve(line, task_name, device, bool(keep), int(variant), program)


if __name__ == "__main__":
    main(*sys.argv[1:])
