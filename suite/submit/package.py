"""Makes a submission from a board's directory: what the logs say, and who hands them in."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.runs.board import BOARD_NAME
from suite.runs.log import LOG_NAME, LogError, RunLog, read_log
from suite.score.board import RANDOM
from suite.submit.layout import CODE, MANIFEST, SCHEMA, SUBMISSION, Metadata, SubmissionError, problems, seeds_of
from suite.submit.reading import sha256
from suite.submit.rules import RELEASE


def package(
    directory: Path,
    out: Path,
    strategy: str,
    nonce: str,
    about: Mapping[str, Any],
    code: Sequence[Path] = (),
) -> Path:
    """Write the submission of ``strategy`` from the board in ``directory`` below ``out``. Returns its folder.

    nonce: that the seeds of the runs follow from. about: authors, licence, link, commit, board and transfer, as in
    ``Metadata``. code: files of the strategy, or folders whose Python files are taken. Raises ``SubmissionError``.
    """
    logs = _logs(directory, strategy)
    seeds = _seeds(directory, logs, strategy, nonce)
    header = logs[0].header
    record = {
        "schema": SCHEMA,
        "release": RELEASE,
        "strategy": strategy,
        "version": header.strategy["version"],
        "nonce": nonce,
        "tasks": sorted({log.header.task.name for log in logs}),
        "seeds": seeds,
        "environment": dict(header.machine),
        **about,
    }
    if wrong := problems(record):
        raise SubmissionError("; ".join(wrong))
    metadata = Metadata.from_record(record)
    folder = out / metadata.path
    if folder.exists():
        raise SubmissionError(
            f"{folder} is there already; a version is handed in once: move it away, or raise the version"
        )
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    _fill(part, directory, metadata, code)
    part.replace(folder)
    return folder


def _logs(directory: Path, strategy: str) -> list[RunLog]:
    if not (directory / BOARD_NAME).is_file():
        raise SubmissionError(
            f"{directory} holds no board; make one with "
            f"`carbon-suite submit run --nonce HEX --strategy NAME --task TASK --out {directory}`"
        )
    paths = sorted((directory / "runs").glob(f"*/*/{strategy}/seed-*/{LOG_NAME}"))
    if not paths:
        there = sorted({path.name for path in (directory / "runs").glob("*/*/*") if path.name != RANDOM})
        raise SubmissionError(f"{directory} holds no runs of a strategy {strategy!r}; it has those of {there}")
    try:
        return [read_log(path) for path in paths]
    except LogError as error:
        raise SubmissionError(str(error)) from error


def _seeds(directory: Path, logs: Sequence[RunLog], strategy: str, nonce: str) -> int:
    """How many seeds a task has. Every run that the nonce asks for must be there and have ended."""
    by_task: dict[str, set[int]] = {}
    for log in logs:
        by_task.setdefault(log.header.task.name, set()).add(log.header.seed)
    count = max(map(len, by_task.values()))
    for task, found in by_task.items():
        expected = set(seeds_of(nonce, task, count))
        if found != expected:
            raise SubmissionError(
                f"the runs of {strategy} on {task} in {directory} are not those of nonce {nonce}: its {count} seeds "
                f"are {sorted(expected)}, and the runs have {sorted(found)}; make them with `carbon-suite submit run`"
            )
        for seed in expected:
            path = directory / "runs" / task / RANDOM / f"seed-{seed}" / LOG_NAME
            if not path.is_file():
                raise SubmissionError(
                    f"{path} is missing: random search is run on the same machine with the same seeds"
                )
    unfinished = [log.path for log in logs if log.ended is None]
    if unfinished:
        raise SubmissionError(f"{unfinished[0]} has not ended; go on with it by the command that began it")
    return count


def _fill(folder: Path, directory: Path, metadata: Metadata, code: Sequence[Path]) -> None:
    folder.mkdir(parents=True)
    for task in metadata.tasks:
        for log in sorted((directory / "calibration" / task).glob(f"seed-*/{LOG_NAME}")):
            _copy(log, folder / log.relative_to(directory))
        for strategy in {metadata.strategy, RANDOM}:
            for seed in seeds_of(metadata.nonce, task, metadata.seeds):
                log = Path("runs", task, strategy, f"seed-{seed}", LOG_NAME)
                _copy(directory / log, folder / log)
    kept = json.loads((directory / BOARD_NAME).read_text())
    kept["tasks"] = {name: reference for name, reference in kept["tasks"].items() if name in metadata.tasks}
    _write(folder / BOARD_NAME, kept)
    for source in code:
        _copy_code(source, folder / CODE)
    _write(folder / SUBMISSION, metadata.to_record())
    write_manifest(folder)


def write_manifest(folder: Path) -> None:
    """Write the SHA-256 and size of every file in ``folder`` but the manifest itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    _write(folder / MANIFEST, {path.relative_to(folder).as_posix(): _entry(path.read_bytes()) for path in files})


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": sha256(content), "bytes": len(content)}


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise SubmissionError(f"{source} is missing")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _copy_code(source: Path, target: Path) -> None:
    if source.is_file():
        _copy(source, target / source.name)
        return
    files = [path for path in sorted(source.rglob("*.py")) if "__pycache__" not in path.parts]
    if not files:
        raise SubmissionError(f"{source}: there is no Python file to hand in as the strategy's code")
    for path in files:
        _copy(path, target / source.name / path.relative_to(source))


def _write(path: Path, record: Any) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n")
