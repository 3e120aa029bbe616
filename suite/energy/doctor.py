"""What is metered on this machine and by which source, and a self-test of the way from work done to kg reported.

The self-test makes a search in miniature: it asks, trains, trains twice as much, trains in a child process, and trains
until the trial fails, each time the same known load. The bugs that tools of this kind have had show in it: watt-hours
for kilowatt-hours, watts for kilograms, a tracker that stopped before training, a search or a child process or a failed
trial that cost nothing (docs/metering.md).
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
from suite.energy.crosscheck import CrossCheck
from suite.energy.ledger import CHARGED, JOULES_PER_KWH, Label, Ledger, Segment
from suite.energy.meter import Meter
from suite.energy.processes import ProcessTree

WORK_SECONDS: Final = 0.5
REST_SECONDS: Final = 2.0
DECLARED_REST_SECONDS: Final = 0.05
CUTS: Final = 1000

ONCE, TWICE, CHILD, FAILED = 1, 2, 3, 4  # the trials of the search in miniature
_ASK, _TEST = Label("ask"), Label("test", ONCE)
#: What the same load may cost from one time to the next: the machine has other things to do.
_SAME: Final = (0.5, 2.0)
_DOUBLE: Final = (1.5, 2.7)

RAPL_GUIDE: Final = (
    "To let everybody read the processor's energy counters, until the next boot: "
    "sudo chmod a+r /sys/class/powercap/*/energy_uj",
    'For good: put SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj" into '
    "/etc/udev/rules.d/70-powercap.rules",
    "Whoever reads them can learn something about what others compute (CVE-2020-8694): not on a shared machine.",
    "A virtual machine or a container sees them only if its host passes them on.",
)


@dataclass(frozen=True)
class Chain:
    """The way from segments to kg that is put to the test. charged: microjoules that a strategy pays for."""

    charged: Callable[[Iterable[Segment]], int]
    kwh: Callable[[float], float] = lambda joules: joules / JOULES_PER_KWH
    kg: Callable[[float], float] = lambda kwh: kg_co2e(kwh, REFERENCE, REFERENCE_PUE)


@dataclass(frozen=True)
class Finding:
    """One check of the self-test. ok is None where it only informs."""

    check: str
    ok: bool | None
    detail: str


class TrialFailed(Exception):
    """What the failing trial of the search in miniature raises."""


def self_test(
    meters: Sequence[Meter],
    tree: ProcessTree,
    chain: Chain,
    work_seconds: float = WORK_SECONDS,
    crosscheck: bool = True,
) -> list[Finding]:
    """Make the search in miniature under ``meters`` and judge it. It takes about seven times ``work_seconds``."""
    ledger = Ledger(meters, tree)
    measured = any(meter.info.tier == "measured" for meter in meters)
    rest_watts = ledger.rest_watts(REST_SECONDS if measured else DECLARED_REST_SECONDS)
    tracker = CrossCheck(crosscheck)
    with ledger.window("setup"):
        tracker.start()
    before = ledger.total_microjoules
    _search(ledger, work_seconds)
    after = ledger.total_microjoules
    with ledger.window("setup"):
        figures = tracker.stop(after - before)
    segments = ledger.drain()
    joules = {Label(s.phase, s.trial): _net_joules(s, rest_watts) for s in segments}
    return [
        _units(chain),
        _known_load(joules),
        _ratio("twice the work costs twice the energy", joules, Label("train", TWICE), _DOUBLE),
        _ratio("a child process counts", joules, Label("train", CHILD), _SAME),
        _ratio("a trial that fails costs what it used", joules, Label("train", FAILED), _SAME),
        _charges(chain, segments),
        _sum(segments, ledger.total_microjoules),
        _codecarbon(figures),
    ]


def overhead_microseconds(meters: Sequence[Meter], tree: ProcessTree) -> float:
    """CPU time of one cut of the ledger."""
    ledger = Ledger(meters, tree)
    start = time.process_time_ns()
    for _ in range(CUTS):
        ledger.cut()
    return (time.process_time_ns() - start) / CUTS / 1e3


def burn(seconds: float) -> None:
    """Use so much CPU time in this process."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        math.sqrt(2.0)


def _search(ledger: Ledger, seconds: float) -> None:
    with ledger.window(*_ASK):
        burn(seconds)
    with ledger.window("train", ONCE):
        burn(seconds)
    with ledger.window(*_TEST):
        burn(seconds)
    with ledger.window("train", TWICE):
        burn(2 * seconds)
    with ledger.window("train", CHILD):
        code = f"import time\nwhile time.process_time() < {seconds}: pass"
        subprocess.run([sys.executable, "-S", "-c", code], check=True)
    with suppress(TrialFailed), ledger.window("train", FAILED):
        burn(seconds)
        raise TrialFailed


