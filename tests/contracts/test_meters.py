"""What every meter in the catalogue promises, where it is available."""

import time

import pytest

from suite.catalog import load_meter, meter_names
from suite.energy.ledger import Ledger
from suite.energy.meter import Means, Meter, Unavailable
from suite.energy.processes import ProcessTree


def build(name: str) -> tuple[Meter, ProcessTree]:
    tree = ProcessTree()
    try:
        return load_meter(name)(Means(tree, watts_per_core=10.0, idle_watts=1.0)), tree
    except Unavailable as reason:
        pytest.skip(str(reason))


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("name", meter_names())
def test_it_presents_itself(name: str) -> None:
    meter, _ = build(name)
    assert meter.info.name == name
    assert meter.info.tier in ("measured", "estimated", "replay")
    assert meter.info.component
    assert meter.source


@pytest.mark.parametrize("name", meter_names())
def test_it_counts_whole_microjoules_and_never_back(name: str) -> None:
    meter, tree = build(name)
    readings = []
    for _ in range(20):
        burn(0.002)
        tree.refresh()
        readings.append(meter.microjoules())
    assert all(type(reading) is int for reading in readings)
    assert readings == sorted(readings)
    assert readings[-1] > readings[0]


@pytest.mark.parametrize("name", meter_names())
def test_twice_the_work_is_about_twice_the_energy(name: str) -> None:
    meter, tree = build(name)
    ledger = Ledger([meter], tree)
    with ledger.window("train", 1):
        burn(0.2)
    with ledger.window("train", 2):
        burn(0.4)
    once, twice = (segment.total_microjoules for segment in ledger.drain() if segment.trial)
    assert 1.6 < twice / once < 2.5
