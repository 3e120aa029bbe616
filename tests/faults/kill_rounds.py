"""Kills boards at random moments and checks, after every kill and at the end, that nothing was lost.

    python -m tests.faults.kill_rounds --rounds 500 --work kills

A round is one ``kill -9`` of a process that ``carbon-suite run`` has started, or of the command itself: main, the
process of a run, or what that has started. Boards are live ones, whose trainings take milliseconds, and replayed ones,
in turn; each is gone on with by the same command until it is whole, then the next begins. What must hold:

    a completed trial stays in its log, once, with the same values          after every kill, live
    the segments of a log sum to its total                                  after every kill
    no process is left behind by a killed command                           after every kill of main
    trials 1, 2, ..., n are there                                           at the end of a run
    proposals and values are those of a board that nobody disturbed         as far as both go, live, and until a trial
                                                                            failed with its killed worker
    logs are those of a board that nobody disturbed, byte for byte          replayed, without search energy
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from suite.replay.record import Amounts, Recording
from suite.runs.board import Settings
from suite.runs.jobs import Silent
from suite.runs.log import LOG_NAME, LogError, RunLog, read_log
from suite.runs.status import board_status

HERE: Final = Path(__file__).parent
LIVE: Final = ("--no-crosscheck", "--meter", "cpu-time", "--idle-watts", "1")
REPLAYED: Final = ("--replay", "--watts-per-core", "0")
MOST_A_BOARD: Final = 20  # kills of one board; then it is let end
GONE_SECONDS: Final = 10.0
Trial = tuple[int, object, float | None, float | None]


AMOUNTS: Final = Amounts(sobol=31, near=0, repeated=8, seeds=2, anchors=2)


@dataclass(frozen=True)
class Sizes:
    """Of the recording, and of the boards: strategies, budget in random trainings, and seeds."""

    amounts: Amounts = AMOUNTS
    strategies: tuple[str, ...] = ("random", "tpe", "hyperband")
    live: tuple[str, ...] = ("--budget", "1000", "--seeds", "0")
    replayed: tuple[str, ...] = ("--budget", "40", "--seeds", "0-9")


SIZES: Final = Sizes()


@dataclass
class Kind:
    """A kind of board to be killed: by what arguments it is made, and one that nobody disturbed."""

    name: str
    arguments: Sequence[str]
    undisturbed: Path
    boards: int = 0
    kills: dict[str, int] = field(default_factory=dict)

    def command(self, out: Path) -> list[str]:
        return [sys.executable, "-P", "-c", "from suite.cli import main; main()", *self.arguments, "--out", str(out)]


def record(work: Path, amounts: Amounts) -> str:
    """The small task with a recorded table, in ``work``."""
    shutil.copy(HERE.parent / "replay" / "noisy.py", work)
    task = f"{work / 'noisy.py'}:TASK"
    recording = Recording(task, work / "recordings", Settings(meters=("cpu-time",), crosscheck=False), amounts)
    assert recording.make(Silent(), float("inf"))
    recording.write()
    return task


def kinds(work: Path, task: str, sizes: Sizes, more: Sequence[str] = ()) -> list[Kind]:
    """Both kinds of board, each with one that nobody disturbs. ``more``: arguments of the command."""
    found = []
    chosen = [word for strategy in sizes.strategies for word in ("--strategy", strategy)]
    for name, arguments in (("live", LIVE + sizes.live), ("replayed", REPLAYED + sizes.replayed)):
        kind = Kind(name, ["run", "--task", task, *chosen, *arguments, *more], work / f"{name}-whole")
        subprocess.run(kind.command(kind.undisturbed), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found.append(kind)
    return found


def kill_board(kind: Kind, board: Path, rounds: int, rng: random.Random, say: Callable[[str], None]) -> int:
    """Kill the making of ``board`` up to ``rounds`` times, until it is whole. Returns how often."""
    done, known = 0, {}
    while not _is_whole(board):
        with (board.parent / f"{board.name}.output").open("ab") as output:
            main = psutil.Popen(kind.command(board), stdout=output, stderr=output)
        while done < rounds and main.poll() is None:
            _wait(board, main, rng)
            role, victim, tree = _victim(main, rng)
            if victim is None:
                break
            victim.kill()
            done += 1
            kind.kills[role] = kind.kills.get(role, 0) + 1
            if role == "main":
                main.wait()
                _, alive = psutil.wait_procs(tree, timeout=GONE_SECONDS)
                assert not alive, f"left behind by a killed command: {alive}"
            known = _check(kind, board, known)
            say(f"{kind.name} {board.name}: killed {role}; {sum(map(len, known.values()))} trials in its logs")
        main.wait()
    _check_whole(kind, board)
    kind.boards += 1
    return done


def _wait(board: Path, main: psutil.Popen, rng: random.Random) -> None:
    """Until some random moment: shortly after a run has logged something, or any."""
    until, size = time.monotonic() + rng.uniform(0.0, 8.0), _logged(board)
    if rng.random() < 0.75:
        while _logged(board) == size and main.poll() is None:
            time.sleep(0.01)
        until = time.monotonic() + rng.choice((0.0, 0.05, 2.0)) * rng.random()
    while time.monotonic() < until and main.poll() is None:
        time.sleep(0.005)


def _logged(board: Path) -> int:
    size = 0
    for path in (board / "runs").rglob(LOG_NAME):
        with suppress(FileNotFoundError):  # a replayed run is begun anew
            size += path.stat().st_size
    return size


def _victim(main: psutil.Popen, rng: random.Random) -> tuple[str, psutil.Process | None, list[psutil.Process]]:
    """A process of the command's tree, each role as likely as the others; and the whole tree below main."""
    try:
        runs = main.children()
        children = [child for run in runs for child in run.children(recursive=True)]
    except psutil.NoSuchProcess:
        return "", None, []
    roles = {"main": [psutil.Process(main.pid)] if main.poll() is None else [], "run": runs, "child": children}
    present = [role for role, processes in roles.items() if processes]
    if not present:
        return "", None, []
    role = rng.choice(present)
    return role, rng.choice(roles[role]), [*runs, *children]


