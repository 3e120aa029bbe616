"""What was found in a submission: every failure at once, with file and line; as text, JSON and Markdown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from suite.submit.rules import MOST_FINDINGS

_SHOWN = 300  # characters of a message


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold, and where: ``file`` within the submission, ``line`` from 1."""

    rule: str
    file: str
    line: int | None
    message: str


class Findings:
    """Collects findings; what is hostile is kept short, and after ``MOST_FINDINGS`` they are only counted."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.dropped = 0

    def add(self, rule: str, file: str, message: str, line: int | None = None) -> None:
        if len(self.kept) >= MOST_FINDINGS:
            self.dropped += 1
            return
        self.kept.append(Finding(rule, plain(file), line, plain(message)))

    def __len__(self) -> int:
        return len(self.kept) + self.dropped


@dataclass(frozen=True)
class Report:
    """What came of a check. ``figures``: recomputed from the logs, whatever the submission says of itself."""

    submission: str
    findings: tuple[Finding, ...]
    dropped: int = 0
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.findings

    def to_record(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Report":
        return cls(
            submission=record["submission"],
            findings=tuple(Finding(**each) for each in record["findings"]),
            dropped=record["dropped"],
            notes=tuple(record["notes"]),
            figures=record["figures"],
        )


def plain(text: str) -> str:
    """``text`` on one short line, fit for a terminal: what does not print stands as its code."""
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text[: _SHOWN + 1])
    return shown if len(text) <= _SHOWN else shown[:_SHOWN] + "..."


def as_text(report: Report) -> str:
    lines = [f"{_place(each)}: {each.rule}: {each.message}" for each in report.findings]
    if report.dropped:
        lines.append(f"... and {report.dropped} more")
    lines += [f"note: {note}" for note in report.notes]
    lines += _figures(report.figures)
    return "\n".join([*lines, verdict(report), ""])


def as_markdown(report: Report) -> str:
    """For the summary of a pull request. Whatever comes from the submission stands in code spans."""
    rows = [f"| {_code(_place(each))} | {each.rule} | {_code(each.message)} |" for each in report.findings[:200]]
    table = ["| where | rule | what |", "|---|---|---|", *rows, ""] if rows else []
    rest = len(report.findings) - len(rows) + report.dropped
    more = [f"... and {rest} more", ""] if rest else []
    figures = [f"- {_code(name)}: {_code(_figure(value))}" for name, value in report.figures.items()]
    notes = [f"- {_code(note)}" for note in report.notes]
    return "\n".join([f"### Submission: {verdict(report)}", "", *table, *more, *notes, *figures, ""])


def verdict(report: Report) -> str:
    if report.passed:
        return "accepted: nothing speaks against it"
    return f"rejected: {len(report.findings) + report.dropped} finding(s)"


def _place(finding: Finding) -> str:
    return finding.file if finding.line is None else f"{finding.file}:{finding.line}"


def _code(text: str) -> str:
    """A code span that nothing gets out of, even within a table."""
    return "`" + re.sub(r"[`|]", "'", text) + "`"


def _figures(figures: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            lines += [f"{plain(name)}:", *(f"  {plain(key)}: {_figure(each)}" for key, each in value.items())]
        else:
            lines.append(f"{plain(name)}: {_figure(value)}")
    return lines


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_figure(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_figure, value)) + "]"
    return plain(str(value))
