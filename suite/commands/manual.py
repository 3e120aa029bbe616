"""``carbon-suite manual``: a person as a strategy."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from suite.commands.options import JSON, examples, print_json, progress, running, settings

OUT = click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The board's directory."
)
NAME = click.option("--name", help="Whose run: it is called person-NAME on the board.")
SEED = click.option("--seed", type=click.IntRange(min=0), help="Seed of the run, where there are several.")


def of_a_run(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which run is meant."""
    for option in (SEED, NAME, OUT, click.argument("task")):
        command = option(command)
    return command


@click.group(
    epilog=examples(
        "carbon-suite manual start few_shot/sinusoid --out board",
        "carbon-suite manual ask few_shot/sinusoid --out board",
        "carbon-suite manual tell few_shot/sinusoid --out board learning_rate=0.003 --thinking-minutes 3",
        "carbon-suite manual status few_shot/sinusoid --out board",
        "carbon-suite rank board",
    )
)
def manual() -> None:
    """Search by hand, metered and ranked like any strategy: start a run, then ask and tell, over days."""


@manual.command(epilog=examples("carbon-suite manual start few_shot/sinusoid --out board --name alice"))
@click.argument("task")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The board's directory, new or not."
)
@NAME
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the run's trainings.")
@click.option("--budget", default=40.0, show_default=True, help="Carbon budget of the run, in random trainings.")
@running
@JSON
def start(task: str, out: Path, name: str | None, seed: int, as_json: bool, **options: Any) -> None:
    """Begin a run by hand: trains the task's default, which sets the budget, and says what there is to set.

    On a board that exists, give the settings that it was made with.
    """
    from suite import catalog
    from suite import manual as by_hand
    from suite.runs.board import Board

    by_hand.called(name)
    catalog.task_spec(task)
    board = Board(out, settings(**options))
    for sentence in board.sources.sentences():
        click.echo(sentence, err=True)
    with progress("calibration", board.settings.default_trainings) as calibrating, progress("start", 1) as shown:
        begun = _made(lambda: by_hand.start(board, task, name, seed, calibrating, shown))
    if as_json:
        print_json(begun.record())
        return
    click.echo(f"Started {begun.strategy} on {begun.spec.name} with seed {seed}. {_left(begun)}")
    click.echo(f"What may be set: carbon-suite manual ask {task} --out {out}")


@manual.command(
    epilog=examples(
        "carbon-suite manual ask few_shot/sinusoid --out board",
        "carbon-suite manual ask few_shot/sinusoid --out board --template toml > next.toml",
        "carbon-suite manual ask few_shot/sinusoid --out board --random",
    )
)
@of_a_run
@click.option("--random", "at_random", is_flag=True, help="Draw a configuration at random.")
@click.option(
    "--template",
    "style",
    type=click.Choice(["lines", "toml", "json"]),
    help="Print nothing but a file to edit and to tell: the incumbent, or the random one.",
)
@JSON
def ask(
    task: str, out: Path, name: str | None, seed: int | None, at_random: bool, style: str | None, as_json: bool
) -> None:
    """What may be set: the space with its defaults, the best so far, and on request a file to edit."""
    from suite import listing
    from suite.manual import Run
    from suite.written import one_line, template

    if style and as_json:
        raise click.UsageError("--template prints a file to edit, --json a record for programs: choose one")
    run = Run.find(out, task, name, seed)
    drawn = run.draw() if at_random else None
    if style:
        click.echo(template(run.spec, drawn or run.best(), style), nl=False)
        return
    rows = listing.space(run.spec)
    if as_json:
        may_be_set = {"space": rows, "fidelity": vars(run.spec.fidelity), "mutable": sorted(run.spec.mutable)}
        print_json({**may_be_set, "best": run.best(), "random": drawn, "run": run.record()})
        return
    listing.show_rows(f"{run.spec.name}: what may be set", rows)
    click.echo(f"Training: {run.spec.fidelity.minimum} to {run.spec.fidelity.maximum} {run.spec.fidelity.unit}.")
    click.echo(f"{_incumbent(run)}\n{_left(run)}")
    click.echo(f"\ncarbon-suite manual tell {task} --out {out} {one_line(drawn or run.best())}")


