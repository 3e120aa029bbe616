"""The pages of a site, as HTML. Names from submissions are text: every template escapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from suite import __version__
from suite.energy.carbon import REFERENCE, REFERENCE_PUE, Place
from suite.report import facts, paths, wording
from suite.report.boards import Reported
from suite.report.details import tables as detail_tables
from suite.report.plots import Picture
from suite.report.tables import Printed, caption, printed, spent_kg, split
from suite.runs.log import RunLog
from suite.score.board import Board, Entry

_OTHERS: Final = ("Other budgets", "Phases, gap and break-even", "Check of the reference")
TABLES: Final = {"csv": "csv", "md": "md", "tex": "latex", "json": "json"}


@dataclass(frozen=True)
class Table:
    """A table on a page, and where its cells lead.

    name: for those who hear the page. key: the column that names a row. names: what each row's name leads to; figures:
    what its figures lead to, the logs that they come from. None: nothing. groups: what rows can be filtered by.
    """

    name: str
    printed: Printed
    key: int = 0
    names: tuple[str | None, ...] = ()
    figures: tuple[str | None, ...] = ()
    groups: tuple[str, ...] = ()
    is_sortable: bool = True


@dataclass(frozen=True)
class Site:
    """What all pages of a site share: its boards, and the place and PUE of their kg CO2e."""

    boards: tuple[Reported, ...]
    grid: Place
    pue: float

    def render(self, template: str, path: str, **context: Any) -> str:
        environment = Environment(
            loader=PackageLoader("suite.report", "web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template(template).render(
            site=self, paths=paths, path=path, link=partial(paths.link, path), version=__version__, **context
        )


def index(site: Site, overviews: Mapping[str, Picture]) -> str:
    """The leaderboards. overviews: by the slug of a board."""
    return site.render(
        "index.html.j2",
        paths.INDEX,
        boards=[
            {
                "reported": one,
                "tables": _leaderboard(one, site),
                "families": sorted({entry.family for entry in one.board.entries if entry.family}),
                "caption": caption(one.board, site.grid, site.pue),
                "overview": overviews[one.slug],
                "files": [paths.table(one.slug, suffix) for suffix in TABLES],
            }
            for one in site.boards
        ],
    )


def _leaderboard(one: Reported, site: Site) -> list[Table]:
    names = [entry.strategy for entry in one.board.entries]
    parts = split(printed(one.board, site.grid, site.pue, dash=wording.EN_DASH), brief=False)
    titles = ("Ranking", "Pi by paradigm")
    return [
        Table(
            f"{title}: {one.title}",
            part,
            key=1,
            names=tuple(paths.strategy_page(one.slug, name) for name in names),
            figures=tuple(paths.runs_of(one.slug, name) for name in names),
            groups=tuple(entry.family for entry in one.board.entries),
        )
        for title, part in zip(titles, parts, strict=False)
    ]


def method(site: Site) -> str:
    """How scores are made, and the rules."""
    return site.render("method.html.j2", paths.METHOD, reference=REFERENCE, reference_pue=REFERENCE_PUE)


def pictures(site: Site, one: Reported, drawn: Sequence[Picture]) -> str:
    """All pictures of a board but the overview."""
    return site.render("pictures.html.j2", paths.pictures_page(one.slug), one=one, pictures=drawn)


def details(site: Site, one: Reported) -> str:
    """What stands beside the ranking."""
    overall, *tables = detail_tables(one.board, one.details)  # one a task, in the order of the board, then others
    targets = zip(one.board.tasks, tables, strict=False)
    others = zip(_OTHERS, tables[len(one.board.tasks) :], strict=False)
    return site.render(
        "details.html.j2",
        paths.details_page(one.slug),
        one=one,
        targets={task: _detail(one, table, f"Carbon to targets on {task}", task) for task, table in targets},
        others=[
            _detail(one, overall, "Over all tasks"),
            _improvement(one),
            *(_detail(one, table, name) for name, table in others),
        ],
    )


def _improvement(one: Reported) -> Table:
    """Strategies are in the order of the board."""
    names = [entry.strategy for entry in one.board.entries]
    return Table(
        "Pair by pair",
        facts.improvement_table(one.board),
        names=tuple(paths.strategy_page(one.slug, name) for name in names),
        figures=tuple(paths.runs_of(one.slug, name) for name in names),
    )


def _detail(one: Reported, printed: Printed, name: str, task: str | None = None) -> Table:
    """A table with tasks, strategies or both in its first columns, linked to the runs in each row."""
    columns = printed.headers[: printed.left]
    rows = [dict(zip(columns, row, strict=False)) for row in printed.rows]
    if "Strategy" not in columns:
        return Table(name, printed, names=tuple(paths.task_page(one.slug, row["Task"]) for row in rows))
    return Table(
        name,
        printed,
        key=columns.index("Strategy"),
        names=tuple(paths.strategy_page(one.slug, row["Strategy"]) for row in rows),
        figures=tuple(paths.runs_of(one.slug, row["Strategy"], task or row.get("Task")) for row in rows),
    )


def sources(site: Site, one: Reported) -> str:
    """Where the figures of a board come from: meters, machines, constants, data."""
    tasks = list(facts.specs(one.logs))
    of_data = [name for name, spec in facts.specs(one.logs).items() for _ in spec.data]
    pages = tuple(paths.task_page(one.slug, task) for task in tasks)
    return site.render(
        "sources.html.j2",
        paths.sources_page(one.slug),
        one=one,
        crosscheck=facts.crosscheck_sentences(one.logs),
        energy=wording.energy_sentence(one.board.tier),
        tables=[
            Table("Meters", facts.meter_table(one.logs)),
            Table("Machines", facts.machine_table(one.logs)),
            Table("Constants", facts.constants_table(one.logs), names=pages),
            Table("Data", facts.data_table(one.logs), names=tuple(paths.task_page(one.slug, task) for task in of_data)),
        ],
    )


def strategy(site: Site, one: Reported, entry: Entry, drawn: Sequence[Picture]) -> str:
    """A strategy: its results, curves, energy, provenance, and every run with its log."""
    logs = one.logs_of(strategy=entry.strategy)
    tasks = [cell.task for cell in one.board.cells if cell.strategy == entry.strategy]
    return site.render(
        "strategy.html.j2",
        paths.strategy_page(one.slug, entry.strategy),
        one=one,
        entry=entry,
        result=_result(one.board, entry, site),
        by_task=Table(
            "Task by task",
            facts.strategy_table(one.board, entry.strategy),
            names=tuple(paths.task_page(one.slug, task) for task in tasks),
            figures=tuple(paths.runs_of(one.slug, entry.strategy, task) for task in tasks),
        ),
        pictures=drawn,
        runs={task: _runs(one, entry.strategy, task) for task in tasks},
        provenance=facts.strategy_facts(logs),
        tables=[
            _counts("Meters", facts.meter_table(logs), paths.runs_of(one.slug, entry.strategy)),
            _counts("Machines", facts.machine_table(logs), paths.runs_of(one.slug, entry.strategy)),
        ],
    )


def _counts(name: str, printed: Printed, target: str) -> Table:
    """A table that ends in numbers of runs."""
    return Table(name, printed, figures=(target,) * len(printed.rows))


def _result(board: Board, entry: Entry, site: Site) -> dict[str, str]:
    """The line of a strategy in the ranking, by label."""
    energies = {"kWh charged": entry.kwh, "kWh total": entry.kwh_total, "kg CO2e": spent_kg(entry, site.grid, site.pue)}
    return {
        "Rank": wording.ranks(entry, wording.EN_DASH),
        "H (1/kg)": wording.headline(entry),
        "Pi": wording.aggregate(entry),
        **{wording.qualified(label, board.tier): wording.figure(value) for label, value in energies.items()},
        "Runs": str(entry.runs),
    }


def _runs(one: Reported, strategy: str, task: str) -> Table:
    logs = one.logs_of(strategy, task)
    files = tuple(paths.log_file(one.slug, task, strategy, log.header.seed) for log in logs)
    return Table(f"Runs on {task}", facts.runs_table(one.board, logs), names=files, figures=files)


def task(site: Site, one: Reported, name: str, drawn: Picture) -> str:
    """A task: what it is, its data and anchors, curves and results."""
    logs: list[RunLog] = one.logs_of(task=name)
    spec = facts.specs(logs)[name]
    strategies = [entry.strategy for entry in one.board.entries if one.logs_of(entry.strategy, name)]
    return site.render(
        "task.html.j2",
        paths.task_page(one.slug, name),
        one=one,
        spec=spec,
        definition=facts.task_facts(spec),
        space=Table("Search space", facts.space_table(spec)),
        data=Table("Data", facts.data_table(logs)),
        anchors=facts.anchors(spec),
        picture=drawn,
        results=Table(
            "Results",
            facts.task_table(one.board, name, spec),
            names=tuple(paths.strategy_page(one.slug, each) for each in strategies),
            figures=tuple(paths.runs_of(one.slug, each, name) for each in strategies),
        ),
    )
