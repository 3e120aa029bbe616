"""``carbon-suite constants``: what a task's scores rest on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import examples, progress, running, settings


@click.command(epilog=examples("carbon-suite constants few_shot/sinusoid --out calibration --jobs 2"))
@click.argument("patterns", nargs=-1, required=True, metavar="TASK...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the trainings are logged; gone on with if it exists. Needed unless nothing is measured.",
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
@running
def constants(
    patterns: Sequence[str],
    out: Path | None,
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

    names = catalog.select(catalog.TASKS, patterns)
    if card_only:
        for name in names:
            click.echo(f"wrote {write_card(name)}")
        return
    if out is None:
        raise click.UsageError("--out DIR is needed: the trainings are logged there")
    given = settings(budget=40.0, **options)
    for name in names:
        measuring = Campaign(name, out, given, seeds, configurations, campaign)
        with progress(name, measuring.runs) as shown:
            card = measuring.measure(shown, provisional=not frozen)
        click.echo(f"wrote {card}")
