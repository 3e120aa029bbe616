"""``carbon-suite export`` and ``export-model``: logs and models for other tools."""

from pathlib import Path

import click

from suite.commands.options import examples


@click.command(
    epilog=examples(
        "carbon-suite export board/runs/few_shot/sinusoid/tpe/seed-0 run.parquet --to parquet",
        "carbon-suite export run.parquet log.jsonl --to log",
        "carbon-suite export board/runs/few_shot/sinusoid/tpe/seed-0 sqlite:///mlflow.db --to mlflow",
        "carbon-suite export board runs.csv --to runs",
    )
)
@click.argument("run", type=click.Path(path_type=Path, exists=True), metavar="RUN|FILE|BOARD")
@click.argument("destination", metavar="FILE|URI")
@click.option(
    "--to",
    "kind",
    required=True,
    type=click.Choice(["parquet", "mlflow", "log", "runs"]),
    help="Of a RUN, a Parquet FILE, or a run in the MLflow store at URI (extra `mlflow`); of such a FILE, the log "
    "again; of a BOARD, a CSV FILE with a row for each run.",
)
def export(run: Path, destination: str, kind: str) -> None:
    """Write a run's log in another format, which leads back to the log, byte for byte; or all that a board's runs
    came to, as one table."""
    from suite.commands.rank import logs_below
    from suite.export import from_parquet, to_csv, to_mlflow, to_parquet

    if kind == "mlflow":
        click.echo(f"wrote run {to_mlflow(run, destination)} to {destination}")
        return
    if kind == "runs":
        count = to_csv(logs_below([run]), Path(destination))
        click.echo(f"wrote {count} runs to {destination}")
        return
    (to_parquet if kind == "parquet" else from_parquet)(run, Path(destination))
    click.echo(f"wrote {destination}")


@click.command(
    "export-model", epilog=examples("carbon-suite export-model board/runs/few_shot/sinusoid/tpe/seed-0 --out model")
)
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder.")
def export_model(run: Path, out: Path) -> None:
    """Train a run's incumbent anew, and write it as safetensors with its model card (extra `models`)."""
    from suite.models import export_model as write
    from suite.runs.log import read_log

    click.echo(f"wrote {write(read_log(run), out)}")
