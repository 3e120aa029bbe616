"""The ledger's promise: contiguous, exclusive segments in integers that sum to the total exactly."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.energy.ledger import Label, Ledger, Phase, Segment
from suite.energy.meter import MeterInfo
from suite.energy.processes import ProcessTree
from suite.energy.recorded import Recorded


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

    def entered(self) -> list[tuple[Phase, int]]:
        return self.list


NONE = Changes()


def make(trace: list[int], processes: ProcessTree | None = None, clock: Callable[[], int] | None = None) -> Ledger:
    ticks: Iterator[int] = iter(range(0, 10**9, 7))
    return Ledger([Recorded(trace)], processes or Processes(), clock or (lambda: next(ticks)), shortest_ns=0)


def by_label(segments: list[Segment]) -> dict[Label, int]:
    return {Label(segment.phase, segment.trial): segment.total_microjoules for segment in segments}


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


@pytest.mark.parametrize("trace", [[100, 200, 50, 80], [100, 200, 0, 30]])
def test_a_counter_that_falls_back_costs_its_fall_and_never_counts_below_zero(trace: list[int]) -> None:
    ledger = make(trace)
    for _ in range(4):
        ledger.cut()
    assert ledger.total_microjoules == 100 + trace[3] - trace[2]
    assert all(segment.total_microjoules >= 0 for segment in ledger.drain())


def test_two_meters_of_one_component_are_refused() -> None:
    with pytest.raises(ValueError, match="one meter a component, got"):
        Ledger([Recorded([0]), Recorded([0])], Processes())


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "open", "close", "relabel", "mark", "enter", "leave", "drain"]),
        st.integers(0, 3),
        st.integers(0, 10**7),
        st.integers(0, 10**6),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_segments_always_sum_to_the_total(actions: list[tuple[str, int, int, int]]) -> None:
    processes, energy = Processes(), [0]

    class Growing:
        info = MeterInfo("growing", "cpu", "replay", "")
        source = "the test"

        def microjoules(self) -> int:
            return energy[0]

    ticks = [0]
    ledger = Ledger([Growing()], processes, lambda: ticks[0], shortest_ns=0)
    segments: list[Segment] = []
    lanes: set[int] = set()
    marks: dict[int, Changes] = {}
    windows = []
    for action, lane, joules, cpu in actions:
        energy[0] += joules
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
    ledger.cut()
    segments += ledger.drain()
    assert sum(segment.total_microjoules for segment in segments) == ledger.total_microjoules == energy[0]
    assert all(type(amount) is int and amount >= 0 for s in segments for amount in s.microjoules.values())
    assert sum(segment.wall_ns for segment in segments) == ticks[0]
