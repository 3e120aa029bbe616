"""Errors of the meters, as far as they touch the order of a board.

Each component's meter is wrong by one unknown factor on one machine. Where a single component is metered, that factor
is in the runs and in the budget that they are compared with, and cancels. Where several are (a GPU by its counter, a
CPU by a model), their factors differ, and a strategy that thinks more than it trains may owe its place to them. A place
is given only if it holds at every corner of the intervals: each component's energy at its low or at its high end.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from suite.energy.meter import MODEL_FACTOR
from suite.runs.log import RunLog
from suite.score.ranks import Uncertainty


def factors_of(logs: Sequence[RunLog]) -> dict[str, float]:
    """The largest prior error of each component that used energy in ``logs``."""
    factors: dict[str, float] = {}
    for log in logs:
        used = {component for component, found in log.energy().items() if found.microjoules}
        for meter in log.header.meters:
            component = str(meter.get("component"))
            if component in used:
                factors[component] = max(factors.get(component, 1.0), float(meter.get("factor", MODEL_FACTOR)))
    return factors


def corners(logs: Sequence[RunLog]) -> Iterator[dict[str, float]]:
    """What each component's energy is multiplied by at each corner; none where the errors cancel.

    Runs that do not say what a component's share in their budget is have no corners.
    """
    if all(len(log.header.meters) < 2 for log in logs):
        return
    factors = factors_of(logs)
    if len(factors) < 2 or not all(log.header.default_mix for log in logs):
        return
    for ends in product((-1, 1), repeat=len(factors)):
        if len(set(ends)) > 1:  # where all are wrong alike, it cancels
            yield {part: factor**end for (part, factor), end in zip(factors.items(), ends, strict=True)}


def widened(found: Uncertainty, others: Sequence[Uncertainty]) -> Uncertainty:
    """Intervals that hold those of ``found`` and of all ``others``."""
    every = [found, *others]
    return Uncertainty(
        tuple(_hull(intervals) for intervals in zip(*(each.pi_intervals for each in every), strict=True)),
        tuple(_hull(intervals) for intervals in zip(*(each.task_intervals for each in every), strict=True)),
        tuple(
            (min(low for low, _ in ranks), max(high for _, high in ranks))
            for ranks in zip(*(each.rank_intervals for each in every), strict=True)
        ),
    )


def _hull(intervals: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [interval for interval in intervals if interval is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if len(known) == len(intervals) else None