def _net_joules(segment: Segment, rest_watts: dict[str, float]) -> float:
    """Without the power at rest, which depends on how long the load took and not on how much it was."""
    rest = sum(watts * segment.wall_ns / 1e3 for watts in rest_watts.values())
    return max(0.0, segment.total_microjoules - rest) / 1e6


def _units(chain: Chain) -> Finding:
    """A kilowatt for an hour is a kWh, and kg follow from kWh by the intensity and the PUE alone."""
    kwh, expected = chain.kwh(1000.0 * 3600.0), REFERENCE.kg_co2e_per_kwh * REFERENCE_PUE
    kg = chain.kg(1.0), chain.kg(2.0)
    ok = math.isclose(kwh, 1.0) and math.isclose(kg[0], expected) and math.isclose(kg[1], 2 * expected)
    return Finding(
        "units: J to kWh to kg",
        ok,
        f"1 kW for 1 h is {kwh:g} kWh; 1 kWh is {kg[0]:.4g} kg and 2 kWh are {kg[1]:.4g} kg CO2e at the reference "
        f"(expected {expected:.4g} and {2 * expected:.4g})",
    )


def _known_load(joules: dict[Label, float]) -> Finding:
    """Training costs what the same load costs outside of it, so that nobody stopped the meter before."""
    asked, trained = joules.get(_ASK, 0.0), joules.get(Label("train", ONCE), 0.0)
    low, high = _SAME
    ok = asked > 0 and low <= trained / asked <= high
    return Finding(
        "training is metered", ok, f"the same load cost {asked:.3g} J while asking and {trained:.3g} J while training"
    )


def _ratio(check: str, joules: dict[Label, float], label: Label, limits: tuple[float, float]) -> Finding:
    once, other = joules.get(Label("train", ONCE), 0.0), joules.get(label, 0.0)
    ratio = other / once if once else math.nan
    return Finding(
        check,
        limits[0] <= ratio <= limits[1],
        f"{other:.3g} J, {ratio:.2f} times a training (expected {limits[0]:g} to {limits[1]:g})",
    )


def _charges(chain: Chain, segments: Sequence[Segment]) -> Finding:
    """Asking, training and failing are charged; setup and test evaluation are not."""
    expected = sum(segment.total_microjoules for segment in segments if segment.phase in CHARGED)
    found = chain.charged(segments)
    by_label = {Label(segment.phase, segment.trial): segment for segment in segments}
    free = [
        name
        for name, label in (
            ("the search", _ASK),
            ("a training", Label("train", ONCE)),
            ("a failed trial", Label("train", FAILED)),
        )
        if label not in by_label or chain.charged([by_label[label]]) != by_label[label].total_microjoules
    ]
    told = f"; not charged: {', '.join(free)}" if free else ""
    return Finding(
        "search, training and failed trials are charged",
        found == expected and not free,
        f"charged {found / 1e6:.3g} J of {expected / 1e6:.3g} J{told}",
    )


def _sum(segments: Sequence[Segment], total: int) -> Finding:
    parts = sum(segment.total_microjoules for segment in segments)
    return Finding(
        "the parts sum to the total", parts == total, f"{parts} of {total} microjoules in {len(segments)} parts"
    )


def _codecarbon(figures: dict[str, Any]) -> Finding:
    """Its total beside ours. It informs: two models may differ, and the ratio says by how much."""
    if "reason" in figures:
        return Finding("codecarbon beside it", None, f"no reading: {figures['reason']}")
    ratio = figures["cpu_ratio"]
    told = "no ratio" if ratio is None else f"a ratio of {ratio:.2f}"
    return Finding(
        "codecarbon beside it",
        None,
        f"codecarbon {figures['codecarbon']} reads {figures['cpu_kwh'] * JOULES_PER_KWH:.3g} J for the CPU, and the "
        f"ledger {figures['ledger_kwh'] * JOULES_PER_KWH:.3g} J: {told}. {explained(figures)}",
    )


def explained(figures: dict[str, Any]) -> str:
    """Why codecarbon's figure differs: it has a model of its own, and each of its readings is of the time before it."""
    return (
        f"It reckons with {figures['cpu_watts']:.3g} W for this process on a {figures['cpu_model']} (mode "
        f"{figures['mode']}), and does not see children that have ended; the ledger with the source named above. "
        f"Its memory, {figures['ram_watts']:.3g} W by a constant, is left out of the ratio."
    )
