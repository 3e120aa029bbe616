"""Runs side by side: the machine's counters are read once, and shares and remainder sum to them exactly."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from suite.energy.ledger import Label, Ledger
from suite.energy.meter import MeterInfo
from suite.energy.node import SHARE_SECONDS, Node, SharedMeter, Slots
from suite.energy.processes import ProcessTree
from tests.energy.test_ledger import NONE, Growing, Processes


class Run:
    """What a run's own process does with its slot."""

    def __init__(self, node: Node, components: tuple[str, ...]) -> None:
        self.slot, self.tree = node.open(), Processes()
        self.tree._total_ns = 0
        slots = Slots(node.descriptor)
        infos = [MeterInfo("counter", each, "measured", "", 1.1, whole_machine=True) for each in components]
        self.meters = [SharedMeter(info, "a counter", slots, self.slot, self.tree) for info in infos]

    def used(self, cpu_ns: int, busy_ns: int = 0) -> list[int]:
        self.tree._total_ns += cpu_ns
        self.tree.busy_ns += busy_ns
        return self.read()

    def read(self) -> list[int]:
        return [meter.microjoules() for meter in self.meters]


def test_each_run_gets_its_share_by_cpu_seconds_and_the_gpus_by_seconds_at_trials() -> None:
    cpu, gpu = Growing("cpu"), Growing("gpu")
    node = Node([cpu, gpu], runs=2)
    one, other = Run(node, ("cpu", "gpu")), Run(node, ("cpu", "gpu"))
    one.used(300, 100)
    other.used(100, 300)
    cpu.energy, gpu.energy = 4000, 8000
    node.divide()
    assert (one.read(), other.read()) == ([3000, 2000], [1000, 6000])


def test_a_run_that_waits_pays_for_its_place_and_nobody_for_an_empty_machine() -> None:
    cpu = Growing("cpu")
    node = Node([cpu], runs=2)
    cpu.energy = 500  # before anybody came
    one, other = Run(node, ("cpu",)), Run(node, ("cpu",))
    cpu.energy += 1000
    node.divide()
    assert (one.read(), other.read()) == ([500], [500])
    node.close(one.slot)
    node.close(other.slot)
    cpu.energy += 70
    assert node.report() == {"counted": {"cpu": 1570}, "taken": {"cpu": 1000}, "remainder": {"cpu": 570}}


def test_what_comes_after_a_runs_last_reading_is_remainder() -> None:
    cpu = Growing("cpu")
    node = Node([cpu], runs=1)
    run = Run(node, ("cpu",))
    cpu.energy = 1000
    node.divide()
    run.read()
    cpu.energy = 1030
    node.close(run.slot)
    assert node.report()["remainder"] == {"cpu": 30}


def test_a_slot_that_was_used_before_is_empty() -> None:
    cpu = Growing("cpu")
    node = Node([cpu], runs=1)
    first = Run(node, ("cpu",))
    first.used(500)
    cpu.energy = 1000
    node.divide()
    first.read()
    node.close(first.slot)
    second = Run(node, ("cpu",))
    assert second.slot == first.slot
    assert second.read() == [0]


def test_a_share_says_so_and_is_renewed_ten_times_a_second() -> None:
    node = Node([Growing("gpu")], runs=1)
    (meter,) = Run(node, ("gpu",)).meters
    assert meter.source == "a counter, shared with the runs beside this one by seconds at trials"
    assert meter.info.tick_seconds == SHARE_SECONDS
    assert meter.info.tier == "measured"


def test_seconds_at_trials_are_those_of_workers_that_have_one() -> None:
    ticks, processes = [0], Processes()
    ledger = Ledger([Growing("gpu")], processes, lambda: ticks[0], shortest_ns=0)
    ledger.open_lane(41, Label("train", 1), NONE)
    ledger.open_lane(42, Label("idle"), NONE)
    ticks[0] = 50
    ledger.cut()
    ledger.assign(42, Label("train", 2))
    ticks[0] = 60
    ledger.cut()
    assert processes.busy_ns == 50 + 2 * 10
    assert ProcessTree().busy_ns == 0


EVENTS = st.lists(
    st.tuples(st.sampled_from(["open", "close", "use", "read", "divide"]), st.integers(0, 2), st.integers(0, 10**9)),
    max_size=50,
)


@given(EVENTS)
def test_shares_and_remainder_always_sum_to_what_was_counted(events: list[tuple[str, int, int]]) -> None:
    cpu, gpu = Growing("cpu"), Growing("gpu")
    node = Node([cpu, gpu], runs=3)
    runs: dict[int, Run] = {}
    taken = [0, 0]
    for event, place, amount in events:
        cpu.energy += amount
        gpu.energy += amount // 3
        run = runs.get(place)
        match event:
            case "open" if run is None:
                runs[place] = Run(node, ("cpu", "gpu"))
            case "close" if run:
                taken = [so_far + reading for so_far, reading in zip(taken, run.read(), strict=True)]
                node.close(runs.pop(place).slot)
            case "use" if run:
                run.used(amount, amount // 2)
            case "read" if run:
                run.read()
            case "divide":
                node.divide()
    report = node.report()
    assert report["counted"] == {part: meter.energy for part, meter in (("cpu", cpu), ("gpu", gpu)) if meter.energy}
    for component, own in zip(("cpu", "gpu"), taken, strict=True):
        if component in report["counted"]:
            assert report["taken"][component] == own
            assert report["remainder"][component] == report["counted"][component] - own >= 0


def test_several_processes_see_one_slot(tmp_path: Path) -> None:
    with (tmp_path / "slots").open("w+b") as file:
        file.truncate(3 * 64)
        ours, theirs = Slots(file.fileno()), Slots(file.fileno())
        ours.set(2, "given gpu", 10**15)
        assert theirs.get(2, "given gpu") == 10**15
        theirs.clear(2)
        assert ours.get(2, "given gpu") == 0
