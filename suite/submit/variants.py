"""Runs a submitted strategy on data drawn after it was handed in: what was learnt by heart does not help there."""

import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from suite.runs.board import find_logs
from suite.runs.log import LogError, read_log
from suite.score.admission import ScoreError
from suite.score.board import RANDOM, score
from suite.submit import confine
from suite.submit.confine import Limits, OutOfTime
from suite.submit.rules import LEAST_SEEDS
from suite.submit.verify import Verification

_MOST_VARIANT: Final = 10**6
_GIB: Final = 2**30
#: A whole day: a search with its full budget, on every task.
_LIMITS: Final = Limits(memory_bytes=16 * _GIB, cpu_seconds=86_400, seconds=86_400.0, file_bytes=4 * _GIB)


def try_variants(verification: Verification, seeds: int) -> None:
    """Run the strategy and random search on a fresh variant; add Pi there to the figures of ``verification``.

    A finding where the intervals over seeds of Pi there and of Pi as submitted have nothing in common, given seeds
    enough for intervals.
    """
    reference = verification.reference
    if reference is None:
        verification.notes.append("no variant was run, since the strategy's code is not at hand (--strategy)")
        return
    variant = Random(f"{verification.key}|variant").randint(1, _MOST_VARIANT)
    with tempfile.TemporaryDirectory(prefix="carbon-suite-") as folder:
        out = Path(folder) / "board"
        try:
            made = confine.run(_command(verification, reference, variant, seeds, out), _LIMITS)
        except OutOfTime as error:
            verification.findings.add("variants", "", f"the strategy was run on variant {variant}: {error}")
            return
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip().splitlines()[-1:]
            verification.findings.add("variants", "", f"the strategy failed on variant {variant}: {' '.join(said)}")
            return
        _compare(verification, variant, out)


def _command(verification: Verification, reference: str, variant: int, seeds: int, out: Path) -> list[str]:
    header = verification.header
    tasks = [word for task in verification.metadata.tasks for word in ("--task", task)]
    names = [word for name in dict.fromkeys((reference, RANDOM)) for word in ("--strategy", name)]
    options = {
        "--variant": variant,
        "--seeds": f"0-{seeds - 1}",
        "--budget": header.budget.multiple,
        "--device": header.device,
        "--workers": header.workers,
        "--out": out,
    }
    given = [str(word) for option in options.items() for word in option]
    more = ["--no-crosscheck", *(["--program"] if header.program else [])]
    return [sys.executable, "-P", "-m", "suite.cli", "run", *tasks, *names, *given, *more]


def _compare(verification: Verification, variant: int, out: Path) -> None:
    name = verification.metadata.strategy
    try:
        there = score([read_log(path) for path in find_logs([out])])
        published = score(verification.logs)
    except (LogError, ScoreError) as error:
        verification.findings.add("variants", "", f"the runs on variant {variant} cannot be scored: {error}")
        return
    ours, theirs = (next(entry for entry in board.entries if entry.strategy == name) for board in (there, published))
    verification.figures[f"Pi on variant {variant} of the data"] = ours.pi
    verification.figures["Pi as submitted"] = theirs.pi
    if min(len(there.seeds), verification.metadata.seeds) < LEAST_SEEDS:
        verification.notes.append(f"with fewer than {LEAST_SEEDS} seeds, Pi on other data is shown and does not decide")
    elif ours.pi_interval and theirs.pi_interval and ours.pi_interval[1] < theirs.pi_interval[0]:
        verification.findings.add(
            "variants",
            "",
            f"Pi is {theirs.pi:.3g} as submitted and {ours.pi:.3g} on data drawn afterwards, and their intervals do "
            "not meet: what the strategy knows are the published tasks",
        )
