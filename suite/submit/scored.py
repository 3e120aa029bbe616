"""The score of a submission, from its logs alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.log import RunLog
from suite.score.board import RANDOM, Board, score
from suite.score.details import details
from suite.submit.layout import Metadata


def figures_of(logs: Sequence[RunLog], metadata: Metadata) -> tuple[dict[str, Any], Board]:
    """Pi, H and what they rest on. Raises ``ScoreError``."""
    board = score(logs)
    entry = next(each for each in board.entries if each.strategy == metadata.strategy)
    cells = {cell.task: cell for cell in board.cells if cell.strategy == metadata.strategy}
    figures = {
        "strategy": f"{metadata.strategy} {metadata.version}",
        "board": metadata.board,
        "tasks": len(board.tasks),
        "seeds": metadata.seeds,
        "Pi": entry.pi,
        "Pi interval": None if entry.pi_interval is None else list(entry.pi_interval),
        "H (1/kg)": entry.headline,
        "kWh charged": entry.kwh,
        "kWh total": entry.kwh_total,
        "reference": board.reference,
        "by task": {task: {"u": cell.u, "kappa": cell.kappa, "pi": cell.pi} for task, cell in cells.items()},
    }
    return figures, board


def reference_problems(board: Board, logs: Sequence[RunLog]) -> list[str]:
    """Tasks on which random search on this machine is not what the frozen constants say."""
    if board.reference != "frozen":
        return []
    return [
        f"{check.task}: random search came to u = {check.u:.3g} and the frozen reference is {check.kappa:.3g}, which "
        "is outside its interval and further than the tolerance"
        for check in details(board).reference_checks
        if not check.agrees
    ]


def with_transfer(logs: Sequence[RunLog], metadata: Metadata) -> list[RunLog]:
    """``logs`` with what the strategy knew beforehand charged: its energy, in equal parts, from each run's start."""
    own = [log for log in logs if log.header.strategy["name"] == metadata.strategy]
    if metadata.transfer is None or metadata.strategy == RANDOM or not own:
        return list(logs)
    share = round(float(metadata.transfer["kwh"]) * JOULES_PER_KWH * 1e6 / len(own))
    return [_charged(log, share) if log.header.strategy["name"] == metadata.strategy else log for log in logs]


def _charged(log: RunLog, microjoules: int) -> RunLog:
    component = str(log.header.meters[0]["component"])
    trials = tuple(
        trial._replace(
            charged_microjoules=trial.charged_microjoules + microjoules,
            charged={**trial.charged, component: trial.charged.get(component, 0) + microjoules},
        )
        for trial in log.trials
    )
    return replace(log, trials=trials)
