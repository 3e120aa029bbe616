"""``carbon-suite status`` and ``merge``: how far a board is, and one board of several."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from suite.commands.options import GRID, JSON, PUE, examples, print_json


@click.command(epilog=examples("carbon-suite status board", "carbon-suite status board --grid FRA --json"))
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@GRID
@PUE
@JSON
def status(directory: Path, grid: str | None, pue: float | None, as_json: bool) -> None:
    """How far a board is: its runs, what failed and why, kg of CO2e so far, and the time that is left."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.places import place
    from suite.runs.status import board_status

    found = board_status(directory)
    where, factor = place(grid) if grid else REFERENCE, REFERENCE_PUE if pue is None else pue
    kg = kg_co2e(found.kwh, where, factor)
    if as_json:
        print_json(
            {
                "directory": str(directory),
                "counts": found.counts(),
                "kwh": found.kwh,
                "kg_co2e": kg,
                "seconds_left": found.seconds_left,
                "holder": found.holder,
                "runs": [asdict(run) for run in found.runs],
            }
        )
        return
    _say(found, kg, where.describe(), factor)


def _say(found: Any, kg: float, where: str, pue: float) -> None:
    counts = found.counts()
    others = ", ".join(f"{count} {state}" for state, count in counts.items() if count and state != "ended")
    click.echo(f"{counts['ended']} of {len(found.runs)} runs ended{f'; {others}' if others else ''}.")
    click.echo(f"So far {found.kwh:.3g} kWh, {kg:.3g} kg CO2e (at {where}; PUE {pue:g}).")
    if found.seconds_left is None:
        click.echo("Time left: known once a run has ended.")
    elif found.seconds_left:
        click.echo(f"Time left: about {_duration(found.seconds_left)}, by the runs that have ended.")
    if found.holder:
        click.echo(f"Process {found.holder.get('pid')} on {found.holder.get('node')} works on it now.")
    elif counts["ended"] < len(found.runs):
        click.echo(f"Nobody works on it. Go on with: carbon-suite run --out {found.directory}")
    messages: dict[str, list[str]] = {}  # runs by what they said: it is often the same
    for run in found.failed:
        messages.setdefault(run.message, []).append(f"{run.run} ({run.attempts} attempts)")
    for message, runs in messages.items():
        click.echo(f"failed: {', '.join(runs)}: {message}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@click.command(epilog=examples("carbon-suite merge node1/board node2/board --out board"))
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The merged board, new or not."
)
@JSON
def merge(directories: Sequence[Path], out: Path, as_json: bool) -> None:
    """One board of several, as from several machines: every run once, nothing lost.

    A run that several boards have made counts as the one that was started first; the others are laid apart. Merged
    again, what has come since is added.
    """
    from suite.runs.merge import merge_boards

    merged = merge_boards(directories, out)
    if as_json:
        print_json({"runs": merged.runs, "new": merged.new, "apart": merged.apart})
        return
    click.echo(f"{merged.runs} runs in {out}, {merged.new} of them new or longer than before.")
    for path in merged.apart:
        click.echo(f"made more than once, and laid apart: {path}")
