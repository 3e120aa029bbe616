"""The published board as a table, one's own strategies in it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from suite.report import wording
from suite.report.tables import Printed
from suite.score.standing import Standing

_HEADERS = ("Rank", "Strategy", "Pi", "s(B)", "Search", "kWh a run")
_CAPTION = (
    "Replayed from recorded tables, with frozen references. Pi: 0 does nothing, 1/2 is random search, 1 the limit, "
    "with 95% intervals over seeds. Strategies that cannot be separated share ranks. Search: share of the energy that "
    "the strategy itself took."
)


def printed(found: Sequence[Standing], tasks: int, seeds: int) -> Printed:
    """One row a strategy, best first; an asterisk marks one's own."""
    caption = f"{tasks} tasks, {len(found)} strategies, {seeds} seeds. {_CAPTION}"
    notes = ("An asterisk marks what is not of the published board.",) if any(each.own for each in found) else ()
    return Printed(_HEADERS, tuple(map(_row, found)), 2, caption, notes)


def _row(one: Standing) -> tuple[str, ...]:
    first, last = one.rank_interval
    low_high = one.pi_interval
    return (
        str(first) if first == last else f"{first}-{last}",
        f"* {one.strategy}" if one.own else one.strategy,
        f"{one.pi:.3f} [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else f"{one.pi:.3f}",
        wording.share(one.s),
        f"{one.search:.1%}",
        wording.figure(one.kwh_charged),
    )


def to_record(found: Sequence[Standing]) -> list[dict[str, Any]]:
    """For programs."""
    return [asdict(each) for each in found]
