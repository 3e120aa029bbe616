"""Whether a replayed board agrees with a live one, for people and for programs."""

from dataclasses import asdict
from typing import Any

from suite.report.tables import Printed
from suite.report.wording import share, yes
from suite.score.agreement import Agreement, Pair
from suite.score.ranks import LEVEL

_HEADERS = ("Task", "First", "Second", "Live", "Replayed", "Same order", "Contradicted")


def printed(found: Agreement) -> Printed:
    """One row for each pair that the live board tells apart."""
    rows = tuple(_row(pair) for pair in found.separated)
    told, order = len(found.separated), found.same_order
    ordered = "none is there to be ordered" if order is None else f"replay orders {order:.0%} of them the same"
    caption = (
        f"Of {len(found.pairs)} pairs of strategies on a task, live runs tell {told} apart; {ordered}, and tells "
        f"{found.contradictions} apart the other way."
    )
    note = (
        f"Differences of pi, the first less the second, with {LEVEL:.0%} intervals over seeds. Of {found.cells} live "
        f"pi, {found.covered} lie where the replayed ones and the errors of both say with {LEVEL:.0%}."
    )
    return Printed(_HEADERS, rows, 3, caption, (note,))


def _row(pair: Pair) -> tuple[str, ...]:
    return (
        pair.task,
        pair.first,
        pair.second,
        _with_interval(pair.live, pair.live_interval),
        _with_interval(pair.replayed, pair.replayed_interval),
        yes(pair.same_order),
        yes(pair.contradicted),
    )


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{share(value)} [{share(interval[0])}, {share(interval[1])}]"


def to_record(found: Agreement) -> dict[str, Any]:
    """For programs."""
    return {
        "pairs": [
            {
                **asdict(pair),
                "separated_live": pair.separated_live,
                "same_order": pair.same_order,
                "contradicted": pair.contradicted,
            }
            for pair in found.pairs
        ],
        "separated_live": len(found.separated),
        "same_order": found.same_order,
        "contradictions": found.contradictions,
        "cells": found.cells,
        "covered": found.covered,
    }
