"""The command ``carbon-suite``. Thin: reads arguments, calls what does the work, prints what came.

Exit status: 0 done, 1 some runs failed (the others are kept), 2 the input cannot be used, 130 interrupted.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from suite import __version__

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_GRIDS = (
    "Where the electricity comes from, for kg CO2e: a zone (FRA, US-CA), grams per kWh, or a trace by the hour "
    "(a .csv file); default: the frozen reference."
)
GRID = click.option("--grid", metavar="ZONE|G|CSV", help=_GRIDS)
PUE = click.option(
    "--pue", type=float, help="Power usage effectiveness of the site for kg CO2e; default: the frozen reference."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="carbon-suite")
def cli() -> None:
    """Which way of searching for a good model costs the least carbon?

    \b
    carbon-suite demo                                   a small board, trained for real
    carbon-suite run --task '*' --strategy 'random' --strategy tpe --seeds 0-4 --out board
    carbon-suite rank board
    """


def _epilog(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@cli.command(
    "list", epilog=_epilog("carbon-suite list", "carbon-suite list strategies", "carbon-suite list tasks --json")
)
@click.argument("kind", type=click.Choice(["tasks", "strategies", "meters"]), required=False)
@JSON
def list_(kind: str | None, as_json: bool) -> None:
    """What the catalogue holds: tasks, strategies, meters."""
    from suite import listing

    kinds = [kind] if kind else ["tasks", "strategies", "meters"]
    records = {name: listing.KINDS[name]() for name in kinds}
    if as_json:
        _print_json(records[kind] if kind else records)
    else:
        for name in kinds:
            listing.show(name, records[name])


@cli.command(epilog=_epilog("carbon-suite describe supervised/mnist1d", "carbon-suite describe tpe --json"))
@click.argument("name")
@JSON
def describe(name: str, as_json: bool) -> None:
    """All about one task (its space, fidelity, metrics, constants), strategy or meter."""
    from suite import listing

    kind, record = listing.describe(name)
    if as_json:
        _print_json(record)
    else:
        listing.show_one(kind, record)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that fix a board's settings."""
    options = [
        click.option(
            "--jobs", default=1, show_default=True, help="Runs side by side. Ranked runs are best made one at a time."
        ),
        click.option("--workers", default=1, show_default=True, help="Trials side by side within a run."),
        click.option("--device", default="cpu", show_default=True, help="Where trainings run: cpu, cuda, cuda:1."),
        click.option(
            "--meter",
            "meters",
            multiple=True,
            metavar="NAME",
            help="Meter to use, one a component, or auto: the best source of each that is here. [default: auto]",
        ),
        click.option("--watts-per-core", type=float, help="Declared power that one busy core adds. [default: 10]"),
        click.option("--idle-watts", type=float, help="Declared power of the machine at rest. [default: 1 a core]"),
        click.option("--ram-watts", type=float, help="Declared power of the memory; it is not metered without."),
        click.option(
            "--variant",
            default=0,
            show_default=True,
            help="Draw of the tasks' data; 0 is the boards' own, others show what was learnt by heart.",
        ),
        click.option("--no-crosscheck", is_flag=True, help="Leave codecarbon's reading beside ours out."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command(
    epilog=_epilog(
        "carbon-suite run --task 'few_shot/*' --strategy random --strategy tpe --seeds 0-4 --out board",
        "carbon-suite run --task supervised/mnist1d --strategy ./mine.py:Mine --seeds 0,1 --budget 5 --out try",
    )
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    metavar="GLOB",
    help="Tasks by name, or FILE.py:OBJECT; may be repeated. A pattern (*, few_shot/*) stands for embedded tasks only; "
    "a task that downloads its data or needs an extra is named in full.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    required=True,
    metavar="GLOB",
    help="Strategies by name, or FILE.py:CLASS.",
)
@click.option("--seeds", default="0-9", show_default=True, metavar="LIST", help="Seeds of the runs: 0-4, or 0,2,5.")
@click.option(
    "--budget", default=40.0, show_default=True, help="Carbon budget of a run, in random trainings of its task."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The board's directory; gone on with if it exists.",
)
@_run_options
@JSON
def run(tasks: Sequence[str], strategies: Sequence[str], seeds: str, out: Path, as_json: bool, **options: Any) -> None:
    """Search tasks with strategies, metered. Run again, it goes on where it was stopped."""
    from suite import catalog
    from suite.runs.board import Board
    from suite.runs.log import LOG_NAME

    settings, numbers = _settings(**options), _seeds(seeds)
    chosen_tasks = catalog.select(catalog.TASKS, tasks)
    chosen_strategies = catalog.select(catalog.STRATEGIES, strategies)
    summary = _make(Board(out, settings), chosen_tasks, chosen_strategies, numbers)
    if as_json:
        _print_json({**summary, "logs": sorted(str(path) for path in (out / "runs").rglob(LOG_NAME))})
    else:
        _say(summary, out)
    _exit(summary)


@cli.command(
    epilog=_epilog(
        "carbon-suite rank board",
        "carbon-suite rank board --grid FRA --pue 1.2",
        "carbon-suite rank board --grid FRA --grid POL --grid 300",
        "carbon-suite rank board --sci --embodied-kg 1300 --lifetime-years 4",
        "carbon-suite rank board --format latex",
    )
)
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="ZONE|G|CSV",
    help=f"{_GRIDS} Given several times, it is shown whether the order survives.",
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
    "--format", "style", default="table", show_default=True, type=click.Choice(["table", "md", "csv", "latex", "json"])
)
def rank(directories: Sequence[Path], grids: Sequence[str], pue: float | None, style: str, **elsewhere: Any) -> None:
    """Rank strategies by performance per kg of CO2e, from trial logs alone."""
    from suite.energy.places import place
    from suite.report.tables import write

    places = [place(grid) for grid in grids]
    more = _elsewhere(places, **elsewhere)
    if style == "csv" and more.is_wanted:
        raise click.UsageError("several grids, --sci and --equivalent are written as table, md, latex or json, not csv")
    board, _, first, factor = _score(directories, places[0] if places else None, pue)
    if style == "json":
        _print_json({**json.loads(write(board, first, factor, style)), **more.record(board, factor)})
        return
    click.echo(write(board, first, factor, style), nl=False)
    for text in more.texts(board, factor, style):
        click.echo(f"\n{text}", nl=False)


@cli.command(epilog=_epilog("carbon-suite report board --out report"))
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the page, pictures and tables go.",
)
@GRID
@PUE
def report(directories: Sequence[Path], out: Path, grid: str | None, pue: float | None) -> None:
    """One HTML page with tables and plots; the same as PNG, PDF, SVG, CSV, Markdown, LaTeX and JSON files."""
    from suite.energy.places import place as find_place
    from suite.report.site import write_report

    board, logs, place, factor = _score(directories, find_place(grid) if grid else None, pue)
    write_report(board, place, factor, out, logs)
    click.echo(f"wrote {out / 'report.html'}")


