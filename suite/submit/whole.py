"""What no single log shows: whether all runs are there, on one machine, and in proportion to those of random search."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Final

from suite.energy.ledger import Segment
from suite.runs.log import RunLog
from suite.score.board import RANDOM
from suite.submit.findings import Findings
from suite.submit.header import BoardFile
from suite.submit.layout import Metadata, seeds_of
from suite.submit.power import Use
from suite.submit.rules import (
    FREE_FACTOR,
    FREE_SECONDS,
    FREE_TEST_SECONDS,
    OVERLAP_SECONDS,
    REFERENCE_FACTOR,
    REFERENCE_TRAININGS,
)

_SAME_VALUES: Final = 3  # trials from which validation and test values may not be the same


@dataclass(frozen=True)
class Checked:
    """A log without a finding of its own: ``log`` as scored, ``use`` as metered."""

    file: str
    log: RunLog
    use: Use

    @property
    def task(self) -> str:
        return self.log.header.task.name

    @property
    def strategy(self) -> str:
        return str(self.log.header.strategy["name"])


def expected_files(metadata: Metadata, board: BoardFile) -> dict[str, tuple[str, str, int]]:
    """The logs that must be there: by path, the task, the strategy and the seed. The trainings of the default first."""
    files = {
        f"calibration/{task}/seed-{seed}/log.jsonl": (task, "default", seed)
        for task in metadata.tasks
        for seed in range(board.settings.default_trainings)
    }
    for task in metadata.tasks:
        for seed in seeds_of(metadata.nonce, task, metadata.seeds):
            for strategy in dict.fromkeys((metadata.strategy, RANDOM)):
                files[f"runs/{task}/{strategy}/seed-{seed}/log.jsonl"] = (task, strategy, seed)
    return files


def slim(log: RunLog) -> RunLog:
    """``log`` with its segments added up by phase and trial: it scores the same, and takes little memory."""
    sums: dict[tuple[str, int | None], list[int]] = {}
    microjoules: dict[tuple[str, int | None], dict[str, int]] = {}
    kinds: dict[tuple[str, int | None], Segment] = {}
    for each in log.segments:
        key = (each.phase, each.trial)
        kinds.setdefault(key, each)
        cpu_ns, wall_ns = sums.get(key, (0, 0))
        sums[key] = [cpu_ns + each.cpu_ns, wall_ns + each.wall_ns]
        added = microjoules.setdefault(key, {})
        for component, amount in each.microjoules.items():
            added[component] = added.get(component, 0) + amount
    segments = tuple(
        first._replace(microjoules=microjoules[key], cpu_ns=sums[key][0], wall_ns=sums[key][1])
        for key, first in kinds.items()
    )
    return replace(log, segments=segments)


def check_uncharged(runs: Sequence[Checked], default_cpu_seconds: Mapping[str, float], findings: Findings) -> None:
    """What is not charged (setup, test) is in proportion to random search's on the same task and machine."""
    for task, own in _by_task(runs).items():
        reference = [each for each in own if each.strategy == RANDOM]
        setup = median([each.use.of_phase("setup") / 1e9 for each in reference] or [0.0])
        share = median([share for each in reference for share in _test_shares(each).values()] or [1.0])
        for each in own:
            _check_setup(each, FREE_FACTOR * setup + FREE_SECONDS, findings)
            _check_tests(each, share, 0.1 * default_cpu_seconds[task] + FREE_TEST_SECONDS, findings)


def _check_setup(checked: Checked, most: float, findings: Findings) -> None:
    seconds = checked.use.of_phase("setup") / 1e9
    if seconds > most:
        findings.add(
            "plausibility",
            checked.file,
            f"setup took {seconds:.3g} CPU s; by random search's on this task at most {most:.3g} go uncharged: what a "
            "strategy needs beyond it belongs to 'ask'",
        )


def _check_tests(checked: Checked, usual: float, slack: float, findings: Findings) -> None:
    """``usual``: CPU time of test over that of validation in random search's runs. ``slack``: CPU seconds beside it."""
    for trial, share in _test_shares(checked).items():
        validated, tested = (checked.use.cpu_ns[phase, trial] / 1e9 for phase in ("validate", "test"))
        if tested > FREE_FACTOR * usual * validated + slack:
            findings.add(
                "plausibility",
                checked.file,
                f"trial {trial} took {tested:.3g} CPU s of test and {validated:.3g} of validation, a share of "
                f"{share:.3g}; in random search's runs it is {usual:.3g}",
            )


