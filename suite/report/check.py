"""What the regression gate found, for people, for a pull-request comment, for JUnit readers and for programs."""

from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from suite.report import wording
from suite.report.tables import Printed, finite, write_printed
from suite.score.check import ALPHA, LEAST_SHIFT, Comparison, Report, Shift

_HEADERS = ("Task", "Strategy", "Compared", "Seeds", "Pi before", "Pi now", "p (Holm)", "Result")


def printed(report: Report) -> Printed:
    """One row for each strategy and task; the notes say what decides."""
    rows = tuple(_row(each) for each in report.comparisons)
    notes = (*map(_shift_sentence, report.shifts), *(_sentence(each) for each in report.comparisons if each.message))
    return Printed(_HEADERS, rows, 3, verdict(report), notes)


def verdict(report: Report) -> str:
    """The outcome in one line."""
    if report.passed:
        return f"Passed: {len(report.comparisons)} of strategy and task are as in the baseline."
    wrong = sum(each.exact and each.status != "same" for each in report.comparisons)
    changed = [shift.strategy for shift in report.shifts if shift.changed]
    reasons = [f"{wrong} of {len(report.comparisons)} of strategy and task differ"] if wrong else []
    reasons += [f"{', '.join(changed)} moved by {LEAST_SHIFT:g} of Pi or more, p < {ALPHA:g}"] if changed else []
    return f"Failed: {'; '.join(reasons)}. Where the change is meant, write the baseline anew with --update."


def write(report: Report, style: str) -> str:
    """``report`` as table or md. Ends in a line break. Raises ``ValueError``."""
    table = printed(report)
    text = write_printed(table, style)
    return f"### Regression check\n\n{text}" if style == "md" else text


def to_record(report: Report) -> dict[str, Any]:
    """For programs."""
    found: dict[str, Any] = finite(
        {
            "passed": report.passed,
            "verdict": verdict(report),
            "comparisons": [asdict(each) for each in report.comparisons],
            "shifts": [{**asdict(each), "changed": each.changed} for each in report.shifts],
        }
    )
    return found


def junit(report: Report) -> bytes:
    """JUnit XML: a test case for each exact comparison of strategy and task, and one for each strategy under a test."""
    exact = [each for each in report.comparisons if each.exact]
    cases = [(each.task, each.strategy, None if each.status == "same" else _sentence(each)) for each in exact]
    cases += [("all tasks", each.strategy, _shift_sentence(each) if each.changed else None) for each in report.shifts]
    failures = sum(message is not None for _, _, message in cases)
    suite = ElementTree.Element(
        "testsuite", name="carbon-suite check", tests=str(len(cases)), failures=str(failures), errors="0"
    )
    for task, strategy, message in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=task, name=strategy, time="0")
        if message is not None:
            ElementTree.SubElement(case, "failure", message=message).text = message
    ElementTree.indent(suite)
    content: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _row(each: Comparison) -> tuple[str, ...]:
    return (
        each.task,
        each.strategy,
        "to 1e-12" if each.exact else "by test",
        str(each.seeds),
        *("" if pi is None else f"{pi:.3f}" for pi in (each.pi_before, each.pi_after)),
        "" if each.p is None else wording.figure(each.p),
        each.status,
    )


def _sentence(each: Comparison) -> str:
    return f"{each.strategy} on {each.task} is {each.status}: {each.message}."


def _shift_sentence(shift: Shift) -> str:
    moved = shift.pi_after - shift.pi_before
    return (
        f"{shift.strategy}: Pi moved by {moved:+z.3f} over {shift.pairs} pairs of runs, p = {wording.figure(shift.p)}: "
        f"{'changed' if shift.changed else 'not told from chance or too small to count'}."
    )
