"""The ledger's promise: contiguous, exclusive segments in integers that sum to the total exactly."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.energy import ledger as ledger_module
from suite.energy.cpu_time import CpuTime
from suite.energy.ledger import Gaps, Label, Ledger, Phase, Segment
from suite.energy.meter import Means, MeterInfo, Unavailable
from suite.energy.processes import ProcessTree
from suite.energy.replay import Replay


class Processes(ProcessTree):
    """Clocks that the test sets. Lane 0 is the run's own process."""

    def __init__(self) -> None:
        super().__init__()
        self.own = 0
        self.clocks: dict[int, int] = {}

    def refresh(self, reported: int | None = None) -> None:
        for pid in self._workers:
            if pid != reported:
                self.report(pid, self.clocks.get(pid, 0))
        self._total_ns = self.own + sum(self._workers.values())


class Changes:
    """Changes of phase that the test makes."""

    def __init__(self, *entered: tuple[Phase, int]) -> None:
        self.list = list(entered)
        self.searched = 0

    def entered(self) -> list[tuple[Phase, int]]:
        return self.list

    def searched_ns(self) -> int:
        return self.searched


NONE = Changes()


def make(trace: list[int], processes: ProcessTree | None = None, clock: Callable[[], int] | None = None) -> Ledger:
    ticks: Iterator[int] = iter(range(0, 10**9, 7))
    return Ledger([Replay(trace)], processes or Processes(), clock or (lambda: next(ticks)), shortest_ns=0)


def by_label(segments: list[Segment]) -> dict[Label, int]:
    return {Label(segment.phase, segment.trial): segment.total_microjoules for segment in segments}


def test_declared_energy_is_part_of_the_total_and_shared_with_nobody() -> None:
    ledger = make([0, 10, 30])
    ledger.cut()
    ledger.declare(Label("ask"), {"cpu": 1000}, wall_ns=500)
    ledger.cut()
    segments = ledger.drain()
    assert by_label(segments) == {Label("idle"): 30, Label("ask"): 1000}
    assert [segment.wall_ns for segment in segments if segment.phase == "ask"] == [500]
    assert ledger.total_microjoules == 1030


def test_the_innermost_window_owns_the_time() -> None:
    processes = Processes()
    ledger = make([0, 10, 110, 1110, 1210, 1220], processes)
    processes.own = 1
    with ledger.window("ask"):
        processes.own += 1
        with ledger.window("tell"):
            processes.own += 1
        processes.own += 1
    assert by_label(ledger.drain()) == {Label("idle"): 10, Label("ask"): 200, Label("tell"): 1000}
    assert ledger.total_microjoules == 1210


def test_a_window_that_raises_is_closed_and_charged() -> None:
    ledger = make([0, 5, 105, 106])
    with pytest.raises(RuntimeError, match="a crash"), ledger.window("train", 3):
        raise RuntimeError("a crash")
    ledger.cut()
    assert by_label(ledger.drain()) == {Label("idle"): 6, Label("train", 3): 100}


def test_a_slice_is_shared_by_cpu_time() -> None:
    processes = Processes()
    ledger = make([0, 0, 0, 1000], processes)
    ledger.open_lane(41, Label("train", 1), NONE)
    ledger.open_lane(42, Label("validate", 2), NONE)
    processes.clocks = {41: 600, 42: 300}
    processes.own = 100
    ledger.cut()
    assert by_label(ledger.drain()) == {Label("train", 1): 600, Label("validate", 2): 300, Label("idle"): 100}


def test_without_cpu_time_the_trials_in_hand_share_the_slice() -> None:
    ledger = make([0, 0, 0, 0, 1000])
    ledger.open_lane(41, Label("train", 1), NONE)
    ledger.open_lane(42, Label("idle"), NONE)
    ledger.open_lane(43, Label("train", 2), NONE)
    ledger.cut()
    shares = by_label(ledger.drain())
    assert (shares[Label("train", 1)], shares[Label("train", 2)], shares[Label("idle")]) == (500, 500, 0)


def test_a_workers_own_reading_ends_its_phase() -> None:
    processes = Processes()
    ledger = make([0, 0, 100, 300], processes)
    ledger.open_lane(41, Label("train", 1), NONE)
    processes.clocks = {41: 999}  # it has long gone on when the message is read
    ledger.relabel(41, Label("test", 1), cpu_ns=500)
    ledger.cut()
    segments = {Label(s.phase, s.trial): (s.total_microjoules, s.cpu_ns) for s in ledger.drain()}
    assert segments[Label("train", 1)] == (100, 500)
    assert segments[Label("test", 1)] == (200, 499)


