"""Where ``carbon-suite run`` makes its runs: the options, and the engine that they ask for."""

from collections.abc import Sequence
from typing import Any, Final

import click

from suite.commands.options import Command

_OPTIONS: Final = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray", "slurm"]),
        default="local",
        show_default=True,
        help="Where runs are made: processes on this machine, or one run a node of a Ray or a SLURM cluster at a time.",
    ),
    click.option(
        "--engine-option",
        "engine_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="For ray: address, of the cluster to join (auto: the one that runs here), or listen, what a Ray that is "
        "started here listens on. For slurm: a parameter of submitit, as slurm_partition=gpu.",
    ),
    click.option(
        "--shared-metering",
        is_flag=True,
        help="On a cluster, let --jobs runs share a node and what meters it, which only meters of processes allow.",
    ),
)


def engines(command: Command) -> Command:
    """The options that say where runs are made."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def engine_for(board: Any, name: str, options: Sequence[str], shared: bool) -> Any:
    """What starts the engine for ``board``; None for processes on this machine. Raises ``click.UsageError``."""
    given = dict(_pair(option) for option in options)
    if name == "local":
        if given:
            raise click.UsageError("--engine-option has no meaning for processes on this machine")
        return None
    _check_sharing(board, shared)
    from suite.replay.servers import make_replay_here
    from suite.runs.on_ray import RayRuns
    from suite.runs.on_slurm import SlurmRuns
    from suite.runs.processes import make_here

    make = make_replay_here if board.tier == "replay" else make_here
    if name == "slurm":
        numbers = {key: int(value) if value.isdigit() else value for key, value in given.items()}
        return lambda: SlurmRuns(make, board.directory.resolve(), not shared, numbers)
    if unknown := set(given) - {"address", "listen"}:
        raise click.UsageError(f"ray has the options address and listen, not {', '.join(sorted(unknown))}")
    return lambda: RayRuns(make, board.settings.jobs, **given)


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not (name and equals and value):
        raise click.UsageError(f"an engine option is NAME=VALUE, got {option!r}")
    return name, value


def _check_sharing(board: Any, shared: bool) -> None:
    """Runs share a node only where that is asked for, and each can still be told its own energy."""
    if board.settings.jobs > 1 and not shared:
        raise click.UsageError(
            f"--jobs {board.settings.jobs} puts as many runs on one node at a time, which would share its meters: "
            "add --shared-metering to want that, or leave --jobs out"
        )
    whole = [] if board.tier == "replay" else [m.info.name for m in board.sources.meters if m.info.whole_machine]
    if shared and whole:
        raise click.UsageError(
            f"{', '.join(whole)} sees all that a node does, so that runs beside each other could not be told apart: "
            "leave --shared-metering out, or make the board with --meter cpu-time"
        )
