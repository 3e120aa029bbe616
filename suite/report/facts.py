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


def task_table(board: Board, task: str, spec: TaskSpec) -> Printed:
    """The results on ``task``, strategies in the board's order."""
    cells = [cell for entry in board.entries for cell in cells_of(board, entry.strategy) if cell.task == task]
    test = f"Test: {spec.test.name}, median of the final incumbents, to {spec.test.goal}."
    return _cells_table(board, "Strategy", {cell.strategy: cell for cell in cells}, test)


def strategy_table(board: Board, strategy: str) -> Printed:
    """The results of ``strategy``, one row a task."""
    cells = {cell.task: cell for cell in cells_of(board, strategy)}
    return _cells_table(board, "Task", cells, "Test: median of the final incumbents.")


def _cells_table(board: Board, first: str, cells: Mapping[str, Cell], test: str) -> Printed:
    phases = [phase for phase in PHASES if any(cell.microjoules_by_phase.get(phase) for cell in cells.values())]
    factor, unit = wording.unit(max((cell.kwh for cell in cells.values()), default=0.0))
    figures = ("u", "kappa", "pi", "s(B)", "Test", "Trials", "Failed", "Missing", f"{unit} charged")
    caption = f"{wording.qualified(f'{unit} of one run', board.tier)}: charged, and by phase. {test}"
    lost = sum(cell.lost_microjoules for cell in cells.values())
    cut_short = (
        f"Of all runs, {wording.figure(wording.kwh(lost) * factor)} {unit} went uncharged into attempts cut short."
    )
    rows = tuple((name, *_cell_row(cell, phases, factor)) for name, cell in cells.items())
    return Printed((first, *figures, *phases), rows, 1, caption, (cut_short,) if lost else ())


def improvement_table(board: Board) -> Printed:
    """Probability that the strategy of the row does better than that of the column."""
    names = [entry.strategy for entry in board.entries]
    rows = tuple(
        (row, *("" if row == column else wording.share(board.improvement.get((row, column))) for column in names))
        for row in names
    )
    caption = "Probability that the strategy of the row does better than that of the column."
    return Printed(("Strategy", *names), rows, 1, caption, ())


def runs_table(board: Board, logs: Sequence[RunLog]) -> Printed:
    """One row a run of one strategy on one task."""
    curves = {(curve.task, curve.strategy, curve.seed): curve for curve in board.curves}
    rows = []
    for log in logs:
        curve = curves[log.header.task.name, str(log.header.strategy["name"]), log.header.seed]
        spent = (log.charged_microjoules, log.total_microjoules)
        rows.append(
            (
                f"seed {log.header.seed}",
                log.ended or "has not ended",
                wording.share(curve.final_s),
                wording.figure(curve.validation[-1]),
                "" if curve.test[-1] is None else wording.figure(curve.test[-1]),
                str(sum(not trial.returned for trial in log.trials)),
                str(sum(trial.status == "failed" for trial in log.trials if not trial.returned)),
                *(wording.figure(wording.kwh(energy) * 1e3) for energy in spent),
                wording.figure(log.elapsed_ns / 1e9),
            )
        )
    energies = (wording.qualified(label, board.tier) for label in ("Wh charged", "Wh total"))
    headers = ("Log", "End", "s(B)", "Validation", "Test", "Trials", "Failed", *energies, "Seconds")
    caption = "Validation and test of the final incumbent; no test value where that is still the default."
    return Printed(headers, tuple(rows), 2, caption, ())


def strategy_facts(logs: Sequence[RunLog]) -> dict[str, str]:
    """What the logs of a strategy say of it. What they leave open is left out."""
    found = {name: value for name, value in logs[0].header.strategy.items() if value not in (None, "", [], {})}
    titles = {"file_sha256": "SHA-256 of its file", "default": "Default given to it"}
    facts = {titles.get(name, name.replace("_", " ").capitalize()): _in_words(value) for name, value in found.items()}
    return {**facts, "Release": ", ".join(sorted({log.header.suite for log in logs}))}


def task_facts(spec: TaskSpec) -> dict[str, str]:
    """What a task is, by label."""
    fidelity, validation, test = spec.fidelity, spec.validation, spec.test
    across = "" if validation.comparable_across_fidelities else "; not comparable across fidelities"
    facts = {
        "Version": spec.version,
        "Paradigm": wording.paradigm_label(spec.name.split("/")[0]),
        "Posed by": spec.paper,
        "Fidelity": f"{fidelity.minimum} to {fidelity.maximum} {fidelity.unit}",
        "Search sees": f"validation {validation.name}, to {validation.goal}{across}",
        "Judged by": f"test {test.name}, to {test.goal}",
    }
    return {**facts, "Needs": f"carbon-suite[{spec.extra}]"} if spec.extra else facts


def anchors(spec: TaskSpec) -> dict[str, str]:
    """The measured constants of a task, by label."""
    table = constants_table_of([spec])
    return dict(zip(table.headers[1:], table.rows[0][1:], strict=True))


def space_table(spec: TaskSpec) -> Printed:
    """One row a hyper-parameter."""
    record = spec.space.to_serialized_dict()
    conditions = {str(each["child"]): _condition(each) for each in record["conditions"]}
    rows = tuple(_hyperparameter(each, conditions) for each in record["hyperparameters"])
    return Printed(("Hyper-parameter", "Values", "Default", "Active where"), rows, 4, "", ())


def _hyperparameter(each: Mapping[str, Any], conditions: Mapping[str, str]) -> tuple[str, str, str, str]:
    values = each.get("choices") or each.get("sequence")
    if values:
        told = ", ".join(map(str, values))
    elif "lower" in each:
        told = f"{each['lower']:g} to {each['upper']:g}{', logarithmic' if each.get('log') else ''}"
    else:
        told = str(each.get("value", ""))
    default = each.get("default_value", each.get("value", ""))
    default = f"{default:g}" if isinstance(default, float) else str(default)
    return str(each["name"]), told, default, conditions.get(str(each["name"]), "")


def _condition(each: Mapping[str, Any]) -> str:
    """A condition of ConfigSpace in words."""
    if "conditions" in each:
        joint = " and " if each["type"] == "AND" else " or "
        return joint.join(map(_condition, each["conditions"]))
    signs = {"EQ": "is", "NEQ": "is not", "LT": "<", "GT": ">", "IN": "is one of"}
    value = each.get("values", each.get("value"))
    told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{each['parent']} {signs[each['type']]} {told}"


def specs(logs: Sequence[RunLog]) -> dict[str, TaskSpec]:
    """The tasks of ``logs`` by name."""
    return {log.header.task.name: log.header.task for log in logs}


def constants_table(logs: Sequence[RunLog]) -> Printed:
    """One row a task."""
    return constants_table_of(list(specs(logs).values()))


def constants_table_of(tasks: Sequence[TaskSpec]) -> Printed:
    figures = ("a0", "a1", "v0", "m_t", "kappa", "sigma", "Headroom", "Default (J)")
    rows = tuple(_constants_row(spec) for spec in tasks)
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
        for name, spec in specs(logs).items()
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


def _cell_row(cell: Cell, phases: Sequence[str], factor: float) -> tuple[str, ...]:
    runs = max(1, len(cell.seeds))
    return (
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


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