def test_a_slice_is_divided_where_a_worker_marked_a_change_of_phase() -> None:
    processes, changes = Processes(), Changes()
    ledger = make([0, 0, 1000, 1500], processes)
    ledger.open_lane(41, Label("train", 1), changes)
    changes.list = [("validate", 600), ("test", 900)]
    processes.clocks = {41: 1000}
    ledger.cut()
    shares = by_label(ledger.drain())
    assert shares == {Label("idle"): 0, Label("train", 1): 600, Label("validate", 1): 300, Label("test", 1): 100}
    processes.clocks = {41: 1500}
    ledger.cut()
    assert by_label(ledger.drain()) == {Label("test", 1): 500}


def test_what_a_worker_searched_within_its_training_is_apart() -> None:
    """What is told late, since a search went on over the cut, counts at the next; a new trial starts at nothing."""
    processes, changes = Processes(), Changes()
    ledger = make([0, 0, 1000, 1500, 2000, 2500], processes)
    ledger.open_lane(41, Label("train", 1), changes)
    found = []
    for clock, searched in ((1000, 300), (1500, 900), (2000, 900)):
        processes.clocks, changes.searched = {41: clock}, searched
        changes.list = [("validate", 1900)] if clock == 2000 else []
        ledger.cut()
        found.append(by_label(ledger.drain()))
    search, training, validation = Label("ask", 1), Label("train", 1), Label("validate", 1)
    assert found[0] == {Label("idle"): 0, search: 300, training: 700}
    assert found[1] == {search: 500}
    assert found[2] == {search: 100, training: 300, validation: 100}
    ledger.assign(41, Label("train", 2))
    processes.clocks, changes.searched, changes.list = {41: 2500}, 50, []
    ledger.cut()
    assert by_label(ledger.drain()) == {Label("ask", 2): 50, Label("train", 2): 450}


@pytest.mark.parametrize("trace", [[100, 200, 50, 80], [100, 200, 0, 30]])
def test_a_counter_that_falls_back_costs_its_fall_and_never_counts_below_zero(trace: list[int]) -> None:
    ledger = make(trace)
    for _ in range(4):
        ledger.cut()
    assert ledger.total_microjoules == 100 + trace[3] - trace[2]
    assert all(segment.total_microjoules >= 0 for segment in ledger.drain())


def test_two_meters_of_one_component_are_refused() -> None:
    with pytest.raises(ValueError, match="one meter a component, got"):
        Ledger([Replay([0]), Replay([0])], Processes())


class Growing:
    """A meter that the test sets."""

    def __init__(self, component: str) -> None:
        self.info = MeterInfo("growing", component, "replay", "")
        self.source = "the test"
        self.energy = 0
        self.silent = False

    def microjoules(self) -> int:
        if self.silent:
            raise Unavailable("it is silent")
        return self.energy


def test_a_slice_without_a_reading_is_not_covered_and_its_energy_comes_with_the_next() -> None:
    meter, ticks = Growing("cpu"), [0]
    ledger = Ledger([meter], Processes(), lambda: ticks[0], shortest_ns=0)
    for energy, silent in ((100, False), (150, True), (170, True), (400, False)):
        ticks[0] += 10
        meter.energy, meter.silent = energy, silent
        ledger.cut()
    assert ledger.total_microjoules == 400
    assert ledger.drain_gaps() == Gaps({"cpu": 20}, {"cpu": "it is silent"}, 0)
    assert not ledger.drain_gaps()


def test_a_meter_that_never_reads_again_leaves_its_time_uncovered_and_not_at_zero_joules() -> None:
    meter, ticks = Growing("gpu"), [0]
    ledger = Ledger([meter], Processes(), lambda: ticks[0], shortest_ns=0)
    meter.silent = True
    for _ in range(3):
        ticks[0] += 10
        ledger.cut()
    assert ledger.drain_gaps().uncovered_ns == {"gpu": 30}


def test_the_energy_of_a_gpu_belongs_to_the_trials_in_hand() -> None:
    processes, cpu, gpu = Processes(), Growing("cpu"), Growing("gpu")
    ticks = iter(range(0, 10**9, 7))
    ledger = Ledger([cpu, gpu], processes, lambda: next(ticks), shortest_ns=0)
    ledger.open_lane(41, Label("train", 1), NONE)
    processes.own, processes.clocks, cpu.energy, gpu.energy = 900, {41: 100}, 1000, 5000
    with ledger.window("ask"):  # what has been used so far goes with the label in force
        pass
    shares = {Label(s.phase, s.trial): dict(s.microjoules) for s in ledger.drain()}
    assert shares[Label("train", 1)] == {"cpu": 100, "gpu": 5000}
    gpu.energy, processes.own = 6000, 1000  # the worker waits for the GPU and uses no CPU time
    ledger.cut()
    shares = {Label(s.phase, s.trial): dict(s.microjoules) for s in ledger.drain()}
    assert shares[Label("train", 1)] == {"gpu": 1000}


