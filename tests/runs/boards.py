"""Boards that stand on disk without anything having been run: for what is said of them, and how they are merged."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from suite.runs.board import BOARD_NAME, Settings
from suite.runs.lines import encode
from suite.runs.log import LOG_NAME
from tests.runs.test_log import HEADER, ask, end, segment

SETTINGS = Settings(meters=("cpu-time",), idle_watts=1.0, crosscheck=False)


def write_board(directory: Path, settings: Settings = SETTINGS, **more: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    record = {"settings": asdict(settings), "sources": {"meters": ["cpu-time"], "reasons": {}}, "tasks": {}, **more}
    (directory / BOARD_NAME).write_text(json.dumps(record))
    return directory


def log_of(seed: int, trials: int = 2, ended: bool = True, started: str = "2026-01-01T00:00:00+00:00") -> bytes:
    """A log of one joule a trial."""
    records: list[dict[str, Any]] = [
        {"record": "run", "schema": 1, **replace(HEADER, seed=seed).to_record(), "segments": [], "total": 0},
        {"record": "session", "started": started, "resumed": False, "segments": [], "total": 0},
    ]
    for number in range(1, trials + 1):
        records.append({**ask(number), "segments": [], "total": 1_000_000 * (number - 1)})
        trained = end(number, segments=[segment("train", number, 1_000_000)])
        records.append({**trained, "total": 1_000_000 * number})
    if ended:
        final = {"reason": "budget", "crosscheck": {}, "rest_watts": {}}
        records.append({"record": "end", **final, "segments": [], "total": 1_000_000 * trials})
    return b"".join(map(encode, records))


def write_run(board: Path, run: str, content: bytes) -> Path:
    directory = board / run
    directory.mkdir(parents=True, exist_ok=True)
    (directory / LOG_NAME).write_bytes(content)
    return directory
