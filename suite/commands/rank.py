"""``carbon-suite rank`` and ``report``: from trial logs to tables and pages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import GRID, GRIDS, PUE, examples, print_json


@click.command(
    epilog=examples(
        "carbon-suite rank board",
        "carbon-suite rank board --grid FRA --pue 1.2",
        "carbon-suite rank board --grid FRA --grid POL --grid 300",
        "carbon-suite rank board --sci --embodied-kg 1300 --lifetime-years 4",
        "carbon-suite rank board --details",
        "carbon-suite rank board --format latex",
    )
)
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="ZONE|G|CSV",
    help=f"{GRIDS} Given several times, it is shown whether the order survives.",
)
@PUE
@click.option("--sci", "wants_sci", is_flag=True, help="Software Carbon Intensity of one search run (ISO/IEC 21031).")
@click.option("--embodied-kg", type=float, help="Declared kg CO2e of making the machine; SCI excludes it without.")
@click.option("--lifetime-years", type=float, help="For how long the machine is used, with --embodied-kg.")
@click.option(
    "--equivalent",
    "equivalents",
    multiple=True,
    metavar="NAME,KG,SOURCE",
    help="An everyday thing to compare with: what one of it emits, and who says so.",
)
@click.option(
    "--details",
    "wants_details",
    is_flag=True,
    help="Also carbon to targets, and beside random search's; smaller budgets, energy by phase, the local reference.",
)
@click.option(
    "--format", "style", default="table", show_default=True, type=click.Choice(["table", "md", "csv", "latex", "json"])
)
def rank(
    directories: Sequence[Path],
    grids: Sequence[str],
    pue: float | None,
    wants_details: bool,
    style: str,
    **elsewhere: Any,
) -> None:
    """Rank strategies by performance per kg of CO2e, from trial logs alone."""
    from suite.energy.places import place
    from suite.report.tables import write

    places = [place(grid) for grid in grids]
    more = _elsewhere(places, **elsewhere)
    if style == "csv" and (more.is_wanted or wants_details):
        raise click.UsageError(
            "several grids, --sci, --equivalent and --details are written as table, md, latex or json, not csv"
        )
    board, first, factor = scored(directories, places[0] if places else None, pue)
    if style == "json":
        beside = {"details": _details(board, style)} if wants_details else {}
        print_json({**json.loads(write(board, first, factor, style)), **more.record(board, factor), **beside})
        return
    click.echo(write(board, first, factor, style), nl=False)
    for text in (*more.texts(board, factor, style), *(_details(board, style) if wants_details else ())):
        click.echo(f"\n{text}", nl=False)


@click.command(epilog=examples("carbon-suite report board --out report"))
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the site goes; it begins at index.html there.",
)
@GRID
@PUE
def report(directories: Sequence[Path], out: Path, grid: str | None, pue: float | None) -> None:
    """A site with leaderboards, strategies, tasks and plots, for reading from disk; tables and plots also as files."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.energy.places import place as find_place
    from suite.report.boards import separate
    from suite.report.site import write_site

    place, factor = find_place(grid) if grid else REFERENCE, REFERENCE_PUE if pue is None else pue
    write_site(separate(logs_below(directories)), place, factor, out)
    click.echo(f"wrote {out / 'index.html'}")


def _details(board: Any, style: str) -> Any:
    """Texts, or for JSON a record."""
    from suite.report.details import tables, to_record
    from suite.report.tables import write_printed
    from suite.score.details import details

    found = details(board)
    return to_record(found) if style == "json" else [write_printed(table, style) for table in tables(board, found)]


def _elsewhere(
    places: Sequence[Any],
    wants_sci: bool,
    embodied_kg: float | None,
    lifetime_years: float | None,
    equivalents: Sequence[str],
) -> Any:
    """What is shown beside the ranking on request."""
    from suite.energy.carbon import REFERENCE
    from suite.report.elsewhere import Elsewhere, Embodied, Equivalent

    if (embodied_kg is None) != (lifetime_years is None):
        raise click.UsageError("--embodied-kg and --lifetime-years go together: kg, and the years they are spread over")
    embodied = None if embodied_kg is None or lifetime_years is None else Embodied(embodied_kg, lifetime_years)
    given = tuple(Equivalent.parse(text) for text in equivalents)
    return Elsewhere(tuple(places) or (REFERENCE,), wants_sci or embodied is not None, embodied, given)


def logs_below(directories: Sequence[Path]) -> list[Any]:
    from suite.runs.board import find_logs
    from suite.runs.log import read_log

    return [read_log(path) for path in find_logs(directories)]


def scored(directories: Sequence[Path], place: Any | None, pue: float | None) -> tuple[Any, Any, float]:
    """The one board below ``directories``, and the place and PUE of its kg CO2e."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.score.board import score

    return score(logs_below(directories)), place or REFERENCE, REFERENCE_PUE if pue is None else pue