@cli.command(epilog=_epilog("carbon-suite demo", "carbon-suite demo --out first-board"))
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, metavar="DIR")
def demo(out: Path) -> None:
    """A small board, trained for real in about two minutes: three tasks, three strategies, two seeds."""
    from suite import demonstration

    summary = _make(demonstration.board(out), demonstration.TASKS, demonstration.STRATEGIES, demonstration.SEEDS)
    from suite.report.site import write_report
    from suite.report.tables import write

    board, logs, place, factor = _score([out], None, None)
    click.echo(write(board, place, factor, "table"))
    write_report(board, place, factor, out / "report", logs)
    _say(summary, out)
    click.echo(f"Page, plots and tables: {out / 'report' / 'report.html'}")
    _exit(summary)


@cli.command(epilog=_epilog("carbon-suite constants few_shot/sinusoid --out calibration --jobs 2"))
@click.argument("patterns", nargs=-1, required=True, metavar="TASK...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the trainings are logged; gone on with if it exists.",
)
@click.option(
    "--seeds", default=20, show_default=True, help="Trainings of the default, and of the best configuration found."
)
@click.option(
    "--configurations", default=64, show_default=True, help="Sobol configurations, for the mean cost of a training."
)
@click.option(
    "--campaign", default=64, show_default=True, help="Trials of the search (tpe) for the best configuration."
)
@click.option(
    "--card-only", is_flag=True, help="Measure nothing: write what the module says, with the constants it has."
)
@click.option("--frozen", is_flag=True, help="Not provisional: scores rest on these until the task's next version.")
@_run_options
def constants(
    patterns: Sequence[str],
    out: Path,
    seeds: int,
    configurations: int,
    campaign: int,
    card_only: bool,
    frozen: bool,
    **options: Any,
) -> None:
    """Measure a task's constants (anchors, v0, m_t, kappa) and write them to the card beside its module."""
    from suite import catalog
    from suite.constants import Campaign, write_card

    settings = _settings(budget=40.0, **options)
    for name in catalog.select(catalog.TASKS, patterns):
        if card_only:
            click.echo(f"wrote {write_card(name)}")
            continue
        measuring = Campaign(name, out, settings, seeds, configurations, campaign)
        with _progress(name, measuring.runs) as progress:
            card = measuring.measure(progress, provisional=not frozen)
        click.echo(f"wrote {card}")


