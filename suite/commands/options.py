"""Options that several commands share, and what becomes of them."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
GRIDS: Final = (
    "Where the electricity comes from, for kg CO2e: a zone (FRA, US-CA), grams per kWh, or a trace by the hour "
    "(a .csv file); default: the frozen reference."
)
GRID = click.option("--grid", metavar="ZONE|G|CSV", help=GRIDS)
PUE = click.option(
    "--pue", type=float, help="Power usage effectiveness of the site for kg CO2e; default: the frozen reference."
)

_METERING: Final = (
    click.option(
        "--meter",
        "meters",
        multiple=True,
        metavar="NAME",
        help="Meter to use, one a component; auto for the best source of each that is here; replay:FILE for a recorded "
        "trace. [default: auto]",
    ),
    click.option("--watts-per-core", type=float, help="Declared power that one busy core adds. [default: 10]"),
    click.option("--idle-watts", type=float, help="Declared power of the machine at rest. [default: 1 a core]"),
    click.option("--ram-watts", type=float, help="Declared power of the memory; it is not metered without."),
    click.option("--no-crosscheck", is_flag=True, help="Leave codecarbon's reading beside ours out."),
)
_RUNNING: Final = (
    click.option(
        "--jobs", default=1, show_default=True, help="Runs side by side. Ranked runs are best made one at a time."
    ),
    click.option("--workers", default=1, show_default=True, help="Trials side by side within a run."),
    click.option("--device", default="cpu", show_default=True, help="Where trainings run: cpu, cuda, cuda:1."),
    *_METERING,
    click.option(
        "--memory-gib", type=float, help="Memory that a trial's process may allocate; one that needs more has failed."
    ),
)
_VARIANT: Final = click.option(
    "--variant",
    default=0,
    show_default=True,
    help="Draw of the tasks' data; 0 is the boards' own, others show what was learnt by heart.",
)

Command = Callable[..., None]


def metering(command: Command) -> Command:
    """The options that say how energy is metered."""
    return _with(_METERING, command)


def running(command: Command) -> Command:
    """The options that fix a board's settings."""
    return _with((*_RUNNING, _VARIANT), command)


def entering(command: Command) -> Command:
    """The same for an entry, which is of the boards' own data."""
    return _with(_RUNNING, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def settings(meters: Sequence[str], no_crosscheck: bool, **given: Any) -> Any:
    """A board's settings from options; what is None has its default."""
    from suite import catalog
    from suite.energy.selection import AUTO
    from suite.runs.board import Settings

    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if meters:
        chosen["meters"] = tuple(meters) if tuple(meters) == (AUTO,) else tuple(catalog.select(catalog.METERS, meters))
    return Settings(**chosen, crosscheck=not no_crosscheck)


def seeds_of(text: str) -> list[int]:
    """``0-4`` or ``0,2,5-7``, each seed once."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(first) <= int(last))):
            raise click.UsageError(f"seeds are numbers and ranges such as 0-4 or 0,2,5-7, got {text!r}")
        seeds.update(dict.fromkeys(range(int(first), int(last if dash else first) + 1)))
    return list(seeds)


def progress(label: str, runs: int) -> Any:
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.progress import BoardProgress

    return BoardProgress(label, runs, REFERENCE, REFERENCE_PUE)


def print_json(record: Any) -> None:
    click.echo(json.dumps(record, indent=2))
