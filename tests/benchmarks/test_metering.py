"""CPU time of metering: one cut of the ledger, and a loop of short trials beyond the trials themselves.

Beside it in the same run: codecarbon around the same trials, as tasks of one tracker, and as a tracker for each.

    tox -e bench -- tests/benchmarks/test_metering.py
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.energy.cpu_time import CpuTime
from suite.energy.crosscheck import CrossCheck
from suite.energy.doctor import burn
from suite.energy.ledger import Label, Ledger
from suite.energy.meter import Meter
from suite.energy.processes import ProcessTree
from suite.energy.ram import RaplDram
from suite.energy.rapl import Rapl
from tests.benchmarks.paired import Peer, beside, cpu_seconds
from tests.energy.fakes import Powercap
from tests.energy.fakes import means as made_up
from tests.energy.test_ledger import NONE

CUTS = 500  # in a round
TRIALS, TRIAL_SECONDS, ROUNDS = 40, 0.01, 7
MOST = 1.01  # of the CPU time of the trials alone

pytestmark = pytest.mark.filterwarnings("ignore")  # codecarbon's


def cuts(ledger: Ledger) -> None:
    for _ in range(CUTS):
        ledger.cut()


def measure(benchmark: Any, ledger: Ledger, most_microseconds: float) -> None:
    """Median CPU time of one cut, which must be below ``most_microseconds``."""
    benchmark.pedantic(cuts, args=(ledger,), rounds=20, warmup_rounds=2)
    microseconds = benchmark.stats.stats.median / CUTS * 1e6
    benchmark.extra_info["microseconds_per_cut"] = round(microseconds, 2)
    assert microseconds < most_microseconds


def with_rapl(root: Path) -> list[Meter]:
    tree = Powercap(root)
    for socket in range(2):
        tree.zone(f"intel-rapl:{socket}", f"package-{socket}")
        tree.zone(f"intel-rapl:{socket}:0", "dram")
    return [Rapl(made_up(), root), RaplDram(made_up(), root)]


@pytest.fixture
def worker() -> Iterator[int]:
    """A process that lives, and computes."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.benchmark(group="500 cuts", timer=time.process_time)
def test_a_cut_by_process_clocks(benchmark: Any) -> None:
    means = made_up()
    measure(benchmark, Ledger([CpuTime(means)], means.processes), most_microseconds=20.0)


@pytest.mark.benchmark(group="500 cuts", timer=time.process_time)
def test_a_cut_with_rapl_of_two_sockets(benchmark: Any, tmp_path: Path) -> None:
    measure(benchmark, Ledger(with_rapl(tmp_path / "powercap"), ProcessTree()), most_microseconds=50.0)


@pytest.mark.benchmark(group="500 cuts", timer=time.process_time)
def test_a_cut_with_a_living_worker(benchmark: Any, worker: int) -> None:
    means = made_up()
    ledger = Ledger([CpuTime(means)], means.processes)
    ledger.open_lane(worker, Label("train", 1), NONE)
    measure(benchmark, ledger, most_microseconds=200.0)


def alone() -> None:
    for _ in range(TRIALS):
        burn(TRIAL_SECONDS)


def metered(ledger: Ledger) -> None:
    for number in range(TRIALS):
        with ledger.window("train", number):
            burn(TRIAL_SECONDS)


def as_tasks(tracker: Any) -> None:
    for number in range(TRIALS):
        tracker.start_task(f"trial {number} {time.monotonic_ns()}")
        burn(TRIAL_SECONDS)
        tracker.stop_task()


def as_trackers() -> None:
    for _ in range(TRIALS):
        tracker = CrossCheck()
        tracker.start()
        burn(TRIAL_SECONDS)
        assert "reason" not in tracker.stop(1)


def measure_trials(benchmark: Any, peer: Peer) -> None:
    means = made_up()
    ledger = Ledger([CpuTime(means)], means.processes)
    metered(ledger), peer.run()
    pair = beside(benchmark, "a trial of 10 ms of work, metered", lambda: metered(ledger), peer, ROUNDS, TRIALS)
    assert pair.ratio > 1
    assert pair.ours_seconds * TRIALS < MOST * min(seconds(alone) for _ in range(ROUNDS))


def seconds(run: Callable[[], None]) -> float:
    begun = cpu_seconds()
    run()
    return cpu_seconds() - begun


def test_trials_in_codecarbon_tasks(benchmark: Any) -> None:
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="FRA",
        tracking_mode="process",
        save_to_file=False,
        allow_multiple_runs=True,
        log_level="critical",
    )
    measure_trials(benchmark, Peer("codecarbon", lambda: as_tasks(tracker), "codecarbon: a task a trial", TRIALS))
    tracker.stop()


def test_trials_with_a_codecarbon_tracker_each(benchmark: Any) -> None:
    measure_trials(benchmark, Peer("codecarbon", as_trackers, "codecarbon: a tracker a trial", TRIALS))
