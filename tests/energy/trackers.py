"""What codecarbon says where the truth is known: the figures of docs/metering.md, section 6.

    python -m tests.energy.trackers

A minute, on a machine without RAPL.
"""

import logging
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from codecarbon import OfflineEmissionsTracker
from codecarbon.core.rapl import RAPLFile
from codecarbon.core.units import Time

from suite.energy.doctor import burn
from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.machine import machine_facts

SECONDS, CHILD_SECONDS = 1.0, 0.3  # of work
TRIALS, TRIAL_SECONDS, ROUNDS = 40, 0.011, 5
REPEATS = 20
HOUR = 3600.0
WRAPS_AT = 262_143_328_850  # microjoules, as most packages do
FIRST_START = """
from codecarbon import OfflineEmissionsTracker as Tracker
import time
tracker = Tracker(country_iso_code="FRA", save_to_file=False, allow_multiple_runs=True, log_level="critical")
began = time.perf_counter()
tracker.start()
print(time.perf_counter() - began)
"""


def tracker(mode: str, country: str = "FRA") -> Any:
    return OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode=mode,
        save_to_file=False,
        allow_multiple_runs=True,
        log_level="critical",
    )


def cpu_joules(work: Callable[[], object]) -> float:
    """What a task around ``work`` is charged for the CPU."""
    one = tracker("process")
    one.start_task("first")  # the first finds out what hardware there is
    one.stop_task()
    one.start_task("work")
    work()
    joules = one.stop_task().cpu_energy * JOULES_PER_KWH
    one.stop()
    return float(joules)


def working() -> None:
    burn(SECONDS)


def first_start() -> str:
    found = [
        float(subprocess.run([sys.executable, "-c", FIRST_START], check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    ]
    return f"{1e3 * min(found):.0f} to {1e3 * max(found):.0f} ms (n = {ROUNDS})"


def tasks_in_a_loop(mode: str) -> str:
    """CPU time beyond that of the trials."""
    one = tracker(mode)
    one.start_task("first")
    one.stop_task()
    found = []
    for round_ in range(ROUNDS):
        began = time.process_time()
        for number in range(TRIALS):
            one.start_task(f"{round_}-{number}")
            burn(TRIAL_SECONDS)
            one.stop_task()
        found.append((time.process_time() - began) / (TRIALS * TRIAL_SECONDS) - 1)
    one.stop()
    return f"{statistics.median(found):.0%} more CPU time (n = {ROUNDS} rounds of {TRIALS})"


def between_tasks() -> str:
    """Ten stretches of work, of which every other one is a task."""
    one = tracker("process")
    charged = 0.0
    for number in range(5):
        one.start_task(str(number))
        burn(SECONDS / 5)
        charged += one.stop_task().cpu_energy * JOULES_PER_KWH
        burn(SECONDS / 5)
    one.stop()
    whole = cpu_joules(lambda: burn(2 * SECONDS))
    in_all = one.final_emissions_data.cpu_energy * JOULES_PER_KWH
    return f"{whole - in_all:.1f} J of {whole:.1f} J are in no figure (in the tasks: {charged:.1f} J)"


def within(outer: str, inner: str) -> str:
    """A task that is begun while another is open, nested in it or left behind by an error."""
    one = tracker("process")
    one.start_task(outer)
    one.start_task(inner)
    found = one.stop_task(inner)
    one.stop()
    return f"stop_task of the {inner} one returns {found}"


def child() -> str:
    def here() -> None:
        burn(CHILD_SECONDS)

    def in_a_child() -> None:
        process = multiprocessing.get_context("fork").Process(target=here)
        process.start()
        process.join()

    return f"{cpu_joules(in_a_child):.3g} J for {cpu_joules(here):.3g} J"


def moved_clock(by: float) -> str:
    real = time.time

    def moved() -> None:
        burn(SECONDS / 2)
        clock.side_effect = lambda: real() + by
        burn(SECONDS / 2)

    with mock.patch("codecarbon.external.hardware.time.time", side_effect=real) as clock:
        return f"{cpu_joules(moved):.3g} J for {cpu_joules(working):.3g} J"


def counted(readings: Iterator[int], total: int) -> str:
    """What codecarbon makes of a RAPL counter that reads so, of ``total`` microjoules."""
    with tempfile.TemporaryDirectory() as folder:
        energy, largest = Path(folder, "energy_uj"), Path(folder, "max_energy_range_uj")
        energy.write_text(str(next(readings)))
        largest.write_text(str(WRAPS_AT))
        file = RAPLFile("package-0", str(energy), str(largest))
        file.start()
        charged = 0.0
        for reading in readings:
            energy.write_text(str(reading))
            file.delta(Time.from_seconds(1))
            charged += file.energy_delta.kWh * JOULES_PER_KWH
    return f"{charged:,.0f} J for {total / 1e6:,.0f} J"


def reset() -> str:
    return counted(iter([100_000_000, 0, 30_000_000]), 30_000_000)


def wrapped_twice() -> str:
    used = 2 * WRAPS_AT + 50_000_000
    return counted(iter([0, used % WRAPS_AT]), used)


def memory() -> str:
    one = tracker("machine")
    one.start()
    burn(SECONDS)
    one.stop()
    data = one.final_emissions_data
    return f"{data.ram_power:.0f} W, {data.ram_energy / data.energy_consumed:.0%} of all energy beside one busy core"


def unknown_country() -> str:
    one = tracker("process", "XYZ")
    one.start()
    burn(SECONDS)
    one.stop()
    data = one.final_emissions_data
    return f"{1e3 * data.emissions / data.energy_consumed:.0f} g/kWh"


def repeats() -> str:
    """The same work again and again."""
    cpu, wall = [], []
    for _ in range(REPEATS):
        began = time.process_time(), time.perf_counter()
        sum(number * number for number in range(2_000_000))
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
    spread = (statistics.stdev(each) / statistics.mean(each) for each in (cpu, wall))
    return "CPU time varies by {:.1%}, wall time by {:.1%}".format(*spread) + f" (n = {REPEATS})"


FACTS: dict[str, Callable[[], str]] = {
    "the first start()": first_start,
    "tasks around trials of 11 ms, mode machine": lambda: tasks_in_a_loop("machine"),
    "tasks around trials of 11 ms, mode process": lambda: tasks_in_a_loop("process"),
    "energy between tasks": between_tasks,
    "a nested task": lambda: within("outer", "inner"),
    "a task that an exception left open": lambda: within("raises", "next"),
    "a child process that ends inside a task": child,
    "the clock is set back by an hour": lambda: moved_clock(-HOUR),
    "the clock is set on by an hour": lambda: moved_clock(HOUR),
    "a RAPL counter is reset": reset,
    "a RAPL counter wraps twice": wrapped_twice,
    "memory": memory,
    "an unknown country": unknown_country,
    "repeated runs": repeats,
}


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    facts = machine_facts()
    print(f"{facts['cpu']}, {facts['cores']} cores, load {os.getloadavg()[0]:.1f}, {facts['versions']}")
    for what, fact in FACTS.items():
        print(f"{what}: {fact()}", flush=True)


if __name__ == "__main__":
    main()
