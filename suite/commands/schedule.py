"""``carbon-suite schedule``: the scheduling board, what it is worth to pause and shift searches."""

from collections.abc import Sequence
from pathlib import Path

import click

from suite.commands.options import JSON, PUE, examples, print_json
from suite.commands.rank import logs_below


@click.command(
    epilog=examples(
        "carbon-suite schedule replayed --trace grid.csv",
        "carbon-suite schedule replayed --trace grid.csv --within 12 --stretch 1000 --idle-watts 2",
    )
)
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--trace",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="CSV",
    help="Carbon intensities by the hour: start,average_g_per_kwh or start,marginal_g_per_kwh.",
)
@click.option("--within", default=24.0, show_default=True, help="Hours that a run may end later than if begun at once.")
@click.option(
    "--stretch", default=360.0, show_default=True, help="How many times as long and dear runs are taken to be."
)
@click.option("--idle-watts", default=0.0, show_default=True, help="Power of the machine while a run pauses.")
@PUE
@JSON
def schedule(
    directories: Sequence[Path],
    path: Path,
    within: float,
    stretch: float,
    idle_watts: float,
    pue: float | None,
    as_json: bool,
) -> None:
    """Rank strategies with policies of when to go on, by performance per kg of CO2e on a grid that changes by the hour.

    Trainings here take seconds, a grid changes in hours: --stretch says how much larger the tasks are that these stand
    for.
    """
    from suite.energy.carbon import REFERENCE_PUE
    from suite.energy.trace import Trace
    from suite.report.schedule import printed, to_record
    from suite.report.tables import write_printed
    from suite.score.schedule import schedule as scheduled

    for name, value, least in (("within", within, 0.0), ("idle-watts", idle_watts, 0.0), ("stretch", stretch, 1e-9)):
        if not least <= value < float("inf"):
            raise click.UsageError(
                f"--{name} must be {'positive' if least else 'at least 0'} and finite, got {value:g}"
            )
    trace, factor = Trace.read(path), REFERENCE_PUE if pue is None else pue
    intensities = [factor * trace.kg_co2e_per_kwh[hour] for hour in sorted(trace.kg_co2e_per_kwh)]
    outcomes = scheduled(logs_below(directories), intensities, within, stretch, idle_watts)
    if as_json:
        print_json(to_record(outcomes, trace, factor, within, stretch, idle_watts))
    else:
        table = printed(outcomes, trace, factor, within, stretch, idle_watts)
        click.echo(write_printed(table, "table"), nl=False)