def _make(board: Any, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Calibrate and run. What was made and what it took."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.ledger import JOULES_PER_KWH

    for sentence in board.sources.sentences():
        click.echo(sentence, err=True)
    with _progress("calibration", len(tasks) * board.settings.default_trainings) as progress:
        results, microjoules = board.calibrate(tasks, progress), progress.microjoules
    if all(result.ok for result in results):
        with _progress("board", len(tasks) * len(strategies) * len(seeds)) as progress:
            results = board.run(tasks, strategies, seeds, progress)
            microjoules += progress.microjoules
    kwh = microjoules / 1e6 / JOULES_PER_KWH
    failed = [
        {"run": result.job.name, "status": result.status, "message": result.message}
        for result in results
        if not result.ok
    ]
    return {
        "runs": len(results),
        "failed": failed,
        "kwh": kwh,
        "kg_co2e": kg_co2e(kwh, REFERENCE, REFERENCE_PUE),
        "tier": board.sources.tier,
        "factor": board.sources.factor,
    }


def _say(summary: dict[str, Any], out: Path) -> None:
    failed: dict[str, list[str]] = {}  # runs by what they said: it is often the same
    for failure in summary["failed"]:
        failed.setdefault(failure["message"], []).append(failure["run"])
    for message, runs in failed.items():
        click.echo(f"failed: {', '.join(runs)}: {message}", err=True)
    click.echo(
        f"{summary['runs'] - len(summary['failed'])} of {summary['runs']} runs ended. "
        f"This command spent {summary['kwh']:.3g} kWh, {summary['kg_co2e']:.3g} kg CO2e "
        f"({summary['tier']}: right within a factor of {summary['factor']:g})."
    )
    if not summary["failed"]:
        click.echo(f"Rank them with: carbon-suite rank {out}")


def _exit(summary: dict[str, Any]) -> None:
    """End with 2 where a log, a name or a task's data could not be used, with 1 where a strategy or a task broke."""
    statuses = {failure["status"] for failure in summary["failed"]}
    if statuses:
        sys.exit(2 if 2 in statuses else 1)


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


def _score(directories: Sequence[Path], place: Any | None, pue: float | None) -> tuple[Any, Any, Any, float]:
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.runs.board import find_logs
    from suite.runs.log import read_log
    from suite.score.board import score

    logs = [read_log(path) for path in find_logs(directories)]
    return score(logs), logs, place or REFERENCE, REFERENCE_PUE if pue is None else pue


def _settings(meters: Sequence[str], no_crosscheck: bool, **given: Any) -> Any:
    from suite import catalog
    from suite.energy.selection import AUTO
    from suite.runs.board import Settings

    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if meters:
        chosen["meters"] = tuple(meters) if tuple(meters) == (AUTO,) else tuple(catalog.select(catalog.METERS, meters))
    return Settings(**chosen, crosscheck=not no_crosscheck)


def _seeds(text: str) -> list[int]:
    """``0-4`` or ``0,2,5-7``, each seed once."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(first) <= int(last))):
            raise click.UsageError(f"seeds are numbers and ranges such as 0-4 or 0,2,5-7, got {text!r}")
        seeds.update(dict.fromkeys(range(int(first), int(last if dash else first) + 1)))
    return list(seeds)


def _progress(label: str, runs: int) -> Any:
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.progress import BoardProgress

    return BoardProgress(label, runs, REFERENCE, REFERENCE_PUE)


def _print_json(record: Any) -> None:
    click.echo(json.dumps(record, indent=2))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: whatever is wrong with the input ends in one message and exit status 2."""
    try:
        cli(arguments, standalone_mode=False, prog_name="carbon-suite")
        sys.exit(0)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. What was completed is kept; run the same command again to go on.", err=True)
        sys.exit(130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"carbon-suite: {place}{error.strerror or error}", err=True)
        sys.exit(2)
    except ValueError as error:  # all errors of this package about its input
        click.echo(f"carbon-suite: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