@manual.command(
    epilog=examples(
        "carbon-suite manual tell few_shot/sinusoid --out board learning_rate=0.003 --thinking-minutes 3",
        "carbon-suite manual tell few_shot/sinusoid --out board --file next.toml --fidelity 600",
        "carbon-suite manual tell few_shot/sinusoid --out board --from 2",
    )
)
@of_a_run
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A file that sets them: .json, .toml, or lines of name=value. What is given beside it comes first.",
)
@click.option(
    "--thinking-minutes", type=float, help="For how long you thought: the machine's power at rest is charged."
)
@click.option("--fidelity", type=int, help="How far to train; default: to the end.")
@click.option("--from", "parent", type=int, metavar="TRIAL", help="Go on from that trial: pay only for the rest.")
@JSON
def tell(
    task: str,
    out: Path,
    name: str | None,
    seed: int | None,
    values: Sequence[str],
    file: Path | None,
    thinking_minutes: float | None,
    fidelity: int | None,
    parent: int | None,
    as_json: bool,
) -> None:
    """Train a configuration: metered, logged, charged. What is not set has its default, or that of --from.

    Give the same command again where it was interrupted.
    """
    from suite.manual import Run, energy, trial_record
    from suite.search.strategy import Proposal
    from suite.written import fill_in, read_file, read_pairs

    run = Run.find(out, task, name, seed)
    base = {} if parent is None else run.configuration_of(parent)
    given = {**(read_file(file) if file else {}), **read_pairs(values)}
    proposal = Proposal(
        fill_in(run.spec, given, base), run.spec.fidelity.maximum if fidelity is None else fidelity, parent
    )
    with progress("trial", 1) as shown:
        after, end = _made(lambda: run.tell(proposal, 60 * (thinking_minutes or 0.0), shown))
    thinking = energy(after.log.thinking_microjoules - run.log.thinking_microjoules)
    if as_json:
        told = {**trial_record(end), "thinking": {"minutes": thinking_minutes, **thinking}}
        print_json({"trial": told, "run": after.record()})
        return
    value = "no value" if end.validation is None else f"{run.spec.validation.name} {end.validation:.5g} (validation)"
    click.echo(f"Trial {end.number}: {end.status}, {value}{f': {end.reason}' if end.reason else ''}")
    click.echo("It is trial 0: nothing was trained." if end.returned else f"It took {_told(energy(end.microjoules))}.")
    click.echo(_thinking(thinking_minutes, thinking, told_again=end.number in run.log.asked))
    click.echo(f"{_incumbent(after)}\n{_left(after)}")


@manual.command(epilog=examples("carbon-suite manual status few_shot/sinusoid --out board --json"))
@of_a_run
@JSON
def status(task: str, out: Path, name: str | None, seed: int | None, as_json: bool) -> None:
    """The trials so far, the best of them, their energy, and what is left of the budget."""
    from suite import listing
    from suite.manual import Run
    from suite.written import one_line

    run = Run.find(out, task, name, seed)
    record = run.record()
    if as_json:
        print_json(record)
        return
    metric = run.spec.validation.name
    rows = [
        {
            "trial": each["trial"],
            "status": each["status"],
            metric: each["validation"],
            "joules": each["joules"],
            run.spec.fidelity.unit: each["fidelity"],
            "from": each["parent"],
            "configuration": one_line(each["configuration"]),
        }
        for each in record["trials"]
    ]
    listing.show_rows(f"{run.strategy} on {run.spec.name}, seed {run.seed}", rows)
    for each in record["outstanding"]:
        click.echo(f"Trial {each['trial']} was cut short: tell it again: {one_line(each['configuration'])}")
    click.echo(f"{_incumbent(run)}\nThinking, as declared: {_told(record['thinking'])}.\n{_left(run)}")


def _made(work: Callable[[], Any]) -> Any:
    """What ``work`` comes to; exit status 1 where a session failed through no fault of the input."""
    from suite.manual import SessionFailed

    try:
        return work()
    except SessionFailed as error:
        click.echo(f"carbon-suite: {error}", err=True)
        sys.exit(1)


def _told(amount: Mapping[str, float]) -> str:
    return f"{amount['joules']:.4g} J, {amount['kg_co2e']:.3g} kg CO2e"


def _incumbent(run: Any) -> str:
    end, metric = run.incumbent(), run.spec.validation
    zero = f"the default ({metric.name} {run.log.header.budget.v0:.5g})"
    if end is None:
        return f"Best so far: {zero}; to {metric.goal}."
    return (
        f"Best so far: trial {end.number} ({metric.name} {end.validation:.5g}), better than {zero}; to {metric.goal}."
    )


def _left(run: Any) -> str:
    from suite.manual import energy

    budget = run.log.header.budget.microjoules
    spent, left = energy(run.log.charged_microjoules), energy(run.left_microjoules)
    ended = f" The run has ended: {run.log.ended}." if run.log.ended else ""
    share = run.left_microjoules / budget
    return f"Charged so far: {_told(spent)}. Left: {_told(left)}, {share:.0%} ({run.log.header.tier}).{ended}"


def _thinking(minutes: float | None, amount: Mapping[str, float], told_again: bool) -> str:
    if not minutes:
        return "Nothing was charged for thinking: declare it with --thinking-minutes."
    if told_again:
        return "Thinking was charged as declared when this was first told, and is not charged again."
    return f"{minutes:g} minutes of thinking, as declared: {_told(amount)} (estimated: power at rest x time)."
