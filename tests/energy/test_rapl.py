"""RAPL from a powercap tree in a folder: what counts, what counts once, and what a counter may do."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.energy import rapl
from suite.energy.meter import Unavailable
from suite.energy.ram import RamWatts, RaplDram
from suite.energy.rapl import MOST_WATTS, Counters, Rapl, Zone, memories, packages
from suite.energy.sampler import Sampler
from tests.energy.fakes import RANGE, Clock, Powercap, means

WATT_SECOND = 1_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def server(tree: Powercap) -> Powercap:
    """Two sockets with memory, shown by two drivers, and what must not be added."""
    (tree.root / "intel-rapl").mkdir()  # the control type, which is no zone
    tree.zone("intel-rapl:0", "package-0", 100)
    tree.zone("intel-rapl:0:0", "core", 7)
    tree.zone("intel-rapl:0:1", "dram", 10)
    tree.zone("intel-rapl:1", "package-1", 200)
    tree.zone("intel-rapl:1:0", "dram", 20)
    tree.zone("intel-rapl:2", "psys", 1000)
    tree.zone("intel-rapl-mmio:0", "package-0", 100)
    tree.zone("intel-rapl-mmio:0:0", "dram", 10)
    return tree


def single(tree: Powercap, microjoules: int = 0, range_microjoules: int = RANGE) -> tuple[Powercap, Clock, Rapl]:
    tree.zone("intel-rapl:0", "package-0", microjoules, range_microjoules)
    clock = Clock()
    return tree, clock, Rapl(means(), tree.root, clock)


def test_each_package_and_each_memory_counts_once(tree: Powercap) -> None:
    server(tree)
    assert [zone.name for zone in packages(tree.root)] == ["package-0", "package-1"]
    assert [zone.name for zone in memories(tree.root)] == ["package-0 dram", "package-1 dram"]
    assert all("mmio" not in str(zone.path) for zone in packages(tree.root))


def test_two_sockets_are_added(tree: Powercap) -> None:
    server(tree)
    clock = Clock()
    cpu, ram = Rapl(means(), tree.root, clock), RaplDram(means(), tree.root, clock)
    for directory, reading in (("0", 1100), ("1", 5200), ("0:0", 9999), ("0:1", 40), ("1:0", 25), ("2", 90_000)):
        tree.set(f"intel-rapl:{directory}", reading)
    clock.go_on(1.0)
    assert (cpu.microjoules(), ram.microjoules()) == (6000, 35)
    assert "package-0, package-1" in cpu.source


def test_the_dies_of_one_socket_are_added(tree: Powercap) -> None:
    for die in range(2):
        tree.zone(f"intel-rapl:{die}", f"package-0-die-{die}")
    clock = Clock()
    meter = Rapl(means(), tree.root, clock)
    for die in range(2):
        tree.set(f"intel-rapl:{die}", 50)
    assert meter.microjoules() == 100


def test_amd_has_packages_without_memory(tree: Powercap) -> None:
    tree.zone("intel-rapl:0", "package-0", range_microjoules=65_532_610_987)
    tree.zone("intel-rapl:0:0", "core")
    assert len(packages(tree.root)) == 1
    with pytest.raises(Unavailable, match=r"has no dram zone.*--ram-watts"):
        RaplDram(means(), tree.root)


def test_only_mmio_counts_too(tree: Powercap) -> None:
    tree.zone("intel-rapl-mmio:0", "package-0")
    assert len(packages(tree.root)) == 1


def test_a_counter_that_wraps_goes_on(tree: Powercap) -> None:
    tree, clock, meter = single(tree, RANGE - 5 * WATT_SECOND)
    tree.set("intel-rapl:0", 45 * WATT_SECOND)
    clock.go_on(1.0)
    assert meter.microjoules() == 50 * WATT_SECOND


def test_every_wrap_of_a_long_run_is_seen_where_it_is_read_once_a_minute(tree: Powercap) -> None:
    tree, clock, meter = single(tree)
    energy, watts = 0, 300
    for _ in range(60):
        clock.go_on(60.0)
        energy += watts * 60 * WATT_SECOND
        tree.set("intel-rapl:0", energy % RANGE)
        assert meter.microjoules() == energy
    assert energy > 4 * RANGE


def test_where_a_wrap_may_have_been_missed_the_reading_says_so_once(tree: Powercap) -> None:
    tree, clock, meter = single(tree)
    tree.set("intel-rapl:0", 50 * WATT_SECOND)
    clock.go_on(2 * RANGE / 1e6 / MOST_WATTS)
    with pytest.raises(Unavailable, match="may have wrapped unseen"):
        meter.microjoules()
    assert meter.microjoules() == 50 * WATT_SECOND  # what is certain


def test_a_reset_is_no_wrap(tree: Powercap) -> None:
    tree, clock, meter = single(tree, 100_000 * WATT_SECOND)
    tree.set("intel-rapl:0", 3 * WATT_SECOND)
    clock.go_on(1.0)
    with pytest.raises(Unavailable, match="was reset"):
        meter.microjoules()
    assert meter.microjoules() == 3 * WATT_SECOND  # not the 262 kJ of a wrap
    tree.set("intel-rapl:0", 8 * WATT_SECOND)
    clock.go_on(1.0)
    assert meter.microjoules() == 8 * WATT_SECOND


def test_a_counter_that_cannot_be_read_for_a_while_loses_nothing(tree: Powercap) -> None:
    tree, clock, meter = single(tree)
    tree.set("intel-rapl:0", 5 * WATT_SECOND)
    (tree.root / "intel-rapl:0" / "energy_uj").write_text("")
    clock.go_on(1.0)
    with pytest.raises(Unavailable, match="package-0: its counter cannot be read"):
        meter.microjoules()
    tree.set("intel-rapl:0", 9 * WATT_SECOND)
    clock.go_on(1.0)
    assert meter.microjoules() == 9 * WATT_SECOND


def deny(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Files called ``name`` may not be read, for root either, who runs tests in containers."""

    def denied(original: Callable[..., object]) -> Callable[..., object]:
        def open_or_refuse(path: Path, *arguments: object, **named: object) -> object:
            if Path(path).name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path, *arguments, **named)

        return open_or_refuse

    monkeypatch.setattr(os, "open", denied(os.open))
    monkeypatch.setattr(Path, "read_text", denied(Path.read_text))


