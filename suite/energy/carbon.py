"""From energy to carbon: kg CO2e = kWh x carbon intensity of the grid x power usage effectiveness (PUE) of the site.

A log stores energy only. Carbon is computed when reporting, so that a log can be read for any grid. The intensities are
yearly national averages, from the data that codecarbon ships; its package is not imported, which takes a second.
"""

import difflib
import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_DATA = Path("data", "private_infra", "global_energy_mix.json")


class UnknownZone(ValueError):
    """A zone for which there is no carbon intensity. There is no fallback: a world average would hide the mistake."""


@dataclass(frozen=True)
class Grid:
    """Electricity of a zone (ISO 3166, three letters): kg CO2e per kWh in ``year``, and where the figure is from."""

    zone: str
    name: str
    kg_co2e_per_kwh: float
    year: int
    source: str


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


def grid(zone: str) -> Grid:
    """The grid of ``zone``, an ISO 3166 code of three letters in either case, from codecarbon's offline data.

    Raises ``UnknownZone`` with close matches where there is no such code, or no intensity for it.
    """
    zones, source = _zones()
    code = zone.strip().upper()
    entry = zones.get(code)
    if entry is None:
        raise UnknownZone(_unknown(zone, {code: entry["country_name"] for code, entry in zones.items()}))
    intensity = float(entry["carbon_intensity"])
    if not intensity > 0:
        raise UnknownZone(
            f"{source} has no carbon intensity for {entry['country_name']} ({code}): it says {intensity:g} g/kWh; "
            "choose the zone that its electricity comes from"
        )
    return Grid(code, entry["country_name"], intensity / 1000, int(entry["year"]), source)


def zones() -> dict[str, str]:
    """Every zone that ``grid`` knows: country name by ISO 3166 code."""
    return {code: entry["country_name"] for code, entry in _zones()[0].items() if float(entry["carbon_intensity"]) > 0}


def kg_co2e(kwh: float, grid: Grid, pue: float) -> float:
    """``kwh`` of a machine as kg CO2e. ``pue``: energy of the whole site over that of its machines.

    Raises ``ValueError`` where ``pue`` is below 1 or not finite, or ``kwh`` is negative or not finite.
    """
    if not (math.isfinite(pue) and pue >= 1):
        raise ValueError(f"a PUE is at least 1 (nothing but the machine draws power) and finite, got {pue}")
    if not (math.isfinite(kwh) and kwh >= 0):
        raise ValueError(f"energy must be at least 0 kWh and finite, got {kwh}")
    return kwh * grid.kg_co2e_per_kwh * pue


def _unknown(zone: str, names: dict[str, str]) -> str:
    close = _close(zone, names)
    hint = f"did you mean {' or '.join(f'{code} ({names[code]})' for code in close)}?" if close else "none is close."
    return (
        f"there is no grid zone {zone!r}: a zone is an ISO 3166 code of three letters, such as FRA; {hint} "
        "All of them: python -c 'from suite.energy.carbon import zones; print(zones())'"
    )


def _close(zone: str, names: dict[str, str], most: int = 3) -> list[str]:
    """Codes whose country is called nearly so, then codes that are spelt nearly so."""
    by_name = {name.casefold(): code for code, name in names.items()}
    asked = zone.strip().casefold()
    called = [by_name[name] for name in difflib.get_close_matches(asked, by_name, most, cutoff=0.75)]
    spelt = difflib.get_close_matches(asked.upper(), names, most, cutoff=0.6)
    return list(dict.fromkeys(called + spelt))[:most]


@cache
def _zones() -> tuple[dict[str, Any], str]:
    """codecarbon's table by ISO code, and how to name that source."""
    content = _data_file().read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return json.loads(content), f"codecarbon {version('codecarbon')}, {_DATA.name}, SHA-256 {digest[:12]}"


def _data_file() -> Path:
    spec = find_spec("codecarbon")  # finds a package without running it
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("carbon intensities are codecarbon's: pip install codecarbon", name="codecarbon")
    path = Path(spec.origin).parent / _DATA
    if not path.exists():
        raise FileNotFoundError(f"this codecarbon ({version('codecarbon')}) has no {_DATA}: install codecarbon>=3.3")
    return path
