"""The report: one page that holds everything, and the same pictures and tables as files.

    OUT/report.html                              self-contained: pictures inside, no scripts, nothing loaded
    OUT/table.csv  table.md  table.tex  table.json
    OUT/figures/NAME.png  NAME.pdf  NAME.svg

The same board and logs give the same bytes. Each file is put in place whole.
"""

import base64
import errno
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from suite import __version__
from suite.energy.carbon import REFERENCE, REFERENCE_PUE, Place
from suite.report import facts, wording
from suite.report.plots import Picture, pictures
from suite.report.tables import caption, printed, split, write
from suite.runs.log import RunLog
from suite.score.board import Board

PAGE: Final = "report.html"
_TABLES: Final = {"csv": "csv", "md": "md", "tex": "latex", "json": "json"}


def write_report(board: Board, grid: Place, pue: float, out: Path, logs: Sequence[RunLog] = ()) -> list[Path]:
    """Write page, pictures and tables below ``out``, which is made where it is missing. Returns the files written.

    logs: those that the board was scored from, for the facts on constants, data, machines, meters and the cross-check.
    Raises ``ValueError`` where ``pue`` is below 1 and ``OSError`` where ``out`` cannot be written to.
    """
    contents = {f"table.{suffix}": write(board, grid, pue, style).encode() for suffix, style in _TABLES.items()}
    _make_directory(out / "figures")  # before the pictures, which take seconds
    drawn = list(pictures(board))
    contents |= {f"figures/{one.name}.{suffix}": content for one in drawn for suffix, content in one.files.items()}
    contents[PAGE] = page(board, grid, pue, drawn, logs).encode()
    for name, content in contents.items():
        _replace(out / name, content)
    return [out / name for name in contents]


def page(board: Board, grid: Place, pue: float, drawn: Sequence[Picture], logs: Sequence[RunLog]) -> str:
    """The page as HTML, with the pictures inside."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = _data_uri
    here = files("suite.report")
    template = environment.from_string((here / "report.html.j2").read_text())
    return template.render(
        style=Markup((here / "report.css").read_text()),  # ours, and no user's words in it
        board=board,
        version=__version__,
        ranking=split(printed(board, grid, pue, dash=wording.EN_DASH), brief=False),
        caption=caption(board, grid, pue),
        pictures=drawn,
        tasks=dict(zip(board.tasks, facts.task_tables(board, logs), strict=True)),
        improvement=facts.improvement_table(board),
        constants=facts.constants_table(logs),
        data=facts.data_table(logs),
        machines=facts.machine_table(logs),
        meters=facts.meter_table(logs),
        crosscheck=facts.crosscheck_sentences(logs),
        size=wording.size_sentence(board),
        ranks=wording.ranks_sentence(board),
        energy=wording.energy_sentence(board.tier),
        grid=grid,
        pue=pue,
        reference=REFERENCE,
        reference_pue=REFERENCE_PUE,
        tables=[f"table.{suffix}" for suffix in _TABLES],
    )


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.files['svg']).decode()}"


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(path for path in (directory, *directory.parents) if path.exists() and not path.is_dir())
        raise NotADirectoryError(
            errno.ENOTDIR, "a report is a directory, and this is a file; choose another place for it", str(blocking)
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write ``path`` whole: a reader finds the old file or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
