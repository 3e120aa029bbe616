"""The self-test passes on what is sound, and finds each bug that tools of this kind have had, when it is planted."""

import time
from collections.abc import Callable, Iterable

import pytest

from suite.energy.cpu_time import CpuTime
from suite.energy.doctor import FAILED, Chain, Finding, explained, overhead_microseconds, self_test
from suite.energy.ledger import JOULES_PER_KWH, Segment
from suite.energy.meter import Means, Meter
from suite.energy.processes import ProcessTree
from suite.runs.log import Charge

WORK = 0.06


def charged(segments: Iterable[Segment]) -> int:
    charge = Charge()
    charge.add(segments)
    return charge.microjoules


def examine(
    chain: Chain | None = None, meter: Callable[[Means], Meter] = CpuTime, **trees: ProcessTree
) -> list[Finding]:
    tree = trees.get("tree") or ProcessTree()
    meters = [meter(Means(tree, watts_per_core=10.0, idle_watts=1.0))]
    return self_test(meters, tree, chain or Chain(charged), WORK, crosscheck=False)


def failed(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if finding.ok is False}


def test_a_sound_chain_passes() -> None:
    findings = examine()
    assert failed(findings) == set(), findings
    assert sum(finding.ok is True for finding in findings) == 7
    assert findings[-1] == Finding("codecarbon beside it", None, "no reading: switched off")


def test_watt_hours_for_kilowatt_hours_are_found() -> None:
    assert failed(examine(Chain(charged, kwh=lambda joules: joules / 3600))) == {"units: J to kWh to kg"}


def test_watts_for_kilograms_are_found() -> None:
    assert failed(examine(Chain(charged, kg=lambda kwh: 65.0))) == {"units: J to kWh to kg"}


def test_a_conversion_that_is_out_of_scale_is_found() -> None:
    grams = Chain(charged, kwh=lambda joules: joules / JOULES_PER_KWH, kg=lambda kwh: kwh * 481 * 1.58)
    assert failed(examine(grams)) == {"units: J to kWh to kg"}


def test_a_tracker_that_stopped_before_training_is_found() -> None:
    class Stopped(CpuTime):
        """Counts up to the end of asking, which is the first load."""

        def __init__(self, means: Means) -> None:
            super().__init__(means)
            self._tree, self._begun_ns = means.processes, means.processes.cpu_ns()

        def microjoules(self) -> int:
            if self._tree.cpu_ns() - self._begun_ns < 1.5 * WORK * 1e9:
                self._last = super().microjoules()
            return self._last

    assert "training is metered" in failed(examine(meter=Stopped))


def test_a_search_that_is_not_charged_is_found() -> None:
    free = Chain(lambda segments: charged(s for s in segments if s.phase != "ask"))
    (finding,) = (finding for finding in examine(free) if finding.ok is False)
    assert "not charged: the search" in finding.detail


def test_a_failed_trial_that_is_free_is_found() -> None:
    free = Chain(lambda segments: charged(s for s in segments if s.trial != FAILED))
    (finding,) = (finding for finding in examine(free) if finding.ok is False)
    assert "not charged: a failed trial" in finding.detail


def test_a_test_evaluation_that_is_charged_is_found() -> None:
    all_charged = Chain(lambda segments: sum(s.total_microjoules for s in segments))
    assert failed(examine(all_charged)) == {"search, training and failed trials are charged"}


def test_a_child_process_that_does_not_count_is_found() -> None:
    class Alone(ProcessTree):
        """Knows this process and nobody else, as tools do that ask psutil for one pid."""

        def refresh(self, reported: int | None = None) -> None:
            self._total_ns = time.process_time_ns()

    assert failed(examine(tree=Alone())) == {"a child process counts"}


def test_codecarbons_figure_is_explained() -> None:
    told = explained({"cpu_watts": 42.5, "cpu_model": "Example 3000", "mode": "process", "ram_watts": 10.0})
    assert "42.5 W" in told
    assert "Example 3000" in told


@pytest.mark.parametrize("watts", [5.0, 50.0])
def test_the_overhead_of_a_cut_is_told_in_microseconds(watts: float) -> None:
    tree = ProcessTree()
    assert 0.5 < overhead_microseconds([CpuTime(Means(tree, watts, 1.0))], tree) < 500