def _is_whole(board: Path) -> bool:
    if not (board / "plan.jsonl").exists() or not (board / "board.json").exists():
        return False
    runs = board_status(board).runs
    return bool(runs) and all(run.state == "ended" for run in runs)


def _check(kind: Kind, board: Path, known: dict[Path, list[Trial]]) -> dict[Path, list[Trial]]:
    """Every log against what it held at the kill before. Returns what the logs hold now."""
    found = {}
    for path in sorted(board.rglob(LOG_NAME)):
        try:
            log = read_log(path)
        except LogError as error:
            if _is_begun_anew(path):
                continue
            raise AssertionError(str(error)) from error
        found[path] = trials(log)
        assert log.total_microjoules == log.recorded_total_microjoules, path
        numbers = [trial[0] for trial in found[path]]
        assert len(set(numbers)) == len(numbers), f"{path}: a trial is there twice"
        before = known.get(path, [])
        if kind.name == "live":
            assert found[path][: len(before)] == before, f"{path}: a completed trial was lost or changed"
    if kind.name == "live":
        assert set(known) <= set(found), "a log is gone"
    return found


def _is_begun_anew(path: Path) -> bool:
    """Whether there is no whole record yet."""
    return not path.exists() or b"\n" not in path.read_bytes()


def _check_whole(kind: Kind, board: Path) -> None:
    """The board, now that it is whole, against the one that nobody disturbed."""
    logs = {path.relative_to(board): path for path in sorted((board / "runs").rglob(LOG_NAME))}
    others = {path.relative_to(kind.undisturbed): path for path in (kind.undisturbed / "runs").rglob(LOG_NAME)}
    assert set(logs) == set(others)
    for name, path in logs.items():
        log, other = read_log(path), read_log(others[name])
        assert log.ended
        assert sorted(trial.number for trial in log.trials) == list(range(1, len(log.trials) + 1)), path
        phases = log.microjoules_by_phase()
        free = sum(phases.get(phase, 0) for phase in ("setup", "resume", "test"))
        assert log.charged_microjoules == log.total_microjoules - free - log.lost_microjoules, path
        if kind.name == "live":
            common = _common(log, other)
            assert trials(log)[:common] == trials(other)[:common], path
        else:
            assert path.read_bytes() == others[name].read_bytes(), path


def _common(log: RunLog, other: RunLog) -> int:
    """How many trials must be alike: not the last one, which the budget may cut short, and none from the first on that
    failed with its killed worker, which is what a strategy is told of it."""
    killed = (place for place, trial in enumerate(log.trials) if "SIGKILL" in trial.reason)
    return max(0, min(len(log.trials) - 1, len(other.trials) - 1, *killed))


def trials(log: RunLog) -> list[Trial]:
    """What a run did, energy and time left out."""
    return [(trial.number, trial.proposal, trial.validation, trial.test) for trial in log.trials]


def kill_rounds(
    work: Path,
    rounds: int,
    seed: int,
    say: Callable[[str], None],
    sizes: Sizes = SIZES,
    more: Sequence[str] = (),
) -> list[Kind]:
    """``rounds`` kills over live and replayed boards below ``work``. Raises ``AssertionError``."""
    rng, done = random.Random(seed), 0
    found = kinds(work, record(work, sizes.amounts), sizes, more)
    while done < rounds:
        for kind in found:
            share = min(rounds - done, -(-rounds // 2), MOST_A_BOARD)
            done += kill_board(kind, work / f"{kind.name}-{kind.boards}", share, rng, say)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="a folder that is made anew")
    parser.add_argument("more", nargs="*", help="further arguments of the command, after --: for example --engine ray")
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    began = time.monotonic()
    done = kill_rounds(given.work, given.rounds, given.seed, lambda line: print(line, flush=True), more=given.more)
    for kind in done:
        print(f"{kind.name}: {kind.boards} boards made whole, killed: {kind.kills}")
    print(f"{given.rounds} rounds in {time.monotonic() - began:.0f} s, {os.cpu_count()} cores: nothing was lost")


if __name__ == "__main__":
    main()
