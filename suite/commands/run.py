"""``carbon-suite run`` and ``demo``: searches, metered."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import JSON, examples, print_json, progress, running, seeds_of, settings
from suite.commands.rank import logs_below


@click.command(
    epilog=examples(
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
@click.option(
    "--replay",
    is_flag=True,
    help="Train nothing: answer from the tasks' recorded tables, with recorded energy. The strategy's own CPU time is "
    "charged at --watts-per-core; 0 leaves it out, and the same command then writes the same logs, byte for byte.",
)
@click.option(
    "--program",
    is_flag=True,
    help="A program board: every strategy searches the hyper-parameters of each task's differentiable problem. "
    "Implied by a strategy that is a program.",
)
@running
@JSON
def run(
    tasks: Sequence[str], strategies: Sequence[str], seeds: str, out: Path, replay: bool, as_json: bool, **options: Any
) -> None:
    """Search tasks with strategies, metered. Run again, it goes on where it was stopped."""
    from suite import catalog
    from suite.runs.log import LOG_NAME

    numbers = seeds_of(seeds)
    chosen_strategies = catalog.select(catalog.STRATEGIES, strategies)
    if replay:
        chosen_tasks = recorded_tasks(tasks)
        refuse_programs(chosen_strategies, bool(options.pop("program")))
        summary = _replay(replay_board(out, options), chosen_tasks, chosen_strategies, numbers)
    else:
        from suite.runs.board import Board, for_strategies

        given, chosen_tasks = settings(**options), catalog.select(catalog.TASKS, tasks)
        summary = _make(Board(out, for_strategies(given, chosen_strategies)), chosen_tasks, chosen_strategies, numbers)
    if as_json:
        print_json({**summary, "logs": sorted(str(path) for path in (out / "runs").rglob(LOG_NAME))})
    else:
        _say(summary, out)
    _exit(summary)


@click.command(epilog=examples("carbon-suite demo", "carbon-suite demo --out first-board"))
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, metavar="DIR")
def demo(out: Path) -> None:
    """A small board, trained for real in about two minutes: three tasks, three strategies, two seeds. Beside it a large
    one that is replayed, where recorded tables are here."""
    from suite import demonstration
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.report.boards import separate
    from suite.report.site import write_site
    from suite.report.tables import write

    began = time.monotonic()
    summary = _make(demonstration.board(out), demonstration.TASKS, demonstration.STRATEGIES, demonstration.SEEDS)
    summary["seconds"] = time.monotonic() - began
    summaries, places = [summary], [out]
    if tasks := demonstration.replayed_tasks():
        began, places = time.monotonic(), [out, out.with_name(f"{out.name}-replayed")]
        board = demonstration.replayed_board(places[1])
        summaries.append(_replay(board, tasks, demonstration.REPLAYED_STRATEGIES, demonstration.REPLAYED_SEEDS))
        summaries[1]["seconds"] = time.monotonic() - began
    boards = separate(logs_below(places))
    for each in sorted(boards, key=lambda each: each.board.tier == "replay"):
        click.echo(write(each.board, REFERENCE, REFERENCE_PUE, "table"))
    write_site(boards, REFERENCE, REFERENCE_PUE, out / "report")
    for place, made in zip(places, summaries, strict=True):
        _say(made, place)
        click.echo(f"That took {made['seconds']:.0f} s.")
    click.echo(f"Leaderboard, plots and tables: {out / 'report' / 'index.html'}")
    for made in summaries:
        _exit(made)


def _make(board: Any, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Calibrate and run. What was made and what it took."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.ledger import JOULES_PER_KWH

    for sentence in board.sources.sentences():
        click.echo(sentence, err=True)
    with progress("calibration", len(tasks) * board.settings.default_trainings) as shown:
        results, microjoules = board.calibrate(tasks, shown), shown.microjoules
    if all(result.ok for result in results):
        with progress("board", len(tasks) * len(strategies) * len(seeds)) as shown:
            results = board.run(tasks, strategies, seeds, shown)
            microjoules += shown.microjoules
    kwh = microjoules / 1e6 / JOULES_PER_KWH
    return {
        **_outcome(results),
        "kwh": kwh,
        "kg_co2e": kg_co2e(kwh, REFERENCE, REFERENCE_PUE),
        "tier": board.sources.tier,
        "factor": board.sources.factor,
    }


def _replay(board: Any, tasks: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Replay the runs. What was made, and the recorded energy that it stands for."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.ledger import JOULES_PER_KWH

    with progress("replayed", len(tasks) * len(strategies) * len(seeds)) as shown:
        results, microjoules = board.run(tasks, strategies, seeds, shown), shown.microjoules
    kwh = microjoules / 1e6 / JOULES_PER_KWH
    return {**_outcome(results), "kwh": kwh, "kg_co2e": kg_co2e(kwh, REFERENCE, REFERENCE_PUE), "tier": board.tier}


def _outcome(results: Sequence[Any]) -> dict[str, Any]:
    failed = [
        {"run": result.job.name, "status": result.status, "message": result.message}
        for result in results
        if not result.ok
    ]
    return {"runs": len(results), "failed": failed}


def replay_board(out: Path, options: dict[str, Any]) -> Any:
    """The replayed board of a command's ``options``; those that only trainings have must not be given."""
    from suite.replay.board import ReplayBoard, ReplaySettings

    known = {"budget": "budget", "workers": "workers", "watts_per_core": "search_watts", "jobs": "jobs"}
    if options["meters"] or options["variant"] or options["device"] != "cpu":
        raise click.UsageError("--meter, --variant and --device have no meaning in a replay: nothing is trained")
    given = {known[name]: value for name, value in options.items() if name in known and value is not None}
    return ReplayBoard(out, ReplaySettings(**given))


