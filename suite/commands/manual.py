"""``carbon-suite manual``: a person as a strategy."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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
        "carbon-suite manual tell few_shot/sinusoid --out board learning_rate=0.003 --minutes 3",
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
    click.echo(f"What may be set: {_command('ask', begun, out)}")


@manual.command(
    epilog=examples(
        "carbon-suite manual ask few_shot/sinusoid --out board",
        "carbon-suite manual ask few_shot/sinusoid --out board --template > next.yaml",
        "carbon-suite manual ask few_shot/sinusoid --out board --random",
    )
)
@of_a_run
@click.option("--random", "at_random", is_flag=True, help="Draw a configuration at random.")
@click.option(
    "--template", is_flag=True, help="Print nothing but a YAML file to edit and to tell: the best so far, or the drawn."
)
@JSON
def ask(
    task: str, out: Path, name: str | None, seed: int | None, at_random: bool, template: bool, as_json: bool
) -> None:
    """What may be set: the space with its defaults, the best so far, and on request a file to edit. It is free."""
    from suite import listing, written
    from suite.manual import Run

    if template and as_json:
        raise click.UsageError("--template prints a file to edit, --json a record for programs: choose one")
    run = Run.find(out, task, name, seed)
    drawn = run.draw() if at_random else None
    if template:
        click.echo(written.template(run.spec, drawn or run.best()), nl=False)
        return
    rows, mutable = listing.space(run.spec), sorted(run.spec.mutable)
    if as_json:
        may_be_set = {"space": rows, "fidelity": asdict(run.spec.fidelity), "mutable": mutable}
        print_json({**may_be_set, "best": run.best(), "random": drawn, "run": run.record()})
        return
    listing.show_rows(f"{run.spec.name}: what may be set", rows)
    click.echo(f"Training: {run.fidelities} (--fidelity).")
    if mutable:
        click.echo(f"What may be changed in mid-training (--from TRIAL): {', '.join(mutable)}.")
    click.echo(f"{_incumbent(run)}\n{_left(run)}")
    click.echo(
        f"A minute of thinking is charged about {60 * run.rest_watts:.3g} J (estimated: power at rest x time).\n"
    )
    click.echo(f"{'Drawn at random' if drawn else 'The best so far'}, to be changed and told:")
    click.echo(f"{_command('tell', run, out)} {written.one_line(drawn or run.best())}")


@manual.command(
    epilog=examples(
        "carbon-suite manual tell few_shot/sinusoid --out board learning_rate=0.003 --minutes 3",
        "carbon-suite manual tell few_shot/sinusoid --out board --file next.yaml --fidelity 600",
        "carbon-suite manual tell few_shot/sinusoid --out board --from 2",
    )
)
@of_a_run
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A file that sets them, YAML or JSON; a list of configurations is trained in order. What is given beside it "
    "comes first.",
)
@click.option(
    "--minutes",
    type=float,
    help="For how long you thought: the machine's power at rest is charged. Asked for on a terminal; 0 otherwise.",
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
    minutes: float | None,
    fidelity: int | None,
    parent: int | None,
    as_json: bool,
) -> None:
    """Train configurations: metered, logged, charged. What is not set has its default, or that of --from.

    Give the same command again where it was interrupted, or one that sets nothing: what was told is finished.
    """
    from suite import written
    from suite.manual import Run, energy, trial_record
    from suite.search.strategy import Proposal

    run = Run.find(out, task, name, seed)
    base = {} if parent is None else run.configuration_of(parent)
    pairs, target = written.read_pairs(values), run.spec.fidelity.maximum if fidelity is None else fidelity
    several = written.read_file(file) if file else [{}] if pairs or parent is not None or fidelity is not None else []
    asked = [Proposal(written.fill_in(run.spec, {**given, **pairs}, base), target, parent) for given in several]
    proposals = run.checked(asked)
    if minutes is None and proposals and not as_json and sys.stdin.isatty():
        minutes = ask_minutes(run)
    with progress("told", 1) as shown:
        after, ends = _made(lambda: run.tell(proposals, 60 * (minutes or 0.0), shown))
    thinking = energy(after.log.thinking_microjoules - run.log.thinking_microjoules)
    if as_json:
        print_json(
            {
                "trials": [trial_record(end) for end in ends],
                "thinking": {"minutes": (after.log.thinking_seconds - run.log.thinking_seconds) / 60, **thinking},
                "run": after.record(),
            }
        )
        return
    _show_trials(after, ends, "trained now")
    if not ends:
        click.echo("Nothing was trained: the budget was used up before.")
    click.echo(_thinking(minutes, thinking, told_before=not proposals))
    click.echo(f"{_incumbent(after)}\n{_left(after)}")


@manual.command(epilog=examples("carbon-suite manual status few_shot/sinusoid --out board --json"))
@of_a_run
@JSON
def status(task: str, out: Path, name: str | None, seed: int | None, as_json: bool) -> None:
    """The trials so far, the best of them, their energy, and what is left of the budget."""
    from suite import listing, written
    from suite.energy.ledger import CHARGED
    from suite.manual import Run

    run = Run.find(out, task, name, seed)
    record = run.record()
    if as_json:
        print_json(record)
        return
    _show_trials(run, run.log.trials, f"seed {run.seed}")
    phases = [
        {"phase": phase, "joules": amount["joules"], "kg CO2e": amount["kg_co2e"], "charged": phase in CHARGED}
        for phase, amount in record["phases"].items()
    ]
    listing.show_rows("Energy by phase, thinking within ask", phases)
    if not run.log.ended:
        for number, proposal in run.outstanding.items():
            click.echo(f"Trial {number} was interrupted: {written.one_line(proposal.configuration)}")
        if run.outstanding:
            click.echo(f"Finish with: {_command('tell', run, out)}")
    thinking = record["thinking"]
    click.echo(f"Thinking, as declared: {thinking['minutes']:g} minutes, {_told(thinking)} (estimated).")
    click.echo(f"{_incumbent(run)}\n{_left(run)}")


def ask_minutes(run: Any) -> float:
    minutes: float = click.prompt("For how many minutes did you think about it?", default=0.0, err=True)
    if 60 * minutes * run.rest_watts * 1e6 >= run.left_microjoules:
        click.confirm("That uses up what is left of the budget and ends the run. Go on?", abort=True, err=True)
    return minutes


def _show_trials(run: Any, ends: Sequence[Any], what: str) -> None:
    from suite import listing
    from suite.written import one_line

    rows = [
        {
            "trial": end.number,
            "status": f"{end.status}: {end.reason}" if end.reason else end.status,
            run.spec.validation.name: end.validation,
            "joules": end.microjoules / 1e6,
            run.spec.fidelity.unit: end.proposal.fidelity,
            "from": end.proposal.parent,
            "differs from the default in": one_line(end.proposal.configuration, run.spec.default) or "nothing",
        }
        for end in ends
    ]
    listing.show_rows(f"{run.strategy} on {run.spec.name}: {what}", rows)


def _command(verb: str, run: Any, out: Path) -> str:
    """The command that goes on with ``run``."""
    name = run.strategy.partition("-")[2]
    which = f"{f' --name {name}' if name else ''}{f' --seed {run.seed}' if run.seed else ''}"
    return f"carbon-suite manual {verb} {run.task} --out {out}{which}"


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


def _thinking(minutes: float | None, amount: Mapping[str, float], told_before: bool) -> str:
    if told_before:
        return "What was told before is finished; its thinking is charged as it was declared then, and no more."
    if not minutes:
        return "Nothing was charged for thinking: declare it with --minutes."
    return f"{minutes:g} minutes of thinking, as declared: {_told(amount)} (estimated: power at rest x time)."
