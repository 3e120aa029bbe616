"""``carbon-suite record``: learning curves with energy, that searches can be replayed on."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from suite.commands.options import examples, progress, running, settings


@click.command(
    epilog=examples(
        "carbon-suite record few_shot/sinusoid --out recordings --jobs 2",
        "carbon-suite record 'supervised/*' --out recordings --rounds 1 --minutes 60",
    )
)
@click.argument("patterns", nargs=-1, required=True, metavar="TASK...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the trainings are logged; gone on with if it exists.",
)
@click.option("--rounds", default=4, show_default=True, help="Rounds; more of them go on with what fewer recorded.")
@click.option("--sobol", default=96, show_default=True, help="Sobol configurations of a round.")
@click.option("--near", default=32, show_default=True, help="Configurations of a round near the best so far.")
@click.option("--repeated", default=16, show_default=True, help="Those of a round that have several seeds.")
@click.option("--seeds", default=3, show_default=True, help="How many seeds those are trained under.")
@click.option("--anchors", default=20, show_default=True, help="Seeds of the default and of the best.")
@click.option("--minutes", type=float, help="Begin no part after so many; the table has what is there by then.")
@running
def record(patterns: Sequence[str], out: Path, minutes: float | None, **options: Any) -> None:
    """Record a task: train many configurations with a value at every step, and write the table beside its card. Once
    all is there, the card's constants are those of the table.

    Run again, it goes on where it was stopped.
    """
    from suite import catalog
    from suite.constants import write_card
    from suite.replay.constants import recorded_constants
    from suite.replay.record import Amounts, Recording, deadline
    from suite.replay.session import load_recorded

    amounts = Amounts(**{each.name: options.pop(each.name) for each in fields(Amounts)})
    given, until = settings(budget=40.0, **options), deadline(minutes)
    for name in catalog.select(catalog.TASKS, patterns):
        recording = Recording(name, out, given, amounts)
        with progress(name, recording.parts) as shown:
            whole = recording.make(shown, until)
        table = recording.write()
        click.echo(f"wrote {table}" + ("" if whole else ", of a part: run the same command again to go on"))
        if whole:
            click.echo(f"wrote {write_card(name, recorded_constants(load_recorded(name)))}")
