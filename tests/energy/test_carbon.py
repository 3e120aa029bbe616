"""Grids and carbon: figures from codecarbon's data, and no silent average."""

import json
import subprocess
import sys
from importlib.util import find_spec
from math import inf, nan
from pathlib import Path

import pytest

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, Grid, UnknownZone, grid, kg_co2e, zones

TENTH = Grid("XYZ", "Nowhere", 0.1, 2020, "made up")


def data() -> dict[str, dict[str, object]]:
    spec = find_spec("codecarbon")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data/private_infra/global_energy_mix.json"
    content: dict[str, dict[str, object]] = json.loads(path.read_text())
    return content


def test_a_grid_is_codecarbons_in_kg() -> None:
    entry = data()["FRA"]
    france = grid("FRA")
    assert (france.zone, france.name, france.year) == ("FRA", "France", entry["year"])
    assert france.kg_co2e_per_kwh * 1000 == pytest.approx(entry["carbon_intensity"])
    assert 0.01 < france.kg_co2e_per_kwh < 0.2  # in kg, not in g


def test_a_source_names_version_and_digest() -> None:
    assert "codecarbon" in grid("DEU").source
    assert "SHA-256" in grid("DEU").source


@pytest.mark.parametrize("spelling", ["fra", "Fra", " FRA "])
def test_case_does_not_matter(spelling: str) -> None:
    assert grid(spelling) == grid("FRA")


@pytest.mark.parametrize(
    ("zone", "meant"), [("france", "FRA"), ("Germny", "DEU"), ("FR", "FRA"), ("US", "USA"), ("united states", "USA")]
)
def test_an_unknown_zone_is_an_error_with_close_matches(zone: str, meant: str) -> None:
    with pytest.raises(UnknownZone, match=meant) as error:
        grid(zone)
    assert repr(zone) in str(error.value)
    assert "zones()" in str(error.value)


@pytest.mark.parametrize("zone", ["", "XXX", "world", "reference", "../FRA"])
def test_nothing_is_averaged(zone: str) -> None:
    with pytest.raises(UnknownZone):
        grid(zone)


def test_a_zone_without_an_intensity_is_an_error() -> None:
    without = [zone for zone, entry in data().items() if not entry["carbon_intensity"]]
    assert without  # the data has such a zone
    with pytest.raises(UnknownZone, match="no carbon intensity"):
        grid(without[0])


def test_every_listed_zone_is_a_grid() -> None:
    listed = zones()
    assert len(listed) > 150
    assert all(grid(zone).name == name for zone, name in listed.items())


def test_kg_is_energy_times_intensity_times_pue() -> None:
    assert kg_co2e(2.0, TENTH, 1.5) == pytest.approx(0.3)
    assert kg_co2e(0.0, TENTH, 1.0) == 0.0
    assert kg_co2e(1.0, REFERENCE, REFERENCE_PUE) == pytest.approx(0.75998)


@pytest.mark.parametrize("pue", [0.99, 0.0, -1.0, inf, nan])
def test_a_pue_below_one_is_refused(pue: float) -> None:
    with pytest.raises(ValueError, match="PUE"):
        kg_co2e(1.0, TENTH, pue)


@pytest.mark.parametrize("kwh", [-1e-9, inf, nan])
def test_energy_that_cannot_be_is_refused(kwh: float) -> None:
    with pytest.raises(ValueError, match="kWh"):
        kg_co2e(kwh, TENTH, 1.0)


def test_codecarbon_is_not_imported() -> None:
    code = "import sys; from suite.energy.carbon import grid; grid('FRA'); sys.exit('codecarbon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
