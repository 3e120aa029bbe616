"""``carbon-suite run`` and ``demo``: searches, metered."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.engines import engine_for, engines
from suite.commands.options import JSON, examples, print_json, progress, running, seeds_of, settings
from suite.commands.rank import logs_below


@click.command(
    epilog=examples(
        "carbon-suite run --task 'few_shot/*' --strategy random --strategy tpe --seeds 0-4 --out board",
        "carbon-suite run --task supervised/mnist1d --strategy ./mine.py:Mine --seeds 0,1 --budget 5 --out try",
        "carbon-suite run --out board",
    )
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="GLOB",
    help="Tasks by name, or FILE.py:OBJECT; may be repeated. A pattern (*, few_shot/*) stands for embedded tasks only; "
    "a task that downloads its data or needs an extra is named in full.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
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
@engines
@click.option("--plan-only", is_flag=True, help="Write down what is to run, and make none of it.")
@running
@JSON
@click.pass_context
def run(
    context: click.Context,
    /,
    tasks: Sequence[str],
    strategies: Sequence[str],
    seeds: str,
    out: Path,
    replay: bool,
    plan_only: bool,
    engine: str,
    engine_options: Sequence[str],
    shared_metering: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search tasks with strategies, metered. Run again, it goes on where it was stopped.

    Without --task and --strategy, it goes on with all that is planned in the directory, by the settings there.
    """
    if bool(tasks) != bool(strategies):
        raise click.UsageError(
            "--task and --strategy go together; without both, what is planned in --out is gone on with"
        )
    if tasks:
        board, wanted = _asked(tasks, strategies, out, replay, options)
    else:
        _refuse_settings(context)
        board, wanted = _reopened(out), None
    made_by = engine_for(board, engine, engine_options, shared_metering)
    with board.claim:
        entries = board.plan(*wanted, seeds_of(seeds)) if wanted else _kept(out)
        if plan_only:
            _say_planned(entries, out, as_json)
        else:
            _go_on(board, entries, made_by, as_json)


def _asked(
    tasks: Sequence[str], strategies: Sequence[str], out: Path, replay: bool, options: dict[str, Any]
) -> tuple[Any, tuple[Sequence[str], Sequence[str]]]:
    """The board of a command's options, and the tasks and strategies that they name."""
    from suite import catalog

    chosen = catalog.select(catalog.STRATEGIES, strategies)
    if replay:
        recorded = recorded_tasks(tasks)
        refuse_programs(chosen, bool(options.pop("program")))
        return replay_board(out, options), (recorded, chosen)
    from suite.runs.board import Board, for_strategies

    given = for_strategies(settings(**options), chosen)
    return Board(out, given), (catalog.select(catalog.TASKS, tasks), chosen)


def _reopened(out: Path) -> Any:
    """The board in ``out``, live or replayed, with the settings that it was made with."""
    from suite.replay.board import ReplayBoard, is_replay
    from suite.runs.board import Board

    return ReplayBoard.reopen(out) if is_replay(out) else Board.reopen(out)


def _kept(out: Path) -> list[Any]:
    """What is planned in ``out``. Raises ``click.UsageError`` where nothing is."""
    from suite.runs.agenda import read_agenda

    entries = list(read_agenda(out).entries.values())
    if not entries:
        raise click.UsageError(f"nothing is planned in {out}; say what is to run, with --task and --strategy")
    return entries


def _refuse_settings(context: click.Context) -> None:
    """A board that is gone on with as planned has its settings already. Raises ``click.UsageError``."""
    free = {"out", "plan_only", "engine", "engine_options", "shared_metering", "as_json"}
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in free
        and context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: what is planned is gone on with by the settings that it has")


def _say_planned(entries: Sequence[Any], out: Path, as_json: bool) -> None:
    if as_json:
        print_json({"planned": [entry.run for entry in entries]})
    else:
        click.echo(f"{len(entries)} runs are planned. Make them with: carbon-suite run --out {out}")


def _go_on(board: Any, entries: Sequence[Any], engine: Any, as_json: bool) -> None:
    """Make what is planned, and say how it went."""
    from suite.runs.log import LOG_NAME

    out = board.directory
    summary = _replay(board, entries, engine) if board.tier == "replay" else _make(board, entries, engine)
    if as_json:
        print_json({**summary, "logs": sorted(str(path) for path in (out / "runs").rglob(LOG_NAME))})
    else:
        _say(summary, out)
    _exit(summary)


