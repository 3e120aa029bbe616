"""What the catalogue holds, as records for programs and tables for people. Needs no torch for tasks with a card."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ConfigSpace import (
    CategoricalHyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from suite import catalog
from suite.energy.meter import Means, Unavailable
from suite.energy.processes import ProcessTree
from suite.runs.machine import package_version
from suite.task import Constants, TaskSpec

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, Any]


def tasks() -> list[Record]:
    return [_task(catalog.task_spec(name)) for name in catalog.task_names()]


def strategies() -> list[Record]:
    return [_strategy(name) for name in catalog.strategy_names()]


def meters() -> list[Record]:
    return [_meter(name) for name in catalog.meter_names()]


def tables() -> list[Record]:
    """The recorded tables that are here. Raises ``TableError`` for one that cannot be used."""
    from suite.replay.table import table_path

    return [_table(name) for name in catalog.task_names() if table_path(catalog.task_card(name)).exists()]


KINDS: Final[Mapping[str, Callable[[], list[Record]]]] = {
    "tasks": tasks,
    "strategies": strategies,
    "meters": meters,
    "tables": tables,
}

_COLUMNS: Final = {
    "tasks": ("name", "version", "tier", "summary"),
    "strategies": ("name", "family", "capabilities", "summary"),
    "meters": ("name", "tier", "available", "summary"),
    "tables": ("name", "configurations", "overall", "best_quarter", "energy_tau", "unseen"),
}
_WORD: Final = 14  # characters that a column has room for before its words are broken
_HEADS: Final = {"configurations": "n", "overall": "all", "best_quarter": "best", "energy_tau": "energy"}


def describe(name: str) -> tuple[str, Record]:
    """The kind of what is called ``name``, and all about it. Raises ``CatalogError``."""
    if name in catalog.strategy_names():
        return "strategies", _strategy(name)
    if name in catalog.meter_names():
        return "meters", _meter(name)
    if name in catalog.task_names() or ".py:" in name:
        spec = catalog.task_spec(name)
        return "tasks", {**_task(spec), "space": space(spec)}
    known = [*catalog.task_names(), *catalog.strategy_names(), *catalog.meter_names()]
    raise catalog.CatalogError(f"nothing is called {name!r}; there are: {', '.join(known)}")


def show(kind: str, records: Sequence[Record]) -> None:
    rows = [{_HEADS.get(column, column): record[column] for column in _COLUMNS[kind]} for record in records]
    for row, record in zip(rows, records, strict=True):
        if record.get("extra"):
            row["tier"] = f"extra {record['extra']}"
    _print_table(Console(), kind, rows)


def show_rows(title: str, rows: Sequence[Record]) -> None:
    """A table with a column for each key of the first row; nothing where there are no rows."""
    _print_table(Console(), title, rows)


def space(spec: TaskSpec) -> list[Record]:
    """One row a hyper-parameter."""
    return [_hyperparameter(spec, each) for each in spec.space]


def task_page(records: Sequence[Record]) -> str:
    """The tasks with their figures, as a page in Markdown."""
    rows = [_line(_MARKDOWN_HEAD), _line(["---"] * len(_MARKDOWN_HEAD))]
    rows += [_line(_markdown_cells(record)) for record in records]
    machines = sorted({_machine(record["constants"]) for record in records if record["constants"]})
    return "\n".join([_PAGE_HEAD, *rows, "", "Measured on:", "", *(f"- {machine}" for machine in machines), ""])


_PAGE_HEAD: Final = """\
# The tasks and their figures

This page is what `carbon-suite list tasks --md` prints, from the cards beside the tasks, which `carbon-suite record`
writes with a task's table ([tables.md](tables.md)). Energies there are estimated: CPU time times declared watts.

