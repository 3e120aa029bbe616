"""What stands beside the ranking, as tables: targets, other budgets, phases, break-even, the check of the reference."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from suite.report import wording
from suite.report.tables import Printed, finite
from suite.score.board import RANDOM, Board
from suite.score.budgets import FRACTIONS, LEAST_KAPPA
from suite.score.details import TOLERANCE, Detail, Details, Flip
from suite.score.savings import Saving
from suite.score.targets import TARGETS, ToTarget


def tables(board: Board, found: Details) -> list[Printed]:
    """All tables, those of the tasks in the order of their names."""
    several = [_overall(found)]
    several += [_targets(board, found.details, task) for task in board.tasks]
    several += [_budgets(board, found), _phases(board, found)]
    return several + ([_references(found)] if found.reference_checks else [])


def to_record(found: Details) -> dict[str, Any]:
    """For programs; what is infinite or not defined is None. Targets are keys as text."""
    record: dict[str, Any] = asdict(found)
    for detail in record["details"]:
        for name in ("targets", "unreached"):
            detail[name] = {f"{target:g}": value for target, value in detail[name].items()}
    for overall in record["overall"]:
        overall["savings"] = {f"{target:g}": value for target, value in overall["savings"].items()}
    for check, each in zip(record["reference_checks"], found.reference_checks, strict=True):
        check["agrees"] = each.agrees
    plain: dict[str, Any] = finite(record)
    return plain


def _overall(found: Details) -> Printed:
    """What each strategy saves, takes for itself and promises too much, over all tasks."""
    targets = tuple(found.overall[0].savings)
    headers = tuple(chain.from_iterable((f"To {target:g}", "By task", "Less on") for target in targets))
    rows = tuple(
        (
            each.strategy,
            *chain.from_iterable(_saving(each.savings[target]) for target in targets),
            f"{100 * each.own_share:.2f} %",
            "" if each.validation_gap is None else f"{wording.share(each.validation_gap)} ({each.gap_tasks})",
        )
        for each in found.overall
    )
    caption = (
        f"Over all tasks. To a target: energy charged over that of {RANDOM} search, geometric mean, with 95% intervals "
        "over seeds, from the task where it is lowest to that where it is highest, and on how many it is less; a run "
        "that never comes there counts with its budget. Own: what the strategy itself took of all energy charged. Gap: "
        "how much more validation promised than test gave, in units of a1 - a0, mean over the tasks where the two are "
        "one quantity."
    )
    return Printed(("Strategy", *headers, "Own", "Gap"), rows, 1, caption, ())


def _saving(found: Saving) -> tuple[str, str, str]:
    ends = f" [{wording.share(found.interval[0])}, {wording.share(found.interval[1])}]" if found.interval else ""
    span = f"{wording.share(found.lowest)}-{wording.share(found.highest)}"
    return f"{wording.share(found.ratio)}{ends}", span, f"{found.less}/{found.tasks}"


def _targets(board: Board, details: Sequence[Detail], task: str) -> Printed:
    """Energy to each target on one task, mean censored at the budget, and how many runs came there."""
    own = [detail for detail in details if detail.task == task]
    longest = max(found.restricted_mean for detail in own for found in detail.targets.values())
    factor, unit = wording.unit(longest)
    rows = tuple((detail.strategy, *(_reached(detail.targets[target], factor) for target in TARGETS)) for detail in own)
    label = wording.qualified(f"{unit} charged", board.tier)
    caption = f"{task}: {label} to each target s, mean with failures at the whole budget (runs that came there)."
    return Printed(("Strategy", *(f"{target:g}" for target in TARGETS)), rows, 1, caption, ())


def _reached(found: ToTarget, factor: float) -> str:
    return f"{wording.figure(found.restricted_mean * factor)} ({found.successes}/{found.runs})"


def _budgets(board: Board, found: Details) -> Printed:
    rows = tuple(
        (
            detail.task,
            detail.strategy,
            *(_at(each.u, each.pi) for each in detail.at_budgets),
            wording.share(detail.log_area),
        )
        for detail in found.details
    )
    headers = ("Task", "Strategy", *(f"u at {_fraction(fraction)}" for fraction in FRACTIONS), "Log area")
    caption = (
        f"u at smaller budgets (pi in brackets, where random search has u >= {LEAST_KAPPA:g} there), and the mean of s "
        "over the logarithm of carbon."
    )
    return Printed(headers, rows, 2, caption, tuple(map(_flip_sentence, found.flips)))


def _at(u: float, pi: float | None) -> str:
    return wording.figure(u) if pi is None else f"{wording.figure(u)} [{wording.share(pi)}]"


def _flip_sentence(flip: Flip) -> str:
    return f"At {_fraction(flip.fraction)} {flip.worse} is ahead of {flip.better}; at B it is behind."


def _fraction(fraction: float) -> str:
    return "B" if fraction == 1 else f"B/{1 / fraction:g}"


def _phases(board: Board, found: Details) -> Printed:
    """kWh of a run by phase, the gap between validation and test, and the break-even."""
    phases = sorted({phase for detail in found.details for phase in detail.kwh_by_phase})
    gaps = {(cell.task, cell.strategy): cell.validation_gap for cell in board.cells}
    largest = max((kwh for detail in found.details for kwh in detail.kwh_by_phase.values()), default=0.0)
    factor, unit = wording.unit(largest)
    rows = tuple(
        (
            detail.task,
            detail.strategy,
            *(wording.figure(detail.kwh_by_phase.get(phase, 0.0) * factor) for phase in phases),
            "" if (gap := gaps[detail.task, detail.strategy]) is None else wording.share(gap),
            _break_even(detail.break_even_kwh, factor),
        )
        for detail in found.details
    )
    caption = (
        f"{wording.qualified(f'{unit} of one run', board.tier)} by phase. Gap: how much more validation promised than "
        f"test gave, in units of a1 - a0. Break-even: {unit} of a training above which the overhead pays for itself "
        f"against {RANDOM} search."
    )
    return Printed(("Task", "Strategy", *phases, "Gap", "Break-even"), rows, 2, caption, ())


def _break_even(kwh: float | None, factor: float) -> str:
    if kwh is None:
        return ""
    return "never" if math.isinf(kwh) else wording.figure(kwh * factor)


def _references(found: Details) -> Printed:
    rows = tuple(
        (
            each.task,
            wording.figure(each.kappa),
            wording.figure(each.u)
            + (f" [{wording.figure(each.interval[0])}, {wording.figure(each.interval[1])}]" if each.interval else ""),
            wording.yes(each.agrees),
        )
        for each in found.reference_checks
    )
    caption = (
        "Random search on this machine beside the frozen kappa. They agree where kappa is in the interval of u, or "
        f"within a factor of {TOLERANCE:g} of it."
    )
    return Printed(("Task", "kappa", "u here", "Agrees"), rows, 1, caption, ())
