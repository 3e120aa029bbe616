"""The best source of each component, the reason for it, and nothing in silence."""

from typing import Any

import pytest

from suite.energy.meter import Means, MeterInfo, Unavailable
from suite.energy.selection import best, chosen
from tests.energy.fakes import means


def source(name: str, component: str, tier: Any, factor: float = 3.0, missing: str = "") -> Any:
    """A meter's class; ``missing``: why it cannot be built."""

    class Made:
        info = MeterInfo(name, component, tier, "made up", factor)
        source = "made up"

        def __init__(self, means: Means) -> None:
            if missing:
                raise Unavailable(missing)

        def microjoules(self) -> int:
            return 0

    return Made


MODEL = source("model", "cpu", "estimated")
COUNTER = source("counter", "cpu", "measured", 1.1)
GPU = source("gpu-counter", "gpu", "measured", 1.05)
SAMPLED = source("gpu-power", "gpu", "measured", 1.25)
DECLARED = source("declared", "ram", "estimated")


def test_measured_comes_before_estimated_and_a_small_error_before_a_large_one() -> None:
    selection = best([MODEL, SAMPLED, COUNTER, GPU], means(), "cuda:1")
    assert selection.names == ("counter", "gpu-counter")
    assert selection.reasons["cpu"] == "the best source here"


def test_each_component_falls_back_by_itself_and_says_why() -> None:
    broken = source("counter", "cpu", "measured", 1.1, missing="root alone may read it")
    selection = best([MODEL, broken, GPU, SAMPLED, DECLARED], means(), "cuda")
    assert selection.names == ("model", "declared", "gpu-counter")
    assert selection.reasons["cpu"] == "the best source here; not counter: root alone may read it"
    assert any(line.startswith("cpu: model, estimated, right within a factor of 3") for line in selection.sentences())


def test_memory_without_a_source_is_missing_and_not_guessed() -> None:
    selection = best([MODEL, source("declared", "ram", "estimated", missing="nobody declares it")], means(), "cpu")
    assert selection.unmetered == {"ram": "not declared: nobody declares it", "gpu": "the run does not use one"}
    assert "ram: not metered: not declared: nobody declares it" in selection.sentences()


@pytest.mark.parametrize(
    ("factories", "device", "component"),
    [
        ([MODEL], "cuda", "gpu"),
        ([GPU], "cpu", "cpu"),
        ([MODEL, source("g", "gpu", "measured", 1.1, "MIG")], "cuda", "gpu"),
    ],
)
def test_a_run_whose_main_component_nothing_meters_is_refused(factories: Any, device: str, component: str) -> None:
    with pytest.raises(Unavailable, match=f"nothing meters the {component} of this run"):
        best(factories, means(), device)


def test_named_meters_are_used_or_refused() -> None:
    selection = chosen({"model": MODEL, "gpu-counter": GPU}, means(), "cuda")
    assert selection.names == ("model", "gpu-counter")
    assert selection.reasons == {"cpu": "asked for", "gpu": "asked for", "ram": "no meter of it was asked for"}
    assert chosen({"model": MODEL}, means(), "cpu").unmetered["gpu"] == "the run does not use one"
    with pytest.raises(Unavailable, match="meter counter: no such hardware"):
        chosen({"counter": source("counter", "cpu", "measured", missing="no such hardware")}, means(), "cpu")


def test_two_meters_of_one_component_are_refused() -> None:
    with pytest.raises(Unavailable, match="model and counter meter the same component, cpu"):
        chosen({"model": MODEL, "counter": COUNTER}, means(), "cpu")


def test_reasons_that_were_found_before_are_kept() -> None:
    assert chosen({"model": MODEL}, means(), "cpu", {"cpu": "no counter here"}).reasons["cpu"] == "no counter here"
