"""The board seen from elsewhere: on other grids, per run with the machine's own carbon (SCI), in everyday units."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Self

from suite.energy.carbon import REFERENCE, Place, kg_co2e
from suite.report import wording
from suite.report.tables import Printed, finite, spent_kg, write_printed
from suite.score.board import Board, Entry

_SECONDS_PER_YEAR = 365.25 * 24 * 3600


@dataclass(frozen=True)
class Embodied:
    """Carbon of making the machine, as its maker declares it, and for how long it is used."""

    kg_co2e: float
    lifetime_years: float

    def __post_init__(self) -> None:
        for name in ("kg_co2e", "lifetime_years"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"embodied carbon needs {name} greater than 0, got {value}")

    def share(self, seconds: float) -> float:
        """kg of ``seconds`` of the whole machine."""
        return self.kg_co2e * seconds / (self.lifetime_years * _SECONDS_PER_YEAR)


@dataclass(frozen=True)
class Equivalent:
    """An everyday thing, what one of it emits, and who says so."""

    name: str
    kg_co2e: float
    source: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """``NAME,KG,SOURCE``, such as ``km by car,0.17,DESNZ 2023``. Raises ``ValueError``."""
        parts = [part.strip() for part in text.split(",", 2)]
        try:
            name, kg, source = parts
            found = cls(name, float(kg), source)
        except ValueError:
            found = cls("", 0.0, "")
        if not (found.name and found.source and math.isfinite(found.kg_co2e) and found.kg_co2e > 0):
            raise ValueError(
                f"an equivalent is NAME,KG,SOURCE: what one of it emits, in kg CO2e, and who says so; got {text!r}"
            )
        return found

    def sentence(self, kg: float) -> str:
        return (
            f"All runs of this board: {wording.figure(kg)} kg CO2e, as much as {wording.figure(kg / self.kg_co2e)} "
            f"{self.name} ({self.kg_co2e:g} kg each; {self.source})."
        )


def headline_at(entry: Entry, place: Place) -> float | None:
    """H with the kg of ``place`` in the stead of the reference's; None where it is not defined.

    On a grid of one intensity that is one factor for all strategies. On a trace it is each one's own, by the hours at
    which its runs took place.
    """
    if entry.headline is None or not entry.kwh_total:
        return None
    here = kg_co2e(entry.kwh_total, place, 1.0, entry.hours) / entry.kwh_total
    return entry.headline * REFERENCE.kg_co2e_per_kwh / here if here else math.inf


def grids_table(board: Board, places: Sequence[Place], pue: float) -> Printed:
    """kg CO2e and H on each of ``places``, and whether the order by H survives."""
    headers = [header for place in places for header in (f"kg on {place.name}", f"H on {place.name}")]
    qualified = [wording.qualified(header, board.tier) if header.startswith("kg") else header for header in headers]
    rows = tuple((entry.strategy, *_cells(entry, places, pue)) for entry in board.entries)
    caption = "; ".join(place.describe() for place in places)
    return Printed(("Strategy", *qualified), rows, 1, f"PUE {pue:g}; {caption}.", (survival(board, places),))


def _cells(entry: Entry, places: Sequence[Place], pue: float) -> list[str]:
    values = (value for place in places for value in (spent_kg(entry, place, pue), headline_at(entry, place)))
    return [wording.figure(value) for value in values]


def survival(board: Board, places: Sequence[Place]) -> str:
    """Whether the order by H is the same on all ``places``, in words."""
    changed: dict[tuple[str, str], list[str]] = {}
    for place in places:
        at_place = {entry.strategy: headline_at(entry, place) for entry in board.entries}
        for better, worse in combinations(board.entries, 2):
            ours, theirs = at_place[better.strategy], at_place[worse.strategy]
            if ours is not None and theirs is not None and ours < theirs and better.pi > worse.pi:
                changed.setdefault((better.strategy, worse.strategy), []).append(place.name)
    if not changed:
        return "The order survives: it is the same on all of these grids."
    pairs = "; ".join(f"{worse} comes before {better} on {', '.join(on)}" for (better, worse), on in changed.items())
    apart = sorted(f"{better} and {worse}" for better, worse in changed if _separated(board, better, worse))
    told = f"they are separated at the reference: {', '.join(apart)}" if apart else "none of them is separated anyway"
    return f"The order does not survive: {pairs} ({told})."


def _separated(board: Board, better: str, worse: str) -> bool:
    ranks = {entry.strategy: entry.rank_interval for entry in board.entries}
    return ranks[better][1] < ranks[worse][0]


def sci_table(board: Board, place: Place, pue: float, embodied: Embodied | None) -> Printed:
    """Software Carbon Intensity (ISO/IEC 21031) of one search run: (E x I + M) / R, with R = one run."""
    rows = tuple(
        (
            entry.strategy,
            str(entry.runs),
            *map(wording.figure, (entry.kwh_total / entry.runs, spent_kg(entry, place, pue) / entry.runs)),
            wording.figure(embodied.share(entry.seconds / entry.runs)) if embodied else "excluded",
            wording.figure(sci(entry, place, pue, embodied)),
        )
        for entry in board.entries
    )
    made = (
        f"embodied carbon of the machine: {embodied.kg_co2e:g} kg over {embodied.lifetime_years:g} years, as declared"
        if embodied
        else "embodied carbon is excluded, since nobody declares it (--embodied-kg, --lifetime-years)"
    )
    energies = (wording.qualified(name, board.tier) for name in ("kWh a run", "E x I", "M", "SCI"))
    caption = f"SCI = (E x I + M) / R in kg CO2e, with R = one search run, at {place.describe()}; PUE {pue:g}; {made}."
    return Printed(("Strategy", "Runs", *energies), rows, 1, caption, ())


def sci(entry: Entry, place: Place, pue: float, embodied: Embodied | None) -> float:
    """kg CO2e of one run."""
    made = embodied.share(entry.seconds / entry.runs) if embodied else 0.0
    return spent_kg(entry, place, pue) / entry.runs + made


@dataclass(frozen=True)
class Elsewhere:
    """What is asked for beside the ranking. The ranking itself is at the first of ``places``."""

    places: tuple[Place, ...] = (REFERENCE,)
    wants_sci: bool = False
    embodied: Embodied | None = None
    equivalents: tuple[Equivalent, ...] = ()

    @property
    def is_wanted(self) -> bool:
        return len(self.places) > 1 or self.wants_sci or bool(self.equivalents)

    def texts(self, board: Board, pue: float, style: str) -> list[str]:
        """Tables and sentences in ``style`` (table, md, csv, latex)."""
        texts = []
        if len(self.places) > 1:
            texts.append(write_printed(grids_table(board, self.places, pue), style))
        if self.wants_sci:
            texts.append(write_printed(sci_table(board, self.places[0], pue, self.embodied), style))
        if self.equivalents:
            kg = sum(spent_kg(entry, self.places[0], pue) for entry in board.entries)
            texts += [f"{equivalent.sentence(kg)}\n" for equivalent in self.equivalents]
        return texts

    def record(self, board: Board, pue: float) -> dict[str, Any]:
        """The same for programs."""
        found: dict[str, Any] = {}
        if len(self.places) > 1:
            found["grids"] = [_at(board, place, pue) for place in self.places]
            found["survival"] = survival(board, self.places)
        if self.wants_sci:
            found["sci_kg_co2e_per_run"] = {
                entry.strategy: sci(entry, self.places[0], pue, self.embodied) for entry in board.entries
            }
            found["embodied"] = asdict(self.embodied) if self.embodied else "excluded"
        if self.equivalents:
            kg = sum(spent_kg(entry, self.places[0], pue) for entry in board.entries)
            found["equivalents"] = [{**asdict(each), "count": kg / each.kg_co2e} for each in self.equivalents]
        plain: dict[str, Any] = finite(found)
        return plain


def _at(board: Board, place: Place, pue: float) -> dict[str, Any]:
    entries = [
        {"strategy": entry.strategy, "kg_co2e": spent_kg(entry, place, pue), "headline": headline_at(entry, place)}
        for entry in board.entries
    ]
    return {"grid": place.to_record(), "entries": entries}
