"""A board run by run: what each came to, what it took, and a digest of what it tried.

A board is scored from two figures a run, s(B) and D / B; with them and the tasks' kappa its Pi, intervals and ranks can
be computed anew without the logs.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, get_type_hints

from suite.energy.ledger import CHARGED
from suite.runs.log import RunLog, proposal_to_record
from suite.score.admission import key
from suite.score.budgets import TRIALS
from suite.score.curve import curve, kwh

DIGESTED: Final = 0.5  # of the budget
SEARCH: Final = CHARGED - TRIALS


@dataclass(frozen=True)
class Row:
    """One run. area: D / B. Energies in kWh: charged, total, and of it what the strategy itself took. digest: of the
    trials until ``DIGESTED`` of the budget, see ``digest``."""

    task: str
    task_version: str
    strategy: str
    strategy_version: str
    seed: int
    trials: int
    failed: int
    s: float
    area: float
    kwh_charged: float
    kwh_total: float
    kwh_search: float
    digest: str


def rows(logs: Iterable[RunLog]) -> Iterator[Row]:
    """Of all ranked runs, by task, strategy and seed. Raises ``ValueError`` for a run without budget or constants."""
    for log in sorted((log for log in logs if log.header.role == "ranked"), key=key):
        yield _row(log)


def _row(log: RunLog) -> Row:
    header, found = log.header, curve(log)
    phases = log.microjoules_by_phase()
    trained = [trial for trial in log.trials if not trial.returned]
    return Row(
        task=header.task.name,
        task_version=header.task.version,
        strategy=str(header.strategy["name"]),
        strategy_version=str(header.strategy.get("version", "")),
        seed=header.seed,
        trials=len(trained),
        failed=sum(trial.status == "failed" for trial in trained),
        s=found.final_s,
        area=found.area,
        kwh_charged=kwh(log.charged_microjoules),
        kwh_total=kwh(log.total_microjoules),
        kwh_search=kwh(sum(phases.get(phase, 0) for phase in SEARCH)),
        digest=digest(log),
    )


def digest(log: RunLog) -> str:
    """The beginning of the SHA-256 of what was proposed and came of it, values to nine digits, while the trials alone
    had taken less than ``DIGESTED`` of the budget.

    What the strategy itself took is measured anew in every replay, and decides how many trials a budget is enough for.
    Until half of the budget a replayed run is the same each time, unless the strategy takes the other half.
    """
    made, spent = hashlib.sha256(), 0
    for trial in log.trials:
        spent += trial.microjoules
        if spent > DIGESTED * (log.header.budget.microjoules or 0):
            break
        values = [None if value is None else f"{value:.9g}" for value in (trial.validation, trial.test)]
        record = [trial.number, proposal_to_record(trial.proposal), trial.status, *values]
        made.update(json.dumps(record, sort_keys=True, default=str).encode() + b"\n")
    return made.hexdigest()[:16]


def from_csv(lines: Iterable[str]) -> list[Row]:
    """The rows of a file that ``carbon-suite export --to runs`` wrote. Raises ``ValueError`` for any other."""
    types = get_type_hints(Row)
    found = list(csv.DictReader(lines))
    if not found or list(found[0]) != list(types):
        raise ValueError(f"runs are a CSV file with the columns {', '.join(types)}, and rows")
    return [Row(**{name: made(row[name]) for name, made in types.items()}) for row in found]