def test_counters_for_root_alone_name_the_way_out(tree: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tree)
    deny(monkeypatch, "energy_uj")
    for meter in (Rapl, RaplDram):
        with pytest.raises(Unavailable, match=r"root alone.*sudo chmod a\+r .*energy_uj"):
            meter(means(), tree.root)


def test_a_range_that_cannot_be_read_names_the_way_out(tree: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tree)
    deny(monkeypatch, "max_energy_range_uj")
    with pytest.raises(Unavailable, match=r"max_energy_range_uj cannot be read \(Permission denied\).*sudo chmod a\+r"):
        Rapl(means(), tree.root)


def test_a_machine_without_rapl_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"modprobe intel_rapl_msr.*--meter cpu-time"):
        Rapl(means(), tmp_path / "nothing")
    with pytest.raises(Unavailable, match=r"has no package.*--watts-per-core"):
        Rapl(means(), tmp_path)


def test_no_file_stays_open(tree: Powercap) -> None:
    server(tree)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    meter = Rapl(means(), tree.root)
    del meter
    (tree.root / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(Unavailable, match="energy_uj cannot be read"):
        Rapl(means(), tree.root)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_counters_are_read_in_the_background_too(tree: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy may think for an hour, in which the ledger cuts nothing."""
    made: list[tuple[Callable[[], object], float]] = []

    class Recorder(Sampler):
        def __init__(self, sample: Callable[[], object], seconds: float) -> None:
            super().__init__(sample, seconds)
            made.append((sample, seconds))

        def start(self) -> None: ...

    monkeypatch.setattr(rapl, "Sampler", Recorder)
    tree.zone("intel-rapl:0", "package-0", RANGE - WATT_SECOND)
    clock = Clock()
    counters = Counters([Zone(tree.root / "intel-rapl:0", "package-0", RANGE)], clock)
    ((sample, seconds),) = made
    assert seconds <= 60.0
    for reading in (29 * WATT_SECOND, RANGE - 1, 100):  # two wraps between two readings of the ledger
        tree.set("intel-rapl:0", reading)
        clock.go_on(300.0)
        sample()
    with pytest.raises(Unavailable):  # 300 s apart is too long
        counters.microjoules()
    assert counters.microjoules() == RANGE + WATT_SECOND + 100


def test_a_sampler_ends_with_its_object() -> None:
    class Counts:
        def __init__(self) -> None:
            self.count = 0
            self.sampler = Sampler(self.sample, 0.005)

        def sample(self) -> None:
            self.count += 1

    counts = Counts()
    counts.sampler.start()
    thread = counts.sampler._thread
    assert thread is not None
    counts.sampler.start()
    assert counts.sampler._thread is thread
    while not counts.count:
        thread.join(0.005)
    del counts
    thread.join(5.0)
    assert not thread.is_alive()


def test_declared_watts_of_the_memory_count_elapsed_time() -> None:
    clock = Clock()
    meter = RamWatts(means(ram_watts=3.0), clock)
    clock.go_on(2.0)
    assert meter.microjoules() == 6 * WATT_SECOND
    assert "3 W, declared" in meter.source


def test_the_memory_has_no_power_that_nobody_declared() -> None:
    with pytest.raises(Unavailable, match="--ram-watts"):
        RamWatts(means())
