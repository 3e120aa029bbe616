"""The scheduling board, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from suite.energy.trace import Trace
from suite.report.tables import Printed
from suite.report.wording import figure, share
from suite.score.schedule import STARTS, Outcome

_HEADERS = ("Strategy", "Policy", "s(B) per kg", "kg CO2e a run", "Of at once", "Hours", "s(B)", "Runs")


def printed(
    outcomes: Sequence[Outcome], trace: Trace, pue: float, within_hours: float, stretch: float, idle_watts: float
) -> Printed:
    """One row for each strategy and policy, best first."""
    rows = tuple(
        (
            each.strategy,
            each.policy,
            figure(each.s_per_kg),
            figure(each.kg_co2e),
            share(each.of_at_once),
            figure(each.hours),
            share(each.s),
            str(each.runs),
        )
        for each in outcomes
    )
    caption = (
        f"Performance per kg CO2e where runs may end {within_hours:g} h later than at once. at once: no pause; later: "
        "begun at the best hour; pause: in the cleanest hours; wait: in hours cleaner than the median of the day "
        "before."
    )
    notes = (
        f"Means over runs and over up to {STARTS} hours to begin at. later and pause know the intensities until the "
        "deadline; wait knows the past alone.",
        f"Every run is taken to be {stretch:g} times as long and dear; a machine that pauses draws {idle_watts:g} W.",
        f"{trace.describe()}; PUE {pue:g}.",
    )
    return Printed(_HEADERS, rows, 2, caption, notes)


def to_record(
    outcomes: Sequence[Outcome], trace: Trace, pue: float, within_hours: float, stretch: float, idle_watts: float
) -> dict[str, Any]:
    """For programs."""
    return {
        "trace": trace.to_record(),
        "pue": pue,
        "within_hours": within_hours,
        "stretch": stretch,
        "idle_watts": idle_watts,
        "outcomes": [{**asdict(each), "s_per_kg": each.s_per_kg} for each in outcomes],
    }