def _test_shares(checked: Checked) -> dict[int, float]:
    """CPU time of test over that of validation, by trial; where the trial was tested at all."""
    cpu_ns = checked.use.cpu_ns
    return {
        trial: used / max(1, cpu_ns.get(("validate", trial), 0))
        for (phase, trial), used in cpu_ns.items()
        if phase == "test" and trial is not None and used > 0
    }


def check_reference(runs: Sequence[Checked], findings: Findings) -> None:
    """A random training costs m_t times the default's, within a wide factor: the budget is that many of them."""
    for task, own in _by_task(runs).items():
        random = [each for each in own if each.strategy == RANDOM]
        full = [
            trial.microjoules
            for each in random
            for trial in each.log.trials
            if not trial.returned
            and trial.status == "ok"
            and trial.proposal.fidelity == each.log.header.task.fidelity.maximum
        ]
        header = random[0].log.header if random else None
        if header is None or header.task.constants is None or header.program or len(full) < REFERENCE_TRAININGS:
            continue
        expected = header.task.constants.m_t * header.budget.default_microjoules
        ratio = sum(full) / len(full) / expected
        if not 1 / REFERENCE_FACTOR <= ratio <= REFERENCE_FACTOR:
            findings.add(
                "reference",
                f"runs/{task}/{RANDOM}",
                f"{len(full)} random trainings took {ratio:.3g} times what m_t and the default make of them; "
                f"the frozen constants hold within a factor of {REFERENCE_FACTOR:g}",
            )


def check_sight(runs: Sequence[Checked], findings: Findings) -> None:
    """No run was told test values in the place of validation values."""
    for each in runs:
        distinct = {(trial.validation, trial.test) for trial in each.log.trials if trial.test is not None}
        same = sum(validation == test for validation, test in distinct)
        if len(distinct) >= _SAME_VALUES and 2 * same > len(distinct):
            findings.add(
                "test data",
                each.file,
                f"{same} of {len(distinct)} trials have the test value as their validation value: a strategy sees "
                "validation values only",
            )


def check_one_strategy(runs: Sequence[Checked], findings: Findings) -> None:
    """All runs of a strategy are of one version, library and source."""
    first: dict[str, Checked] = {}
    for each in runs:
        other = first.setdefault(each.strategy, each)
        if dict(other.log.header.strategy) != dict(each.log.header.strategy):
            findings.add("header", each.file, f"the strategy differs from that of {other.file}; all runs are of one", 1)
        ours, theirs = each.log.header, other.log.header
        if (ours.suite, dict(ours.unmetered)) != (theirs.suite, dict(theirs.unmetered)) or ours.meters != theirs.meters:
            findings.add(
                "header", each.file, f"suite or meters differ from those of {other.file}; all runs are alike", 1
            )


def check_side_by_side(checked: Sequence[Checked], jobs: int, findings: Findings) -> None:
    """No more runs at once than the board says: what two runs do in the same second is metered in one of them only."""
    events: list[tuple[datetime, float, Checked]] = sorted(
        ((start, seconds, each) for each in checked for start, seconds in each.use.stretches),
        key=lambda event: event[0],
    )
    running: list[tuple[float, Checked]] = []
    for start, seconds, each in events:
        begun = start.timestamp()
        running = [(until, other) for until, other in running if until > begun + OVERLAP_SECONDS]
        if len(running) >= jobs:
            others = ", ".join(sorted(other.file for _, other in running)[:5])
            findings.add("time", each.file, f"began while {others} still ran; the board has {jobs} run(s) at a time", 2)
        running.append((begun + seconds, each))


def begun(checked: Iterable[Checked]) -> datetime | None:
    return min((start for each in checked for start, _ in each.use.stretches), default=None)


def _by_task(runs: Iterable[Checked]) -> dict[str, list[Checked]]:
    groups: dict[str, list[Checked]] = {}
    for each in runs:
        groups.setdefault(each.task, []).append(each)
    return groups
