"""CPU time counts for the whole process tree: workers, their children, orphans."""

import os
import subprocess
import sys
import time

import pytest

from suite.energy.cpu_time import CpuTime
from suite.energy.meter import Means
from suite.energy.processes import ProcessTree, own_cpu_ns, process_clock_ns, reap

BURN = "import time\nwhile time.process_time() < 0.2: pass"


def test_the_clock_of_this_process_is_its_own_cpu_time() -> None:
    assert abs(process_clock_ns(os.getpid()) - time.process_time_ns()) < 50_000_000


def test_the_clock_of_a_process_that_is_gone_is_zero() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    assert process_clock_ns(process.pid) == 0


def test_a_child_counts_once_it_was_waited_for() -> None:
    before = own_cpu_ns()
    subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
    assert own_cpu_ns() - before >= 0.2e9


def test_a_living_worker_counts_and_its_end_does_not_count_it_twice() -> None:
    tree = ProcessTree()
    tree.refresh()
    before = tree.cpu_ns()
    worker = subprocess.Popen(
        [sys.executable, "-S", "-c", BURN + "\nimport sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    tree.watch(worker.pid)
    end = time.monotonic() + 20
    while tree.worker_cpu_ns(worker.pid) < 0.2e9 and time.monotonic() < end:
        tree.refresh()
        time.sleep(0.01)
    living = tree.cpu_ns() - before
    worker.communicate()
    tree.forget(worker.pid)
    tree.refresh()
    assert living >= 0.2e9
    assert living - 1e6 <= tree.cpu_ns() - before < living + 0.1e9


def test_reap_without_children_does_nothing() -> None:
    reap()


@pytest.mark.parametrize(("watts", "seconds"), [(10.0, 0.1), (20.0, 0.1), (10.0, 0.2)])
def test_energy_is_cpu_seconds_times_declared_watts(watts: float, seconds: float) -> None:
    tree = ProcessTree()
    meter = CpuTime(Means(tree, watts_per_core=watts, idle_watts=0.0))
    tree.refresh()
    before = meter.microjoules()
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    tree.refresh()
    joules = (meter.microjoules() - before) / 1e6
    assert joules == pytest.approx(watts * seconds, rel=0.2)


def test_idle_watts_count_elapsed_time() -> None:
    meter = CpuTime(Means(ProcessTree(), watts_per_core=0.0, idle_watts=5.0))
    before = meter.microjoules()
    time.sleep(0.1)
    assert 0.5e6 <= meter.microjoules() - before < 5e6
