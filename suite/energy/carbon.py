"""From energy to carbon: kg CO2e = kWh x carbon intensity of the grid x power usage effectiveness (PUE) of the site.

A log stores energy only. Carbon is computed when reporting, so that a log can be read for any grid: a country or zone
(yearly averages from the data that codecarbon ships, whose package is not imported, since that takes a second), a fixed
figure, or a trace by the hour (``suite.energy.trace``).
"""

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

Kind = Literal["average", "marginal"]

_DATA: Final = Path("data", "private_infra")
_COUNTRIES: Final = _DATA / "global_energy_mix.json"
_STATES: Final = _DATA / "2023" / "usa_emissions.json"
_PROVINCES: Final = _DATA / "2023" / "china_provincial_emissions.json"
_NORDIC: Final = _DATA / "nordic_emissions.json"
_KG_PER_POUND: Final = 0.45359237
_PLAUSIBLE_G_PER_KWH: Final = (1.0, 2000.0)


class UnknownZone(ValueError):
    """A zone for which there is no carbon intensity. There is no fallback: a world average would hide the mistake."""


class Place(Protocol):
    """Where electricity comes from: what a kWh emits, perhaps by the hour."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    def kg(self, kwh: float, hours: Mapping[int, float]) -> float:
        """kg CO2e of ``kwh``, of which ``hours`` tells when they were used (hours since the epoch, UTC)."""

    def describe(self) -> str:
        """Value, year and source, for a sentence."""

    def to_record(self) -> dict[str, Any]:
        """The same for programs."""


@dataclass(frozen=True)
class Grid:
    """Electricity of a zone (ISO 3166, three letters): kg CO2e per kWh in ``year``, and where the figure is from."""

    zone: str
    name: str
    kg_co2e_per_kwh: float
    year: int | None
    source: str
    kind: Kind = "average"

    def kg(self, kwh: float, hours: Mapping[int, float]) -> float:
        return kwh * self.kg_co2e_per_kwh

    def describe(self) -> str:
        year = "" if self.year is None else f", {self.year}"
        return (
            f"{self.name} ({self.zone}){year}: {self.kg_co2e_per_kwh:.4g} kg CO2e/kWh, {self.kind}, from {self.source}"
        )

    def to_record(self) -> dict[str, Any]:
        return asdict(self)


#: The grid and the site that scores are computed for, frozen per release, so that no rank depends on where a run took
#: place. World averages are right here, where the figure is a unit of account and not a claim about anybody's run.
REFERENCE: Final = Grid(
    zone="reference",
    name="frozen reference",
    kg_co2e_per_kwh=0.481,
    year=2023,
    source="Ember, world average of 2023",
)
#: Uptime Institute, Global Data Center Survey 2023: industry average.
REFERENCE_PUE: Final = 1.58

_AT_ANY_HOUR: Final[Mapping[int, float]] = MappingProxyType({})


def grid(zone: str) -> Grid:
    """The grid of ``zone``, in either case, from codecarbon's offline data: an ISO 3166 code of three letters for a
    country, US-CA for a state, CN-BJ for a province, SE3 for a zone of the Nordic market.

    Raises ``UnknownZone`` with close matches where there is no such code, or no intensity for it.
    """
    known = _zones()
    code = zone.strip().upper()
    found = known.get(code)
    if found is None:
        raise UnknownZone(_unknown(zone, {code: each.name for code, each in known.items()}))
    if not found.kg_co2e_per_kwh > 0:
        raise UnknownZone(
            f"{found.source} has no carbon intensity for {found.name} ({code}): it says {found.kg_co2e_per_kwh:g} "
            "kg/kWh; choose the zone that its electricity comes from"
        )
    return found


def fixed(g_per_kwh: float) -> Grid:
    """A grid of ``g_per_kwh`` grams CO2e per kWh. Raises ``UnknownZone`` where no grid is like that."""
    low, high = _PLAUSIBLE_G_PER_KWH
    if not low <= g_per_kwh <= high:
        raise UnknownZone(
            f"a carbon intensity is given in grams CO2e per kWh, between {low:g} and {high:g}, got {g_per_kwh:g}"
        )
    return Grid("fixed", "fixed intensity", g_per_kwh / 1000, None, "the command line")


def zones() -> dict[str, str]:
    """Every zone that ``grid`` knows: its name by its code."""
    return {code: each.name for code, each in _zones().items() if each.kg_co2e_per_kwh > 0}


def kg_co2e(kwh: float, place: Place, pue: float, hours: Mapping[int, float] = _AT_ANY_HOUR) -> float:
    """``kwh`` of a machine as kg CO2e. ``pue``: energy of the whole site over that of its machines.

    hours: when the energy was used, for places whose intensity changes by the hour. Raises ``ValueError`` where ``pue``
    is below 1 or not finite, or ``kwh`` is negative or not finite.
    """
    if not (math.isfinite(pue) and pue >= 1):
        raise ValueError(f"a PUE is at least 1 (nothing but the machine draws power) and finite, got {pue}")
    if not (math.isfinite(kwh) and kwh >= 0):
        raise ValueError(f"energy must be at least 0 kWh and finite, got {kwh}")
    return place.kg(kwh, hours) * pue


def _unknown(zone: str, names: dict[str, str]) -> str:
    close = _close(zone, names)
    hint = f"did you mean {' or '.join(f'{code} ({names[code]})' for code in close)}?" if close else "none is close."
    return (
        f"there is no grid zone {zone!r}: a zone is an ISO 3166 code of three letters, such as FRA, or that of a "
        f"state, such as US-CA; {hint} All of them: python -c 'from suite.energy.carbon import zones; print(zones())'. "
        "Or give grams CO2e per kWh, or a trace by the hour (a .csv file)"
    )


def _close(zone: str, names: dict[str, str], most: int = 3) -> list[str]:
    """Codes whose zone is called nearly so, then codes that are spelt nearly so."""
    by_name = {name.casefold(): code for code, name in names.items()}
    asked = zone.strip().casefold()
    called = [by_name[name] for name in difflib.get_close_matches(asked, by_name, most, cutoff=0.75)]
    spelt = difflib.get_close_matches(asked.upper(), names, most, cutoff=0.6)
    return list(dict.fromkeys(called + spelt))[:most]


@cache
def _zones() -> dict[str, Grid]:
    """Every zone of codecarbon's tables by its code, countries first."""
    return {each.zone: each for table in (_countries, _states, _nordic, _provinces) for each in table()}


