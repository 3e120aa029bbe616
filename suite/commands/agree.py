"""``carbon-suite agree``: does a replayed board say what the live one says?"""

from pathlib import Path

import click

from suite.commands.options import JSON, examples, print_json
from suite.commands.rank import logs_below


@click.command(epilog=examples("carbon-suite agree live replayed", "carbon-suite agree live replayed --json"))
@click.argument("live", type=click.Path(path_type=Path))
@click.argument("replayed", type=click.Path(path_type=Path))
@JSON
def agree(live: Path, replayed: Path, as_json: bool) -> None:
    """Compare a replayed board with a live one of the same tasks and strategies: which pairs of strategies each tells
    apart, and whether in the same order."""
    from suite.report.agreement import printed, to_record
    from suite.report.tables import write_printed
    from suite.score.agreement import agreement
    from suite.score.board import score

    found = agreement(score(logs_below([live])), score(logs_below([replayed])))
    if as_json:
        print_json(to_record(found))
    else:
        click.echo(write_printed(printed(found), "table"), nl=False)
