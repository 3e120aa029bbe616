"""How figures are written for people: digits, intervals, units, and what must be said beside them."""

import math
from collections.abc import Callable
from typing import Final

from suite.energy.carbon import Place
from suite.energy.ledger import JOULES_PER_KWH
from suite.score.board import Board, Entry
from suite.score.ranks import LEVEL

#: What an estimated energy is worth: the prior of a power model.
FACTOR: Final = "within a factor of 3"
EN_DASH: Final = "\N{EN DASH}"
NOT_DEFINED: Final = "not defined"

_UNITS: Final = ((1.0, "kWh"), (1e3, "Wh"), (1e6, "mWh"))

_ENERGY: Final = {
    "measured": "Energy is measured by counters.",
    "estimated": f"Energy is estimated by a power model, not read from a counter: kg CO2e are right {FACTOR}.",
    "replay": "Energy is replayed from recorded trials.",
}


def figure(value: float | None) -> str:
    """Three significant digits, without an exponent where that stays short."""
    if value is None:
        return NOT_DEFINED
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    scientific = f"{value:.2e}"
    magnitude = int(scientific.partition("e")[2])
    return f"{value:.{max(0, 2 - magnitude)}f}" if -4 < magnitude < 6 else scientific


def share(value: float | None) -> str:
    """A figure on a scale that ends at 1: two decimals."""
    return NOT_DEFINED if value is None else f"{value:z.2f}"


def yes(value: bool) -> str:
    return "yes" if value else "no"


def headline(entry: Entry) -> str:
    """H with its interval, such as ``0.420 [0.310, 0.500]``."""
    return figure(entry.headline) + _interval(entry.headline_interval, figure)


def aggregate(entry: Entry) -> str:
    """Pi with its interval, such as ``0.42 [0.31, 0.50]``."""
    return share(entry.pi) + _interval(entry.pi_interval, share)


def ranks(entry: Entry, dash: str = "-") -> str:
    """The rank, or the range of ranks that the entry shares."""
    low, high = entry.rank_interval
    return str(low) if low == high else f"{low}{dash}{high}"


def qualified(label: str, tier: str) -> str:
    """``label`` of an energy or carbon figure, marked unless it was measured."""
    return label if tier == "measured" else f"{label} ({tier})"


def energy_sentence(tier: str) -> str:
    """How the energy is known, and what that is worth."""
    return _ENERGY.get(tier, f"Energy is {tier}.")


def grid_sentence(place: Place, pue: float) -> str:
    """What turns kWh into the kg CO2e of the tables."""
    return f"kg CO2e are of all energy spent, test evaluations included, at {place.describe()}; PUE {pue:g}."


def ranks_sentence(board: Board) -> str:
    """How to read brackets, where there are any, and ranks."""
    brackets = f"Brackets are {LEVEL:.0%} intervals over seeds. " if any(e.pi_interval for e in board.entries) else ""
    return f"{brackets}Strategies that cannot be separated share ranks."


def size_sentence(board: Board) -> str:
    tasks, seeds = _count(board.tasks, "task"), _count(board.seeds, "seed")
    return f"{tasks}, {_count(board.strategies, 'strategy', 'strategies')}, {seeds}."


def kwh(microjoules: float) -> float:
    return microjoules / 1e6 / JOULES_PER_KWH


def unit(kwh: float) -> tuple[float, str]:
    """The unit in which ``kwh`` is at least 1, and how many of it make one kWh."""
    return next(((factor, name) for factor, name in _UNITS if kwh * factor >= 1), _UNITS[-1])


def paradigm_label(paradigm: str) -> str:
    return paradigm.replace("_", "-")


def _interval(bounds: tuple[float, float] | None, write: Callable[[float], str]) -> str:
    return f" [{write(bounds[0])}, {write(bounds[1])}]" if bounds else ""


def _count(things: tuple[object, ...], one: str, many: str | None = None) -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"
