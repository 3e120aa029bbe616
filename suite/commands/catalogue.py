"""``carbon-suite list`` and ``describe``: what there is."""

import click

from suite.commands.options import JSON, examples, print_json


@click.command(
    "list", epilog=examples("carbon-suite list", "carbon-suite list strategies", "carbon-suite list tasks --json")
)
@click.argument("kind", type=click.Choice(["tasks", "strategies", "meters", "tables"]), required=False)
@click.option("--md", "as_page", is_flag=True, help="A page in Markdown: the tasks or tables with their figures.")
@JSON
def list_(kind: str | None, as_page: bool, as_json: bool) -> None:
    """What the catalogue holds: tasks, strategies, meters; and, if asked for, the tables that replays rest on."""
    from suite import listing

    pages = {"tasks": listing.task_page, "tables": listing.table_page}
    if as_page:
        if kind not in pages or as_json:
            raise click.UsageError("--md is of tasks or tables, and without --json: carbon-suite list tasks --md")
        click.echo(pages[kind](listing.KINDS[kind]()), nl=False)
        return
    kinds = [kind] if kind else ["tasks", "strategies", "meters"]
    records = {name: listing.KINDS[name]() for name in kinds}
    if as_json:
        print_json(records[kind] if kind else records)
    else:
        for name in kinds:
            listing.show(name, records[name])
        if kind == "tables" and not records[kind]:
            click.echo("no table is recorded here; make one: carbon-suite record TASK --out DIR")


@click.command(epilog=examples("carbon-suite describe supervised/mnist1d", "carbon-suite describe tpe --json"))
@click.argument("name")
@JSON
def describe(name: str, as_json: bool) -> None:
    """All about one task (its space, fidelity, metrics, constants), strategy or meter."""
    from suite import listing

    kind, record = listing.describe(name)
    if as_json:
        print_json(record)
    else:
        listing.show_one(kind, record)
