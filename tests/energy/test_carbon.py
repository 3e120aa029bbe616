"""Grids and carbon: figures from codecarbon's data, and no silent average."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from math import inf, nan
from pathlib import Path

import pytest

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, Grid, UnknownZone, fixed, grid, kg_co2e, zones
from suite.energy.places import place
from suite.energy.trace import Trace, TraceError

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


def test_states_provinces_and_nordic_zones_are_codecarbons_too() -> None:
    assert grid("us-ca").name == "California"
    assert 0.1 < grid("US-CA").kg_co2e_per_kwh < 0.4  # 395 pounds per MWh in 2023
    assert grid("SE3").kg_co2e_per_kwh < 0.05 < grid("CN-BJ").kg_co2e_per_kwh
    with pytest.raises(UnknownZone, match="US-CA"):
        grid("Californa")


def test_a_fixed_intensity_is_in_grams() -> None:
    assert kg_co2e(1.0, fixed(56.0), 1.0) == pytest.approx(0.056)
    assert place("300").kg(1.0, {}) == pytest.approx(0.3)
    assert "0.3 kg CO2e/kWh" in place("300").describe()


@pytest.mark.parametrize("grams", ["0.056", "0", "-5", "nan", "inf", "48100"])
def test_kilograms_for_grams_are_noticed(grams: str) -> None:
    with pytest.raises(UnknownZone, match="in grams CO2e per kWh"):
        place(grams)


NOON = 490_000  # hours since the epoch


def trace(directory: Path, *rows: str, column: str = "average_g_per_kwh") -> Trace:
    path = directory / "grid.csv"
    path.write_text("\n".join([f"start,{column}", *rows]) + "\n")
    found = place(str(path))
    assert isinstance(found, Trace)
    return found


def at(hours: float) -> str:
    return datetime.fromtimestamp((NOON + hours) * 3600, UTC).isoformat()


def test_a_trace_weighs_energy_by_the_hour(tmp_path: Path) -> None:
    hourly = trace(tmp_path, f"{at(0)},100", f"{at(1)},300", f"{at(2)},500")
    assert kg_co2e(3.0, hourly, 2.0, {NOON: 1.0, NOON + 2: 2.0}) == pytest.approx(2 * (0.1 + 1.0))
    assert "0.1 to 0.5 kg CO2e/kWh by the hour, average, from grid.csv, SHA-256" in hourly.describe()


def test_steps_within_an_hour_are_averaged_and_longer_ones_hold(tmp_path: Path) -> None:
    halves = trace(tmp_path, f"{at(0)},100", f"{at(0.5)},300", f"{at(1)},500", f"{at(1.5)},500")
    assert halves.kg_co2e_per_kwh == {NOON: pytest.approx(0.2), NOON + 1: pytest.approx(0.5)}
    days = trace(tmp_path, f"{at(0)},100", f"{at(24)},300")
    assert (days.kg_co2e_per_kwh[NOON + 23], days.kg_co2e_per_kwh[NOON + 47]) == (0.1, 0.3)


def test_marginal_is_called_so(tmp_path: Path) -> None:
    assert trace(tmp_path, f"{at(0)},1", f"{at(1)},2", column="marginal_g_per_kwh").kind == "marginal"


def test_a_trace_that_does_not_cover_the_run_is_refused(tmp_path: Path) -> None:
    hourly = trace(tmp_path, f"{at(0)},100", f"{at(1)},300")
    with pytest.raises(TraceError, match=r"energy was used from .* to .*; give a trace of that time"):
        kg_co2e(1.0, hourly, 1.0, {NOON + 2: 1.0})
    with pytest.raises(TraceError, match="no run says when"):
        kg_co2e(1.0, hourly, 1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["2026-03-01T00:00:00,61"], "with its offset from UTC"),  # local time of who knows where
        (["yesterday,61"], "with its offset from UTC"),
        ([f"{at(0)},-1"], "grams per kWh"),
        ([f"{at(0)},nan"], "grams per kWh"),
        ([f"{at(0)}"], "grams per kWh"),
        ([f"{at(0)},1"], "two rows at least"),
        ([f"{at(0)},1", f"{at(1)},1", f"{at(3)},1"], r"grid\.csv:4: steps are even"),
        ([f"{at(0)},1", f"{at(0)},1"], "steps are even"),
        ([f"{at(0)},1", f"{at(0.7)},1"], "divide an hour"),
    ],
)
def test_a_trace_with_holes_or_nonsense_is_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(tmp_path, *rows)


def test_a_trace_must_say_whether_it_is_average_or_marginal(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="average_g_per_kwh or marginal_g_per_kwh"):
        trace(tmp_path, f"{at(0)},1", column="g_per_kwh")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("empty.csv", "binary.csv"):
        with pytest.raises(TraceError, match=name):
            place(str(tmp_path / name))


def test_codecarbon_is_not_imported() -> None:
    code = "import sys; from suite.energy.carbon import grid; grid('FRA'); sys.exit('codecarbon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
