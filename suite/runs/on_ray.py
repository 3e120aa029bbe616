"""Runs on a Ray cluster: one task a run, one metered run a node at a time.

A node takes as many runs as it has of the resource ``meter``: 1, unless runs may share its meters. Ray retries nothing
by itself: an attempt that was lost with its node is said to be so, and made again as another. The board's directory
must be on a file system that all nodes see, and the project installed on each.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from suite.runs.jobs import BROKEN, KILLED, Advance, EngineError, Job, Maker, Result, elsewhere, of_job

METER: Final = "meter"
WAIT_SECONDS: Final = 1.0
STOP_SECONDS: Final = 10.0
NODE_SECONDS: Final = 300.0  # how long a cluster may be without any node that takes runs
LOOPBACK: Final = "127.0.0.1"

#: Ray finds this machine's address on the network unless it believes that it cannot form clusters; and it calls home.
_ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class RayRuns:
    """Makes runs by ``make``, at the nodes of a cluster.

    side_by_side: runs on one node at a time. address: of the cluster to join ("auto": the one that runs here); where it
    is None, Ray is started on this machine, listening on ``listen`` only.
    """

    name = "ray"

    def __init__(self, make: Maker, side_by_side: int = 1, address: str | None = None, listen: str = LOOPBACK) -> None:
        """Raises ``EngineError``."""
        self._ray = _started(address, listen)
        self._make, self._side_by_side = make, side_by_side
        self._in_hand: dict[Any, Job] = {}
        self._places, self._counted_at, self._seen_at = 0, -WAIT_SECONDS, time.monotonic()
        if not self._count():
            self._ray.shutdown()
            raise EngineError(
                f"no node of the Ray cluster has the resource {METER!r}, by which runs are placed: start each that is "
                f"to make runs with `ray start ... --resources='{{\"{METER}\": 1}}'`"
            )

    def room(self) -> int:
        return self._count() - len(self._in_hand)

    def start(self, job: Job) -> None:
        share = 1.0 / self._side_by_side
        gpus = share if job.plan.device.startswith("cuda") else 0
        task = self._ray.remote(num_cpus=0, num_gpus=gpus, resources={METER: share}, max_retries=0)(self._make)
        self._in_hand[task.remote(elsewhere(job))] = job

    def wait(self) -> Sequence[Advance | Result]:
        if not self._in_hand:  # every node that took runs is gone
            time.sleep(WAIT_SECONDS)
            return ()
        done, _ = self._ray.wait(list(self._in_hand), num_returns=1, timeout=WAIT_SECONDS)
        return [event for each in done for event in self._came_of(each, self._in_hand.pop(each))]

    def stop(self) -> None:
        """Interrupt the runs, which then stop by themselves; and Ray, where it was started here."""
        for each in self._in_hand:
            self._ray.cancel(each)
        if self._in_hand:
            self._ray.wait(list(self._in_hand), num_returns=len(self._in_hand), timeout=STOP_SECONDS)
        self._in_hand.clear()
        self._ray.shutdown()

    def _came_of(self, reference: Any, job: Job) -> Sequence[Advance | Result]:
        try:
            events: Sequence[Advance | Result] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return [
                Result(job, BROKEN, f"the run could not be made at its node: {str(error).strip().splitlines()[-1]}")
            ]
        except self._ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or [""])[0]
            return [Result(job, KILLED, f"the node of this run was lost, or its process killed: {first}")]
        return of_job(job, events)

    def _count(self) -> int:
        """For how many runs the nodes have room, occupied or not. Raises ``EngineError`` if there are none for long."""
        now = time.monotonic()
        if now - self._counted_at >= WAIT_SECONDS:
            self._counted_at = now
            self._places = round(self._ray.cluster_resources().get(METER, 0) * self._side_by_side)
        if self._places:
            self._seen_at = now
        elif now - self._seen_at > NODE_SECONDS:
            raise EngineError("no node of the Ray cluster takes runs any more; what was completed is kept")
        return self._places


def _started(address: str | None, listen: str) -> ModuleType:
    """Ray, connected to ``address`` or started here. Raises ``EngineError``."""
    if address is None and listen == LOOPBACK:
        os.environ.update(_ALONE)  # read when Ray is imported, and by what it starts
    try:
        import ray
    except ImportError as error:
        raise EngineError("the engine ray needs the extra: pip install 'carbon-suite[ray]'") from error
    own: Any = ray.util  # which has no types
    if address is None and listen == LOOPBACK and own.get_node_ip_address() != LOOPBACK:
        raise EngineError(
            "Ray was imported before this engine was asked for, and would listen on the network: set "
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before, or name the address to listen on"
        )
    means: Mapping[str, Any] = (
        {"address": address}
        if address
        else {"resources": {METER: 1}, "include_dashboard": False, "_node_ip_address": listen}
    )
    try:
        _keeping_signals(lambda: ray.init(**means, log_to_driver=False, configure_logging=False))
    except (ConnectionError, RuntimeError) as error:
        raise EngineError(f"Ray cannot be reached or started: {error}") from error
    module: ModuleType = ray
    return module


def _keeping_signals(begin: Callable[[], object]) -> None:
    """Ray has a way of its own to end at SIGTERM, which would leave ours out."""
    before = signal.getsignal(signal.SIGTERM)
    begin()
    signal.signal(signal.SIGTERM, before)
