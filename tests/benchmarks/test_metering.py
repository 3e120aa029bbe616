"""CPU time of metering: one cut of the ledger, and a loop of short trials beyond the trials themselves.

Beside it in the same run: codecarbon's tasks around the same trials. CPU time of this process and all its threads.

    tox -e bench

On a virtual machine of two cores (AMD EPYC, Python 3.11, codecarbon 3.3.2) at a load of 17, which is unkind to caches:
5 microseconds a cut by process clocks, 10 with a living worker, 13 with RAPL of two sockets. At a load of
7: 0.8 % of trials of 10 ms, and codecarbon's tasks 117 % (medians of 20 and of 7 rounds).
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.energy.cpu_time import CpuTime
from suite.energy.doctor import burn
from suite.energy.ledger import Label, Ledger
from suite.energy.meter import Meter
from suite.energy.processes import ProcessTree
from suite.energy.ram import RaplDram
from suite.energy.rapl import Rapl
from tests.energy.fakes import Powercap
from tests.energy.fakes import means as made_up
from tests.energy.test_ledger import NONE

CUTS = 500  # in a round
TRIALS, TRIAL_SECONDS = 40, 0.01

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


def plain(trials: int) -> None:
    for _ in range(trials):
        burn(TRIAL_SECONDS)


def metered(ledger: Ledger, trials: int) -> None:
    for number in range(trials):
        with ledger.window("train", number):
            burn(TRIAL_SECONDS)


def tracked(tracker: Any, trials: int) -> None:
    for number in range(trials):
        tracker.start_task(f"trial {number} {time.monotonic_ns()}")
        burn(TRIAL_SECONDS)
        tracker.stop_task()


def loop(benchmark: Any, run: Callable[..., None], *arguments: Any) -> float:
    """CPU time that ``run`` takes beyond that of the trials alone, as a share of it."""
    alone = min(cpu_seconds(plain) for _ in range(3))
    benchmark.pedantic(run, args=(*arguments, TRIALS), rounds=7, warmup_rounds=1)
    overhead: float = benchmark.stats.stats.median / alone - 1
    benchmark.extra_info["overhead_percent"] = round(100 * overhead, 2)
    return overhead


def cpu_seconds(run: Callable[[int], None]) -> float:
    start = time.process_time()
    run(TRIALS)
    return time.process_time() - start


@pytest.mark.benchmark(group="40 trials of 10 ms", timer=time.process_time)
def test_trials_metered(benchmark: Any) -> None:
    means = made_up()
    assert loop(benchmark, metered, Ledger([CpuTime(means)], means.processes)) < 0.01


@pytest.mark.benchmark(group="40 trials of 10 ms", timer=time.process_time)
def test_trials_in_codecarbon_tasks(benchmark: Any) -> None:
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="FRA",
        tracking_mode="process",
        save_to_file=False,
        allow_multiple_runs=True,
        log_level="critical",
    )
    assert loop(benchmark, tracked, tracker) > 0.0
    tracker.stop()
