"""Every failure of a counter or a clock that a run must survive, with fake hardware.

In each, what was counted is shared out exactly, nothing is counted below zero, and what was not seen is told.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suite.energy import nvml as nvml_module
from suite.energy.ledger import Label, Ledger, Segment
from suite.energy.nvml import Nvml, NvmlPower
from suite.energy.ram import RaplDram
from suite.energy.rapl import Rapl
from tests.energy.fakes import RANGE, Card, Clock, FakeNvml, Powercap, means
from tests.energy.test_ledger import NONE, Processes

JOULE = 1_000_000


class Machine:
    """A server with a socket, its memory and two GPUs, that does what a test tells it to."""

    def __init__(self, root: Path, power: bool = False, start: int = 0) -> None:
        self.clock, self.processes = Clock(), Processes()
        self.asleep_ns = 0
        self.tree = Powercap(root)
        self.tree.zone("intel-rapl:0", "package-0", start)
        self.tree.zone("intel-rapl:0:0", "dram")
        self.package = start
        self.cards = Card("GPU-a", milliwatts=100_000), Card("GPU-b", milliwatts=50_000)
        module = FakeNvml(*self.cards)
        gpu = NvmlPower(means(), module, self.clock, sampled=False) if power else Nvml(means(), module)
        rapl, dram = Rapl(means(), root, self.clock), RaplDram(means(), root, self.clock)
        self.ledger = Ledger(
            [rapl, dram, gpu], self.processes, self.clock, shortest_ns=0, asleep=lambda: self.asleep_ns
        )

    def go_on(self, seconds: float, watts: int = 100) -> None:
        """Time goes by, and the counters with it."""
        self.clock.go_on(seconds)
        self.processes.own += round(seconds * 1e9)
        self.package += round(seconds * watts * JOULE)
        self.tree.set("intel-rapl:0", self.package % RANGE)
        for card in self.cards:
            if card.millijoules is not None:
                card.millijoules += round(seconds * 1000 * watts)

    def segments(self) -> list[Segment]:
        """All that was counted, checked: integers that are not negative and sum to the total exactly."""
        segments = self.ledger.drain()
        amounts = [amount for segment in segments for amount in segment.microjoules.values()]
        assert all(type(amount) is int and amount >= 0 for amount in amounts)
        assert sum(amounts) == self.ledger.total_microjoules
        return segments

    def joules(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for segment in self.segments():
            for component, amount in segment.microjoules.items():
                found[component] = found.get(component, 0.0) + amount / JOULE
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    monkeypatch.delenv(nvml_module.VISIBLE, raising=False)
    return lambda **given: Machine(tmp_path / "powercap", **given)


def trained(made: Machine, seconds: float = 10.0) -> None:
    with made.ledger.window("train", 1):
        made.go_on(seconds)


def test_nothing_fails(machine: Callable[..., Machine]) -> None:
    made = machine()
    trained(made)
    assert made.joules() == {"cpu": 1000.0, "gpu": 2000.0}
    assert not made.ledger.drain_gaps()


def test_a_counter_wraps_within_a_trial(machine: Callable[..., Machine]) -> None:
    made = machine(start=RANGE - 300 * JOULE)
    trained(made)
    assert made.joules()["cpu"] == 1000.0


def test_a_counter_wraps_twice_where_it_is_read_once_a_minute(machine: Callable[..., Machine]) -> None:
    made = machine()
    with made.ledger.window("train", 1):
        for _ in range(15):
            made.go_on(60.0, watts=600)
            made.ledger.cut()
    assert made.package > 2 * RANGE
    assert made.joules()["cpu"] == 15 * 60 * 600
    assert not made.ledger.drain_gaps()


def test_a_counter_that_nobody_read_for_so_long_that_it_wrapped_twice_is_told(machine: Callable[..., Machine]) -> None:
    made = machine()
    trained(made, seconds=900.0)
    made.go_on(1.0)
    made.ledger.cut()
    assert made.ledger.drain_gaps().uncovered_ns["cpu"] == 900 * 10**9
    assert made.joules()["gpu"] == 2 * 90_100.0


def test_a_counter_is_reset(machine: Callable[..., Machine]) -> None:
    made = machine(start=100_000 * JOULE)
    with made.ledger.window("train", 1):
        made.package = 0
        made.go_on(10.0)
    made.go_on(10.0)
    made.ledger.cut()
    assert made.joules()["cpu"] == 2000.0  # neither 262 kJ too many nor 100 kJ below zero
    gaps = made.ledger.drain_gaps()
    assert gaps.uncovered_ns == {"cpu": 10 * 10**9}
    assert "reset" in gaps.reasons["cpu"]


def test_a_counter_may_not_be_read_any_more(machine: Callable[..., Machine]) -> None:
    made = machine()
    trained(made)
    (made.tree.root / "intel-rapl:0" / "energy_uj").write_text("")
    made.clock.go_on(30.0)
    made.ledger.cut()
    assert made.joules()["cpu"] == 1000.0
    assert made.ledger.drain_gaps().uncovered_ns == {"cpu": 30 * 10**9}


def test_samples_of_power_are_missing(machine: Callable[..., Machine]) -> None:
    made = machine(power=True)
    trained(made)
    made.cards[1].milliwatts = None
    made.go_on(10.0)
    made.ledger.cut()
    made.cards[1].milliwatts = 50_000
    for _ in range(2):
        made.go_on(10.0)
        made.ledger.cut()
    assert made.joules()["gpu"] == 2 * 10 * 150.0
    assert made.ledger.drain_gaps().uncovered_ns == {"gpu": 20 * 10**9}


def test_the_machine_sleeps_for_an_hour(machine: Callable[..., Machine]) -> None:
    made = machine()
    trained(made)
    made.asleep_ns += 3600 * 10**9  # the monotonic clock stands still
    trained(made)
    assert made.joules()["cpu"] == 2000.0
    assert made.ledger.drain_gaps().suspended_ns == 3600 * 10**9


def test_a_trial_crashes(machine: Callable[..., Machine]) -> None:
    made = machine()
    with suppress(ZeroDivisionError), made.ledger.window("train", 1):
        made.go_on(10.0)
        raise ZeroDivisionError
    made.go_on(1.0)
    made.ledger.cut()
    assert {Label(s.phase, s.trial): s.microjoules["cpu"] for s in made.segments()} == {
        Label("train", 1): 1000 * JOULE,
        Label("idle"): 100 * JOULE,
    }


def test_only_one_of_two_gpus_is_this_runs(machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(nvml_module.VISIBLE, "GPU-b")
    made = machine()
    trained(made)
    assert made.joules()["gpu"] == 1000.0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "enter", "leave", "crash", "reset", "blind", "see", "lane", "sleep", "drain"]),
        st.floats(0.0, 100.0),
        st.integers(0, 900),
    ),
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(EVENTS, st.booleans())
def test_whatever_happens_in_whatever_order_the_parts_sum_to_the_total(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, float, int]], power: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(nvml_module.VISIBLE, raising=False)
        made = Machine(tmp_path_factory.mktemp("machine") / "powercap", power)
        windows: list[Any] = []
        parts, elapsed = 0, 0
        for event, seconds, watts in events:
            made.go_on(seconds, watts)
            match event:
                case "cut":
                    made.ledger.cut()
                case "enter":
                    windows.append(made.ledger.window("ask"))
                    windows[-1].__enter__()
                case "leave" | "crash" if windows:
                    error = RuntimeError() if event == "crash" else None
                    with suppress(RuntimeError):
                        windows.pop().__exit__(type(error) if error else None, error, None)
                case "reset":
                    made.package = 0
                case "blind":
                    made.cards[0].millijoules = made.cards[0].milliwatts = None
                case "see":
                    made.cards[0].millijoules, made.cards[0].milliwatts = 0, watts
                case "lane" if not made.processes.clocks:
                    made.ledger.open_lane(41, Label("train", 7), NONE)
                    made.processes.clocks[41] = 0
                case "sleep":
                    made.asleep_ns += round(seconds * 1e9)
                case "drain":
                    drained = made.ledger.drain()
                    parts += sum(s.total_microjoules for s in drained)
                    elapsed += sum(s.wall_ns for s in drained)
        start = 10**12
        made.ledger.cut()
        drained = made.ledger.drain()
        assert parts + sum(s.total_microjoules for s in drained) == made.ledger.total_microjoules
        assert elapsed + sum(s.wall_ns for s in drained) == made.clock.ns - start
        assert all(0 <= gap <= made.clock.ns - start for gap in made.ledger.drain_gaps().uncovered_ns.values())
