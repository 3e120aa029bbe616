"""What may be ranked together, and what may be ranked at all (docs/scoring.md, sections 1 and 5).

Boards are never pooled: logs that differ in what must be equal are refused.
"""

from collections.abc import Callable, Sequence
from typing import Final

from suite.runs.log import RunLog
from suite.task import TaskSpec

HEADROOM: Final = 5.0  # seed standard deviations between the default and the best known


class ScoreError(ValueError):
    """Logs that cannot be scored together; the message says why and what to do."""


def not_admitted(spec: TaskSpec) -> str | None:
    """Why a task does not belong to the ranked set, or None where it does: it must tell strategies apart."""
    constants = spec.constants
    if constants is None:
        return "its constants are not measured"
    if constants.headroom_sigmas < HEADROOM:
        return f"its headroom is {constants.headroom_sigmas:.2g} seed standard deviations, below {HEADROOM:g}"
    if constants.kappa_t <= 0:
        return "random search gains nothing within the budget"
    return None


def check_one_board(logs: Sequence[RunLog]) -> None:
    """Raise ``ScoreError`` unless ``logs`` are runs of one board."""
    if not logs:
        raise ScoreError("there are no ranked runs to score; make some with `carbon-suite run`")
    for log in logs:
        header = log.header
        if header.task.constants is None:
            raise ScoreError(
                f"{log.path}: task {header.task.name} has no constants; measure them with `carbon-suite constants`"
            )
        if header.budget.multiple is None or not header.budget.microjoules or header.budget.v0 is None:
            raise ScoreError(f"{log.path}: this run had no energy budget, so it cannot be ranked")
    _check_equal(logs, "budget", lambda log: log.header.budget.multiple)
    _check_equal(logs, "tier of energy", lambda log: log.header.tier)
    _check_equal(logs, "choice of meters", lambda log: sorted(str(meter.get("meter")) for meter in log.header.meters))
    _check_equal(logs, "device", lambda log: log.header.device)
    _check_equal(logs, "variant of the tasks", lambda log: log.header.variant)
    _check_equal(logs, "kind of board (program or black-box)", lambda log: log.header.program)
    _check_equal(logs, "number of workers", lambda log: log.header.workers)
    seen: dict[tuple[str, str, int], RunLog] = {}
    for log in logs:
        other = seen.setdefault(key(log), log)
        if other is not log:
            raise ScoreError(
                f"{other.path} and {log.path} are both the run of {' '.join(map(str, key(log)))}; give one of them"
            )
    for task, own in _grouped(logs, lambda log: log.header.task.name):
        _check_equal(own, f"version of task {task}", lambda log: log.header.task.version)
        _check_equal(own, f"definition of task {task}", lambda log: log.header.task)
    for name, own in _grouped(logs, lambda log: str(log.header.strategy["name"])):
        _check_equal(own, f"version of strategy {name}", lambda log: log.header.strategy.get("version"))
        _check_equal(own, f"source of strategy {name}", lambda log: log.header.strategy.get("file_sha256"))


def _grouped(logs: Sequence[RunLog], name: Callable[[RunLog], str]) -> list[tuple[str, list[RunLog]]]:
    groups: dict[str, list[RunLog]] = {}
    for log in logs:
        groups.setdefault(name(log), []).append(log)
    return sorted(groups.items())


def _check_equal(logs: Sequence[RunLog], what: str, value: Callable[[RunLog], object]) -> None:
    first = value(logs[0])
    for log in logs[1:]:
        found = value(log)
        if found is not first and found != first:
            raise ScoreError(
                f"the {what} differs between {logs[0].path} and {log.path}: such runs are different boards and are not "
                "ranked together"
            )


def key(log: RunLog) -> tuple[str, str, int]:
    return log.header.task.name, str(log.header.strategy["name"]), log.header.seed