@click.command(epilog=examples("carbon-suite demo", "carbon-suite demo --out first-board"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="DIR",
    help="The board, with its site in DIR/report; the replayed one is DIR-replayed.",
)
def demo(out: Path) -> None:
    """A small board, trained for real in about two minutes: three tasks, three strategies, two seeds. Beside it a large
    one that is replayed, where recorded tables are here."""
    from suite import demonstration
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE
    from suite.report.boards import separate
    from suite.report.site import write_site
    from suite.report.tables import write

    began = time.monotonic()
    board = demonstration.board(out)
    summary = _make(board, board.plan(demonstration.TASKS, demonstration.STRATEGIES, demonstration.SEEDS))
    summary["seconds"] = time.monotonic() - began
    summaries, places = [summary], [out]
    if tasks := demonstration.replayed_tasks():
        began, places = time.monotonic(), [out, out.with_name(f"{out.name}-replayed")]
        replayed = demonstration.replayed_board(places[1])
        entries = replayed.plan(tasks, demonstration.REPLAYED_STRATEGIES, demonstration.REPLAYED_SEEDS)
        summaries.append(_replay(replayed, entries))
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


def _make(board: Any, entries: Sequence[Any], engine: Any = None) -> dict[str, Any]:
    """Calibrate and run. What was made and what it took."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.ledger import JOULES_PER_KWH

    for sentence in board.sources.sentences():
        click.echo(sentence, err=True)
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    with progress("calibration", len(tasks) * board.settings.default_trainings) as shown:
        results, microjoules = board.calibrate(tasks, shown, engine), shown.microjoules
    ready = all(result.ok for result in results)
    if ready:
        with progress("board", len(entries)) as shown:
            results = board.make(entries, shown, engine)
            microjoules += shown.microjoules
    kwh = microjoules / 1e6 / JOULES_PER_KWH
    return {
        **_outcome(results, len(entries), ready),
        "kwh": kwh,
        "kg_co2e": kg_co2e(kwh, REFERENCE, REFERENCE_PUE),
        "tier": board.sources.tier,
        "factor": board.sources.factor,
    }


def _replay(board: Any, entries: Sequence[Any], engine: Any = None) -> dict[str, Any]:
    """Replay the runs. What was made, and the recorded energy that it stands for."""
    from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
    from suite.energy.ledger import JOULES_PER_KWH

    with progress("replayed", len(entries)) as shown:
        results, microjoules = board.make(entries, shown, engine), shown.microjoules
    kwh = microjoules / 1e6 / JOULES_PER_KWH
    return {
        **_outcome(results, len(entries)),
        "kwh": kwh,
        "kg_co2e": kg_co2e(kwh, REFERENCE, REFERENCE_PUE),
        "tier": board.tier,
    }


def _outcome(results: Sequence[Any], runs: int, ready: bool = True) -> dict[str, Any]:
    """runs: asked for; ended: those of them that have, none where the results are of failed calibrations."""
    failed = [
        {"run": result.job.name, "status": result.status, "message": result.message}
        for result in results
        if not result.ok
    ]
    return {"runs": runs, "ended": sum(result.ok for result in results) if ready else 0, "failed": failed}


def replay_board(out: Path, options: dict[str, Any]) -> Any:
    """The replayed board of a command's ``options``; those that only trainings have must not be given."""
    from suite.replay.board import ReplayBoard, ReplaySettings

    known = {"budget": "budget", "workers": "workers", "watts_per_core": "search_watts", "jobs": "jobs"}
    of_trainings = ("meters", "variant", "memory_gib", "idle_watts", "ram_watts", "no_crosscheck")
    if options["device"] != "cpu" or any(options[name] for name in of_trainings):
        raise click.UsageError(
            "--meter, --variant, --device, --memory-gib, --idle-watts, --ram-watts and --no-crosscheck have no meaning "
            "in a replay: nothing is trained"
        )
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
            f"{summary['ended']} of {summary['runs']} replayed runs ended. They stand for "
            f"{summary['kwh']:.3g} kWh, {summary['kg_co2e']:.3g} kg CO2e, recorded elsewhere; nothing was trained here."
        )
    else:
        _say_spent(summary)
    if not summary["failed"]:
        click.echo(f"Rank them with: carbon-suite rank {out}")


def _say_spent(summary: dict[str, Any]) -> None:
    click.echo(
        f"{summary['ended']} of {summary['runs']} runs ended. "
        f"This command spent {summary['kwh']:.3g} kWh, {summary['kg_co2e']:.3g} kg CO2e "
        f"({summary['tier']}: right within a factor of {summary['factor']:g})."
    )


def _exit(summary: dict[str, Any]) -> None:
    """End with 2 where a log, a name, a task's data or the disk could not be used, with 1 where a strategy or a task
    broke."""
    from suite.runs.jobs import BUSY, DISK, UNUSABLE

    statuses = {failure["status"] for failure in summary["failed"]}
    if statuses:
        sys.exit(2 if statuses & {UNUSABLE, DISK, BUSY} else 1)