Test values are medians over seeds, with the standard deviation over seeds behind; *best* is the best configuration
found, retrained; *headroom* is the difference of the two in these standard deviations; *dearest* is the energy of the
dearest of the random configurations over that of the default. A dash is not measured.
"""
_MARKDOWN_HEAD: Final = (
    *("task", "fidelity", "default, CPU s", "test metric", "default", "best", "headroom", "median of random"),
    *("dearest", "n"),
)


def table_page(records: Sequence[Record]) -> str:
    """The recorded tables with their evidence, as a page in Markdown."""
    head = (
        *("task", "configurations", "trainings", "failed", "two seeds", "answers", "ratio", "best quarter", "energy"),
        "validation and test",
    )
    rows = [_line(head), _line(["---"] * len(head))]
    rows += [_line(_table_cells(record)) for record in records]
    machines = sorted({_text(record["machine"]) for record in records})
    return "\n".join([_TABLES_HEAD, *rows, "", "Recorded on:", "", *(f"- {machine}" for machine in machines), ""])


_TABLES_HEAD: Final = """\
# The recorded tables and their evidence

This page is what `carbon-suite list tables --md` prints. *Two seeds*: Kendall's tau between the final validation values
of two seeds of the same configurations; *answers*: between a recorded seed and what a table without the configuration
(one of eight parts left out) says of it; *ratio*: of the two, over all configurations with several seeds; *best
quarter*: the same over those in the best quarter of the table; *energy*: tau of recorded and answered energy of a full
training, and the median error; *validation and test*: Spearman's correlation of the two over the Sobol configurations,
each trained in full under one seed. Where a ratio is below 0.9, or the tau of energy below 0.85 and its error above 10
%, unseen configurations are answered as the nearest recorded one, which is marked with a star.
"""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table_cells(record: Record) -> list[str]:
    overall, best = record["evidence"]["overall"], record["evidence"]["best"]
    star = "" if record["unseen"] == "process" else " *"
    return [
        f"`{record['name']}` {record['version']}{star}",
        *(str(record[name]) for name in ("configurations", "trainings", "failed")),
        *(_rounded(value) for value in (overall["ceiling"], overall["answers"], record["overall"])),
        f"{_rounded(record['best_quarter'])} (n = {best['configurations']})",
        f"{_rounded(record['energy_tau'])}, {100 * record['evidence']['energy_error']:.0f} %",
        _rounded(record["spearman"]),
    ]


def _markdown_cells(record: Record) -> list[str]:
    constants = record["constants"] or {}
    fidelity = record["fidelity"]
    noise = f" ± {record['sigma_seed']:.2g}" if record["sigma_seed"] is not None else ""
    n = f"{constants['seeds']} seeds, {constants['configurations']} configurations" if constants else "-"
    return [
        f"`{record['name']}` {record['version']}",
        f"{fidelity['maximum']} {fidelity['unit']}",
        _rounded(record["default_cpu_seconds"], 2),
        f"{record['test']['metric']} ({record['test']['direction']})",
        _rounded(record["default_test"]) + noise,
        _rounded(record["best_test"]),
        _rounded(record["headroom_sigmas"], 2),
        _rounded(constants.get("median_test")),
        _rounded(constants.get("longest_over_default"), 2),
        n,
    ]


def _rounded(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _machine(constants: Record) -> str:
    measured_on = constants["measured_on"]
    return f"{measured_on['cpu']}, Python {measured_on['python']}, {measured_on['versions']}"


def show_one(kind: str, record: Record) -> None:
    console = Console()
    _print_facts(console, {name: value for name, value in record.items() if name not in ("space", "data", "constants")})
    _print_table(console, "space", record.get("space") or [])
    for number, data in enumerate(record.get("data") or [], 1):
        _print_facts(console, data, "data" if number == 1 else "")
    _print_facts(console, record.get("constants") or {}, "constants")


def _print_facts(console: Console, facts: Record, title: str = "") -> None:
    """One line a fact."""
    if not facts:
        return
    table = Table(title=f"[bold]{title}[/]" if title else None, title_justify="left", show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/]", _text(value))
    console.print(table)
    console.print()


def _print_table(console: Console, title: str, rows: Sequence[Record]) -> None:
    if not rows:
        return
    table = Table(title=f"[bold]{title}[/]", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(rows[0]):
        words = " ".join(_text(row[column]) for row in rows).split()
        narrowest = min(max(map(len, words), default=0), _WORD)
        table.add_column(column, no_wrap=number == 0, overflow="fold", min_width=narrowest)
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    console.print(table)


def _task(spec: TaskSpec) -> Record:
    return {
        "name": spec.name,
        "paradigm": spec.paradigm,
        "version": spec.version,
        "tier": spec.tier,
        "extra": spec.extra,
        "summary": spec.summary,
        "paper": spec.paper,
        "hyperparameters": len(spec.space),
        "mutable": sorted(spec.mutable),
        "fidelity": asdict(spec.fidelity),
        "validation": {"metric": spec.validation.name, "direction": spec.validation.goal},
        "test": {"metric": spec.test.name, "direction": spec.test.goal},
        **_figures(spec.constants),
        "data": [asdict(ref) for ref in spec.data],
        "constants": asdict(spec.constants) if spec.constants else None,
    }


def _figures(constants: Constants | None) -> Record:
    """The constants that tell a reader what a task is like, by plain names; None where they are not measured."""
    headroom = constants.headroom_sigmas if constants else math.inf  # infinite without seed noise
    return {
        "default_cpu_seconds": constants.default_cpu_seconds if constants else None,
        "default_test": constants.a0 if constants else None,
        "best_test": constants.a1 if constants else None,
        "sigma_seed": constants.sigma_seed if constants else None,
        "headroom_sigmas": headroom if math.isfinite(headroom) else None,
    }


def _table(name: str) -> Record:
    from suite.replay.evidence import Evidence
    from suite.replay.table import read_table, table_path

    spec, path = catalog.task_spec(name), table_path(catalog.task_card(name))
    rows, facts = read_table(path, spec)
    evidence = Evidence.from_record(facts.evidence)
    return {
        "name": name,
        "version": facts.task_version,
        "configurations": rows["configuration"].nunique(),
        "trainings": len(rows.groupby(["configuration", "seed"])),
        "failed": sum(facts.failed.values()),
        "kilobytes": round(path.stat().st_size / 1000),
        "overall": evidence.overall.ratio,
        "best_quarter": evidence.best.ratio,
        "energy_tau": evidence.energy,
        "spearman": _spearman(rows, spec),
        "unseen": "process" if evidence.enough else "nearest",
        "evidence": evidence.to_record(),
        "tier": facts.tier,
        "licence": facts.licence,
        "machine": dict(facts.machine),
    }


def _spearman(rows: "pd.DataFrame", spec: TaskSpec) -> float | None:
    """Of the final validation and test values of the Sobol configurations under seed 0; 1 where they order alike."""
    own = rows[(rows["origin"] == "sobol") & (rows["seed"] == 0) & (rows["fidelity"] == spec.fidelity.maximum)]
    found = float(own["validation"].corr(own["test"], method="spearman"))
    if math.isnan(found):
        return None
    return found if spec.validation.goal == spec.test.goal else -found


def _hyperparameter(spec: TaskSpec, name: str) -> Record:
    """One row of a space: what kind of values, the default, and when it applies."""
    hyperparameter = spec.space[name]
    match hyperparameter:
        case UniformFloatHyperparameter() | UniformIntegerHyperparameter():
            log = ", log" if hyperparameter.log else ""
            values: Any = f"{hyperparameter.lower:g} to {hyperparameter.upper:g}{log}"
        case CategoricalHyperparameter():
            values = list(hyperparameter.choices)
        case OrdinalHyperparameter():
            values = list(hyperparameter.sequence)
        case _:
            values = [hyperparameter.default_value]
    conditions = [str(condition).partition(" | ")[2] for condition in spec.space.parent_conditions_of[name]]
    return {
        "name": name,
        "values": values,
        "default": hyperparameter.default_value,
        "active if": "; ".join(conditions) or "always",
    }


def _strategy(name: str) -> Record:
    info = catalog.load_strategy(name).info
    record = {**asdict(info), "name": name, "capabilities": sorted(info.capabilities)}
    return {**record, "library_version": package_version(info.library) if info.library else None}


def _meter(name: str) -> Record:
    """A meter, and whether it works here: it is built to find out."""
    factory = catalog.load_meter(name)
    try:
        source, reason = factory(Means(ProcessTree(), 10.0, 1.0)).source, None
    except Unavailable as error:
        source, reason = None, str(error)
    return {**asdict(factory.info), "name": name, "available": reason is None, "source": source, "reason": reason}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
