"""What a page shows beside the ranking, each as a table: results by task, constants, data, machines, meters.

Facts come from the boards' cells and from the headers of the logs. What a log does not say is left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from suite.energy.ledger import PHASES
from suite.report import wording
from suite.report.tables import Printed, cells_of
from suite.runs.log import RunLog
from suite.score.board import Board, Cell
from suite.task import TaskSpec

_TITLES: Final = {"cpu": "CPU", "gpu": "GPU", "memory_gib": "Memory (GiB)"}


def task_tables(board: Board, logs: Sequence[RunLog]) -> list[Printed]:
    """One table a task, strategies in the board's order."""
    specs = _specs(logs)
    return [_task_table(board, task, specs.get(task)) for task in board.tasks]


def improvement_table(board: Board) -> Printed:
    """Probability that the strategy of the row does better than that of the column."""
    names = [entry.strategy for entry in board.entries]
    rows = tuple(
        (row, *("" if row == column else wording.share(board.improvement.get((row, column))) for column in names))
        for row in names
    )
    caption = "Probability that the strategy of the row does better than that of the column."
    return Printed(("Strategy", *names), rows, 1, caption, ())


def constants_table(logs: Sequence[RunLog]) -> Printed:
    figures = ("a0", "a1", "v0", "m_t", "kappa", "sigma", "Headroom", "Default (J)")
    rows = tuple(_constants_row(spec) for spec in _specs(logs).values())
    return Printed(
        ("Task", "Version", "Status", "Measured on", *figures),
        rows,
        4,
        "a0, a1: test value of the default and the best known; v0: validation value of the default; m_t: mean energy "
        "of random configurations over the default's; kappa: u of random search; sigma: seed noise of the default's "
        "test value; headroom: |a1 - a0| / sigma.",
        (),
    )


def data_table(logs: Sequence[RunLog]) -> Printed:
    rows = tuple(
        (name, f"{ref.name} {ref.version}", ref.licence, ref.source, ref.digest[:12])
        for name, spec in _specs(logs).items()
        for ref in spec.data
    )
    return Printed(("Task", "Data", "Licence", "Source", "SHA-256"), rows, 5, "", ())


def machine_table(logs: Sequence[RunLog]) -> Printed:
    """Each machine and software that took part, with its number of runs."""
    setups = Counter(tuple(_machine_facts(log).items()) for log in logs)
    headers = tuple(dict.fromkeys(name for facts in setups for name, _ in facts))
    rows = tuple((*(dict(facts).get(name, "") for name in headers), str(runs)) for facts, runs in setups.items())
    titles = (_TITLES.get(name, name.replace("_", " ").capitalize()) for name in headers)
    return Printed((*titles, "Runs"), rows, len(headers), "", ())


def meter_table(logs: Sequence[RunLog]) -> Printed:
    keys = ("component", "meter", "tier", "source")
    meters = Counter(tuple(str(meter.get(key, "")) for key in keys) for log in logs for meter in log.header.meters)
    rows = tuple((*meter, str(runs)) for meter, runs in meters.items())
    return Printed(("Component", "Meter", "Tier", "Source", "Runs"), rows, 4, "", ())


def crosscheck_sentences(logs: Sequence[RunLog]) -> list[str]:
    """codecarbon's total beside the ledger's, over the runs that have both; and why others have not."""
    checked = [log.crosscheck for log in logs if {"cpu_kwh", "ledger_kwh"} <= set(log.crosscheck)]
    sentences = []
    if checked:
        theirs, ours = (sum(float(check[key]) for check in checked) for key in ("cpu_kwh", "ledger_kwh"))
        ratio = f"a ratio of {wording.figure(theirs / ours)}" if ours else "no ratio, since our total is 0"
        factor, unit = wording.unit(max(theirs, ours))
        sentences.append(
            f"Over {_runs(len(checked))} codecarbon reads {wording.figure(theirs * factor)} {unit} for the CPU, and "
            f"the ledger {wording.figure(ours * factor)} {unit} in total: {ratio}. It has its own power model."
        )
    unchecked = (log.crosscheck for log in logs if log.crosscheck not in checked)
    missing = Counter(str(crosscheck.get("reason", "the run has not ended")) for crosscheck in unchecked)
    sentences += [f"{_runs(count)} without a cross-check: {reason}." for reason, count in missing.items()]
    return sentences


def _task_table(board: Board, task: str, spec: TaskSpec | None) -> Printed:
    cells = [cell for entry in board.entries for cell in cells_of(board, entry.strategy) if cell.task == task]
    phases = [phase for phase in PHASES if any(cell.microjoules_by_phase.get(phase) for cell in cells)]
    factor, unit = wording.unit(max((cell.kwh for cell in cells), default=0.0))
    headers = (
        "Strategy",
        "u",
        "kappa",
        "pi",
        "s(B)",
        "Test",
        "Trials",
        "Failed",
        "Missing",
        f"{unit} charged",
        *phases,
    )
    test = f" Test: {spec.test.name}, median of the final incumbents, to {spec.test.goal}." if spec else ""
    caption = f"{wording.qualified(f'{unit} of one run', board.tier)}: charged, and by phase.{test}"
    lost = sum(cell.lost_microjoules for cell in cells)
    cut_short = (
        f"Of all runs, {wording.figure(wording.kwh(lost) * factor)} {unit} went uncharged into attempts cut short."
    )
    rows = tuple(_cell_row(cell, phases, factor) for cell in cells)
    return Printed(headers, rows, 1, caption, (cut_short,) if lost else ())


def _cell_row(cell: Cell, phases: Sequence[str], factor: float) -> tuple[str, ...]:
    runs = max(1, len(cell.seeds))
    return (
        cell.strategy,
        *map(wording.figure, (cell.u, cell.kappa)),
        *map(wording.share, (cell.pi, cell.final_s)),
        wording.figure(cell.test_median),
        *map(str, (cell.trials, cell.failed, len(cell.missing))),
        wording.figure(cell.kwh * factor),
        *(wording.figure(wording.kwh(cell.microjoules_by_phase.get(phase, 0)) / runs * factor) for phase in phases),
    )


def _constants_row(spec: TaskSpec) -> tuple[str, ...]:
    constants = spec.constants
    if constants is None:
        return (spec.name, spec.version, "not measured", *[""] * 9)
    values = (constants.a0, constants.a1, constants.v0, constants.m_t, constants.kappa_t, constants.sigma_seed)
    return (
        spec.name,
        spec.version,
        f"{'provisional' if constants.provisional else 'frozen'}, energy {constants.tier}; "
        f"{constants.seeds} seeds, {constants.configurations} configurations",
        _in_words(constants.measured_on),
        *map(wording.figure, (*values, constants.headroom_sigmas, constants.default_joules)),
    )


def _machine_facts(log: RunLog) -> dict[str, str]:
    """The header's facts in words, nested ones in one line, and how the run was made."""
    header = log.header
    facts = {name: _in_words(value) for name, value in header.machine.items() if value is not None}
    ways = {"device": header.device, "workers": str(header.workers), "jobs": str(header.jobs), "suite": header.suite}
    return {**facts, **ways}


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(item)}" for name, item in value.items())
    return str(value)


def _specs(logs: Sequence[RunLog]) -> dict[str, TaskSpec]:
    return {log.header.task.name: log.header.task for log in logs}


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
