"""The boards that a heap of logs holds. Boards are never pooled: each is scored, ranked and shown by itself."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from suite.runs.log import RunLog
from suite.score.board import Board, score
from suite.score.details import Details, details


@dataclass(frozen=True)
class Reported:
    """A board of a site: its name in paths, its name for people, and the logs that it was scored from, in order."""

    slug: str
    title: str
    board: Board
    logs: tuple[RunLog, ...]

    @cached_property
    def details(self) -> Details:
        """What stands beside the ranking."""
        return details(self.board)

    def logs_of(self, strategy: str | None = None, task: str | None = None) -> list[RunLog]:
        """The logs of a strategy, of a task, or of both."""
        return [log for log in self.logs if strategy in (None, _name(log)) and task in (None, log.header.task.name)]


def separate(logs: Sequence[RunLog]) -> tuple[Reported, ...]:
    """The boards of ``logs``, in whatever order these come: runs that are not compared are on different ones.

    Raises ``ScoreError`` where the runs of one board cannot be scored.
    """
    groups: dict[tuple[Any, ...], list[RunLog]] = defaultdict(list)
    for log in logs:
        if log.header.role == "ranked":
            groups[_kind(log)].append(log)
    if len(groups) < 2:
        return (_reported("board", logs),)
    return tuple(_reported(f"board-{number}", groups[kind]) for number, kind in enumerate(sorted(groups), start=1))


def _reported(slug: str, logs: Sequence[RunLog]) -> Reported:
    board = score(logs)
    ranked = sorted(
        (log for log in logs if log.header.role == "ranked"),
        key=lambda log: (log.header.task.name, _name(log), log.header.seed),
    )
    return Reported(slug, _title(ranked[0]), board, tuple(ranked))


def _kind(log: RunLog) -> tuple[Any, ...]:
    """What runs of one board have in common."""
    header = log.header
    meters = tuple(sorted(str(meter.get("meter")) for meter in header.meters))
    settings = (float(header.budget.multiple or 0), header.device, header.workers, header.variant)
    return header.program, header.tier, *settings, meters


def _title(log: RunLog) -> str:
    header = log.header
    trainings = "training" if header.budget.multiple == 1 else "trainings"
    parts = [
        f"{header.tier.capitalize()} energy",
        f"budget of {header.budget.multiple:g} random {trainings}",
        f"on {header.device}",
    ]
    if header.program:
        parts.append("spaces of programs")
    if header.workers > 1:
        parts.append(f"{header.workers} workers")
    if header.variant:
        parts.append(f"variant {header.variant} of the data")
    return ", ".join(parts)


def _name(log: RunLog) -> str:
    return str(log.header.strategy["name"])
