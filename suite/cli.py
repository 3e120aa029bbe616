"""The command ``carbon-suite``: one file a subcommand in ``suite.commands``, each thin: it reads arguments, calls what
does the work, and prints what came.

Exit status: 0 done, 1 some runs failed (the others are kept) or a check did, 2 the input or the disk cannot be used,
130 and 143 interrupted by SIGINT and SIGTERM.
"""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from suite import __version__
from suite.commands.agree import agree
from suite.commands.board import merge, status
from suite.commands.catalogue import describe, list_
from suite.commands.check import check
from suite.commands.constants import constants
from suite.commands.doctor import doctor
from suite.commands.estimate import estimate
from suite.commands.export import export, export_model
from suite.commands.manual import manual
from suite.commands.published import published
from suite.commands.rank import rank, report
from suite.commands.record import record
from suite.commands.run import demo, run
from suite.commands.schedule import schedule
from suite.commands.submit import submit


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="carbon-suite")
def cli() -> None:
    """Which way of searching for a good model costs the least carbon?

    \b
    carbon-suite demo                                   a small board, trained for real
    carbon-suite run --task '*' --strategy 'random' --strategy tpe --seeds 0-4 --out board
    carbon-suite rank board
    """


COMMANDS = (
    *(list_, describe, doctor, estimate, run, status, merge, manual, rank, published, report, schedule),
    *(check, agree, demo, constants, record, submit, export, export_model),
)
for command in COMMANDS:
    cli.add_command(command)


class Terminated(BaseException):
    """SIGTERM asked the command to stop."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: whatever is wrong with the input ends in one message and exit status 2."""
    try:
        with _terminable():
            cli(arguments, standalone_mode=False, prog_name="carbon-suite")
        sys.exit(0)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort, Terminated) as stopped:
        click.echo("\nInterrupted. What was completed is kept; run the same command again to go on.", err=True)
        sys.exit(143 if isinstance(stopped, Terminated) else 130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"carbon-suite: {place}{error.strerror or error}", err=True)
        sys.exit(2)
    except ValueError as error:  # all errors of this package about its input
        click.echo(f"carbon-suite: {error}", err=True)
        sys.exit(2)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM stops the command as Ctrl-C does, cleanly and with all that it started; raises ``Terminated`` then."""
    heard: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt  # the one that libraries let through

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are heard by the main thread, which belongs to whoever called this
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as error:
        if heard:
            raise Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    main()