def refuse_programs(strategies: Sequence[str], asked: bool) -> None:
    """A table has no gradients and no mutations of a training. Raises ``click.UsageError``."""
    from suite import catalog

    unfit = {"program", "mutation"}
    refused = [name for name in strategies if unfit & catalog.load_strategy(name).info.capabilities]
    if asked or refused:
        raise click.UsageError(
            f"a recorded table answers whole trainings and promotions only; run these live: "
            f"{', '.join(refused) or '--program'}"
        )


def recorded_tasks(patterns: Sequence[str]) -> list[str]:
    """Tasks by name; a pattern stands for those that have a recorded table."""
    from suite import catalog
    from suite.replay.table import table_path

    chosen = catalog.select(catalog.TASKS, patterns)
    recorded = [name for name in chosen if name in patterns or table_path(catalog.task_card(name)).exists()]
    if not recorded:
        raise catalog.CatalogError(
            f"none of {', '.join(chosen)} has a recorded table; record one: carbon-suite record TASK --out DIR"
        )
    return recorded


def _say(summary: dict[str, Any], out: Path) -> None:
    failed: dict[str, list[str]] = {}  # runs by what they said: it is often the same
    for failure in summary["failed"]:
        failed.setdefault(failure["message"], []).append(failure["run"])
    for message, runs in failed.items():
        click.echo(f"failed: {', '.join(runs)}: {message}", err=True)
    if summary["tier"] == "replay":
        click.echo(
            f"{summary['runs'] - len(summary['failed'])} of {summary['runs']} replayed runs ended. They stand for "
            f"{summary['kwh']:.3g} kWh, {summary['kg_co2e']:.3g} kg CO2e, recorded elsewhere; nothing was trained here."
        )
    else:
        _say_spent(summary)
    if not summary["failed"]:
        click.echo(f"Rank them with: carbon-suite rank {out}")


def _say_spent(summary: dict[str, Any]) -> None:
    click.echo(
        f"{summary['runs'] - len(summary['failed'])} of {summary['runs']} runs ended. "
        f"This command spent {summary['kwh']:.3g} kWh, {summary['kg_co2e']:.3g} kg CO2e "
        f"({summary['tier']}: right within a factor of {summary['factor']:g})."
    )


def _exit(summary: dict[str, Any]) -> None:
    """End with 2 where a log, a name or a task's data could not be used, with 1 where a strategy or a task broke."""
    statuses = {failure["status"] for failure in summary["failed"]}
    if statuses:
        sys.exit(2 if 2 in statuses else 1)