def _countries() -> list[Grid]:
    table, source = _table(_COUNTRIES)
    return [
        Grid(code, entry["country_name"], float(entry["carbon_intensity"]) / 1000, int(entry["year"]), source)
        for code, entry in table.items()
    ]


def _states() -> list[Grid]:
    """States of the USA, in pounds per MWh."""
    table, source = _table(_STATES)
    year = int(table["_source"]["year"])
    return [
        Grid(f"US-{entry['regionCode']}", name.title(), float(entry["emissions"]) * _KG_PER_POUND / 1000, year, source)
        for name, entry in table.items()
        if len(entry.get("regionCode", "")) == 2 and not name.startswith("_")  # the whole country is in it too
    ]


def _nordic() -> list[Grid]:
    return _listed(_NORDIC)


def _provinces() -> list[Grid]:
    return _listed(_PROVINCES)


def _listed(file: Path) -> list[Grid]:
    """Zones that a table lists in grams per kWh."""
    table, source = _table(file)
    return [
        Grid(code, entry["description"], float(entry["emission_factor"]) / 1000, int(entry["year"]), source)
        for code, entry in table["data"].items()
    ]


def _table(file: Path) -> tuple[dict[str, Any], str]:
    """A table of codecarbon's, and how to name that source."""
    content = _data_file(file).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return json.loads(content), f"codecarbon {version('codecarbon')}, {file.name}, SHA-256 {digest[:12]}"


def _data_file(file: Path) -> Path:
    spec = find_spec("codecarbon")  # finds a package without running it
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("carbon intensities are codecarbon's: pip install codecarbon", name="codecarbon")
    path = Path(spec.origin).parent / file
    if not path.exists():
        raise FileNotFoundError(f"this codecarbon ({version('codecarbon')}) has no {file}: install codecarbon>=3.3.2")
    return path
