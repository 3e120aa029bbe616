"""``carbon-suite estimate``: what a planned run costs, before it is started."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from suite.commands.options import GRID, JSON, PUE, examples, print_json, seeds_of


@click.command(
    epilog=examples(
        "carbon-suite estimate --task '*' --strategy random --strategy tpe --seeds 0-9",
        "carbon-suite estimate --task few_shot/sinusoid --strategy '*' --seeds 0-4 --budget 5 --grid FRA --json",
    )
)
@click.option("--task", "tasks", multiple=True, required=True, metavar="GLOB", help="Tasks by name, as for run.")
@click.option("--strategy", "strategies", multiple=True, required=True, metavar="GLOB", help="Strategies by name.")
@click.option("--seeds", default="0-9", show_default=True, metavar="LIST", help="Seeds of the runs: 0-4, or 0,2,5.")
@click.option("--budget", default=40.0, show_default=True, help="Carbon budget of a run, in random trainings.")
@click.option("--jobs", default=1, show_default=True, help="Runs side by side.")
@GRID
@PUE
@JSON
def estimate(
    tasks: Sequence[str],
    strategies: Sequence[str],
    seeds: str,
    budget: float,
    jobs: int,
    grid: str | None,
    pue: float | None,
    as_json: bool,
) -> None:
    """kWh, kg CO2e and hours of runs that use up their budgets, with intervals, from the tasks' constants."""
    from suite import catalog
    from suite import estimate as estimating
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.energy.places import place
    from suite.runs.board import Settings

    names = catalog.select(catalog.TASKS, tasks)
    methods = len(catalog.select(catalog.STRATEGIES, strategies))
    trainings = Settings().default_trainings
    found = estimating.estimate(names, methods, len(seeds_of(seeds)), budget, trainings, jobs)
    where, factor = place(grid) if grid else REFERENCE, REFERENCE_PUE if pue is None else pue
    records = {name: estimating.record(each, where, factor) for name, each in found.items()}
    whole = estimating.record(estimating.total(found), where, factor)
    if as_json:
        print_json({"tasks": records, "total": whole, "grid": where.to_record(), "pue": factor})
        return
    for name, each in records.items():
        click.echo(f"{name}: {_told(each)}")
    click.echo(f"\nAll: {_told(whole)}")
    click.echo(
        f"At {where.describe()}; PUE {factor:g}. Brackets: the tasks' constants come from another machine, and "
        "energy from a power model is right within a factor of 3."
    )


def _told(record: Mapping[str, Any]) -> str:
    units = {"kwh": "kWh", "kg_co2e": "kg CO2e", "hours": "hours"}
    figures = (
        f"{record[key]['middle']:.3g} {unit} [{record[key]['low']:.2g}, {record[key]['high']:.2g}]"
        for key, unit in units.items()
    )
    return f"{record['runs']} {'run' if record['runs'] == 1 else 'runs'}, {', '.join(figures)}"