def test_a_suspended_machine_is_noticed_once() -> None:
    asleep = [5 * 10**9]
    ledger = Ledger([Replay([0])], Processes(), asleep=lambda: asleep[0])
    asleep[0] += 300_000  # two clocks are never read at the same moment
    assert not ledger.drain_gaps()
    asleep[0] += 3600 * 10**9
    assert ledger.drain_gaps().suspended_ns == pytest.approx(3600e9)
    assert not ledger.drain_gaps()


def test_power_at_rest_is_energy_over_time() -> None:
    meter, ticks = Growing("cpu"), [0]
    ledger = Ledger([meter, Growing("gpu")], Processes(), lambda: ticks[0])

    def sleep(seconds: float) -> None:
        ticks[0] += round(seconds * 1e9)
        meter.energy += round(seconds * 7e6)

    assert ledger.rest_watts(2.0, sleep) == {"cpu": pytest.approx(7.0), "gpu": 0.0}
    meter.silent = True
    assert ledger.rest_watts(2.0, sleep) == {"gpu": 0.0}


def test_the_wall_clock_may_jump_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: -3600.0)
    monkeypatch.setattr(time, "time_ns", lambda: -3600 * 10**9)
    tree = ProcessTree()
    ledger = Ledger([CpuTime(Means(tree, watts_per_core=0.0, idle_watts=5.0))], tree)
    time.sleep(0.02)
    ledger.cut()
    assert ledger.total_microjoules >= 0.1e6


def test_no_wall_clock_is_in_the_code_of_energy() -> None:
    """Energy rests on monotonic clocks alone; what hour it was matters to a trace of carbon intensities only."""
    for path in Path(ledger_module.__file__).parent.glob("*.py"):
        assert not re.search(r"\btime\.time(_ns)?\(|datetime\.(now|utcnow)|CLOCK_REALTIME", path.read_text()), path


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "open", "close", "relabel", "mark", "enter", "leave", "drain", "silent"]),
        st.integers(0, 3),
        st.integers(0, 10**7),
        st.integers(0, 10**6),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_segments_always_sum_to_the_total(actions: list[tuple[str, int, int, int]]) -> None:
    processes, cpu_meter, gpu_meter = Processes(), Growing("cpu"), Growing("gpu")
    ticks = [0]
    ledger = Ledger([cpu_meter, gpu_meter], processes, lambda: ticks[0], shortest_ns=0)
    segments: list[Segment] = []
    lanes: set[int] = set()
    marks: dict[int, Changes] = {}
    windows = []
    for action, lane, joules, cpu in actions:
        cpu_meter.energy += joules
        gpu_meter.energy += 2 * joules
        ticks[0] += cpu
        processes.own += cpu // 3
        processes.clocks[lane] = processes.clocks.get(lane, 0) + cpu
        if action == "cut":
            ledger.cut()
        elif action == "open" and lane not in lanes:
            processes.clocks[lane] = 0
            marks[lane] = Changes()
            ledger.open_lane(lane, Label("train", lane), marks[lane])
            lanes.add(lane)
        elif action == "close" and lane in lanes:
            ledger.cut()
            processes.own += processes.clocks[lane]
            ledger.close_lane(lane)
            lanes.remove(lane)
        elif action == "relabel" and lane in lanes:
            ledger.relabel(lane, Label("validate", lane), processes.clocks[lane])
        elif action == "mark" and lane in lanes:
            marks[lane].list.append(("test", processes.clocks[lane]))
        elif action == "enter":
            windows.append(ledger.window("ask"))
            windows[-1].__enter__()
        elif action == "leave" and windows:
            windows.pop().__exit__(None, None, None)
        elif action == "drain":
            segments += ledger.drain()
        elif action == "silent":
            gpu_meter.silent = not gpu_meter.silent
    gpu_meter.silent = False
    ledger.cut()
    segments += ledger.drain()
    assert sum(segment.total_microjoules for segment in segments) == ledger.total_microjoules == 3 * cpu_meter.energy
    assert sum(segment.microjoules.get("gpu", 0) for segment in segments) == gpu_meter.energy
    assert all(type(amount) is int and amount >= 0 for s in segments for amount in s.microjoules.values())
    assert sum(segment.wall_ns for segment in segments) == ticks[0]
