"""NVIDIA GPUs through an NVML that is not there: counter, power, and which GPUs count."""

import sys
from types import SimpleNamespace

import pytest

from suite.energy import nvml
from suite.energy.meter import Unavailable
from suite.energy.nvml import Nvml, NvmlPower, visible_gpus
from tests.energy.fakes import Card, Clock, FakeNvml, NvmlError, means

A, B = "GPU-aaaa0000-1111", "GPU-bbbb0000-2222"


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(nvml.VISIBLE, raising=False)
    monkeypatch.delenv(nvml.ORDER, raising=False)


def test_counters_of_all_gpus_are_added_from_now_on() -> None:
    cards = Card(A, millijoules=5_000_000), Card(B, millijoules=70)
    meter = Nvml(means(), FakeNvml(*cards))
    assert meter.microjoules() == 0
    cards[0].millijoules, cards[1].millijoules = 5_000_300, 77
    assert meter.microjoules() == 307_000
    assert "NVIDIA Example (GPU-aaaa0000), NVIDIA Example (GPU-bbbb0000), driver 550.54" in meter.source


@pytest.mark.parametrize("visible", ["1", B, "GPU-bbbb", f" {B} "])
def test_only_visible_gpus_count(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv(nvml.VISIBLE, visible)
    cards = Card(A), Card(B)
    meter = Nvml(means(), FakeNvml(*cards))
    cards[0].millijoules, cards[1].millijoules = 1000, 5
    assert meter.microjoules() == 5_000
    assert cards[0].asked == 0


@pytest.mark.parametrize("visible", ["", "-1", "2", "GPU-", "GPU-cccc", "0,,1", "0,0", "none"])
def test_a_gpu_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv(nvml.VISIBLE, visible)
    with pytest.raises(Unavailable, match=nvml.VISIBLE):
        Nvml(means(), FakeNvml(Card(A), Card(B)))


def test_numbers_of_different_models_need_the_order_of_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeNvml(Card(A, "NVIDIA One"), Card(B, "NVIDIA Two"))
    monkeypatch.setenv(nvml.VISIBLE, "1")
    with pytest.raises(Unavailable, match=f"{nvml.ORDER}=PCI_BUS_ID"):
        visible_gpus(module)
    monkeypatch.setenv(nvml.ORDER, "PCI_BUS_ID")
    assert [gpu.uuid for gpu in visible_gpus(module)] == [B]


@pytest.mark.parametrize("visible", [None, "MIG-1234"])
def test_a_divided_gpu_is_refused(monkeypatch: pytest.MonkeyPatch, visible: str | None) -> None:
    if visible:
        monkeypatch.setenv(nvml.VISIBLE, visible)
    with pytest.raises(Unavailable, match=r"is divided \(MIG\)"):
        Nvml(means(), FakeNvml(Card(A, mig=True)))


def test_a_gpu_that_cannot_be_divided_is_whole() -> None:
    assert len(visible_gpus(FakeNvml(Card(A, can_mig=False)))) == 1


def test_a_gpu_without_counter_has_no_counter_meter() -> None:
    with pytest.raises(Unavailable, match="nvmlDeviceGetTotalEnergyConsumption says: Not Supported"):
        Nvml(means(), FakeNvml(Card(A), Card(B, millijoules=None)))


def test_a_counter_that_is_silent_for_a_while_loses_nothing() -> None:
    card = Card(A)
    meter = Nvml(means(), FakeNvml(card))
    card.millijoules = None
    with pytest.raises(Unavailable):
        meter.microjoules()
    card.millijoules = 9
    assert meter.microjoules() == 9_000


def test_a_counter_that_starts_anew_is_told_and_counts_on() -> None:
    card = Card(A, millijoules=1_000_000)
    meter = Nvml(means(), FakeNvml(card))
    card.millijoules = 3
    with pytest.raises(Unavailable, match="loaded anew"):
        meter.microjoules()
    card.millijoules = 10
    assert meter.microjoules() == 7_000


def power(*cards: Card) -> tuple[NvmlPower, Clock]:
    clock = Clock()
    return NvmlPower(means(), FakeNvml(*cards), clock, sampled=False), clock


def test_power_is_integrated_by_trapezoids() -> None:
    card = Card(A, millijoules=None, milliwatts=100_000)
    meter, clock = power(card)
    clock.go_on(1.0)
    card.milliwatts = 300_000
    assert meter.microjoules() == 200_000_000
    clock.go_on(0.5)
    assert meter.microjoules() == 350_000_000


def test_a_stretch_without_power_readings_is_a_gap_and_not_zero_watts() -> None:
    card = Card(A, milliwatts=100_000)
    meter, clock = power(card)
    card.milliwatts = None
    clock.go_on(1.0)
    with pytest.raises(Unavailable, match="nvmlDeviceGetPowerUsage"):
        meter.microjoules()
    card.milliwatts = 100_000
    clock.go_on(1.0)
    with pytest.raises(Unavailable, match="could not be read"):
        meter.microjoules()
    clock.go_on(1.0)
    assert meter.microjoules() == 100_000_000  # of the last second


def test_power_is_read_between_readings() -> None:
    card = Card(A, milliwatts=0)
    meter = NvmlPower(means(), FakeNvml(card))
    meter.microjoules()
    thread = meter._sampler._thread if meter._sampler else None
    assert thread is not None
    assert thread.daemon


def test_without_pynvml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for meter in (Nvml, NvmlPower):
        with pytest.raises(Unavailable, match=r"pip install 'carbon-suite\[nvidia\]'"):
            meter(means())


def test_without_a_driver_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NvmlError("Driver Not Loaded")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=refuse, NVMLError=NvmlError))
    with pytest.raises(Unavailable, match=r"Driver Not Loaded.*nvidia-smi"):
        Nvml(means())


def test_no_gpu_at_all_is_said() -> None:
    with pytest.raises(Unavailable, match="knows of no GPU"):
        Nvml(means(), FakeNvml())
