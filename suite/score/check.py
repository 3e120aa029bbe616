"""The regression gate: do runs come to what a baseline recorded? A pure function of trial logs and the baseline.

Energy that is read live differs from run to run, so it never gates. What a run is compared by depends on its tier:

    replay     deterministic. Values against recorded training and validation energy, in shares of the budget; the
               strategy's own overhead, which is live, is left out. They must equal the baseline to 1e-12.
    any other  values against the number of trials, up to the number that both runs made.

Where the version of a strategy changed, its random numbers may have too, and other values are no mistake: then, as for
runs that are not replayed, one paired sign-flip test a strategy decides, over all its tasks and seeds. The strategy has
changed where p < .001 (Holm over the strategies) and Pi moved by .02 or more, up or down.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from scipy.stats import permutation_test

from suite.runs.log import RunLog
from suite.score.curve import CAP, FLOOR, incumbents
from suite.score.efficiency import Array, against_reference, efficiency, weights

SCHEMA: Final = 1
TOLERANCE: Final = 1e-12
ALPHA: Final = 0.001
LEAST_SHIFT: Final = 0.02  # of Pi
LEAST_PAIRS: Final = 11  # the smallest p of a sign-flip test of n pairs is 2 / 2**n
FLIPS: Final = 99_999
REPLAY: Final = "replay"
GATED_PHASES: Final = frozenset({"train", "validate"})

Key = tuple[str, str, str, int]  # task, its version, strategy, seed
Status = Literal["same", "changed", "missing", "extra"]


class CheckError(ValueError):
    """Logs or a baseline that cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class RunRecord:
    """What the gate keeps of a run: its incumbents, trial 0 first.

    at: where each came: in shares of the budget where the run is ``replayed``, else in numbers of trials. length: where
    the run stopped counting, 1 or its number of trials. validation, s: the incumbents' values. kappa: u of random
    search on the task, from its card.
    """

    task: str
    task_version: str
    strategy: str
    strategy_version: str
    seed: int
    replayed: bool
    trials: int
    length: float
    kappa: float
    at: tuple[float, ...]
    validation: tuple[float, ...]
    s: tuple[float, ...]

    @property
    def key(self) -> Key:
        return self.task, self.task_version, self.strategy, self.seed

    def until(self, length: float) -> tuple[float, float]:
        """s at ``length``, and the mean of 1 - s up to there."""
        starts = np.minimum(np.array(self.at), length)
        spans = np.diff(starts, append=length)
        reached = [s for at, s in zip(self.at, self.s, strict=True) if at <= length]
        return reached[-1], float(np.dot(1 - np.array(self.s), spans) / length) if length else 1.0


@dataclass(frozen=True)
class Comparison:
    """One strategy on one task. exact: compared to 1e-12, else by a test. p: of the task alone, by the sign-flip test,
    with Holm's correction over all such comparisons; None where exact. Pi are None where a side has no runs."""

    task: str
    strategy: str
    exact: bool
    seeds: int
    pi_before: float | None
    pi_after: float | None
    p: float | None
    status: Status
    message: str


@dataclass(frozen=True)
class Shift:
    """The test of one strategy over all its tasks. p: with Holm's correction over the strategies that are tested."""

    strategy: str
    pairs: int
    pi_before: float
    pi_after: float
    p: float

    @property
    def changed(self) -> bool:
        return self.p < ALPHA and abs(self.pi_after - self.pi_before) >= LEAST_SHIFT


@dataclass(frozen=True)
class Report:
    """What a check found. Comparisons are in the order of tasks and strategies."""

    comparisons: tuple[Comparison, ...]
    shifts: tuple[Shift, ...]

    @property
    def passed(self) -> bool:
        as_before = all(each.status == "same" for each in self.comparisons if each.exact)
        return as_before and not any(shift.changed for shift in self.shifts)


def record(log: RunLog) -> RunRecord:
    """What the gate keeps of ``log``. Raises ``CheckError`` for a run that cannot be scored or has not ended."""
    spec, budget = log.header.task, log.header.budget
    if spec.constants is None or budget.v0 is None or not budget.microjoules:
        raise CheckError(f"{log.path}: a run without constants, trial 0 or an energy budget cannot be checked")
    if log.ended is None:
        raise CheckError(f"{log.path}: this run has not ended; go on with it by the command that began it")
    a0, a1 = spec.constants.a0, spec.constants.a1
    replayed = log.header.tier == REPLAY
    at = _replayed_energy(log) if replayed else [float(number) for number in range(1, len(log.trials) + 1)]
    length = 1.0 if replayed else float(len(log.trials))
    found = incumbents(log.trials, at, spec.validation, budget.v0, length)
    return RunRecord(
        task=spec.name,
        task_version=spec.version,
        strategy=str(log.header.strategy["name"]),
        strategy_version=str(log.header.strategy.get("version", "")),
        seed=log.header.seed,
        replayed=replayed,
        trials=len(log.trials),
        length=length,
        kappa=spec.constants.kappa_t,
        at=(0.0, *(where for _, where in found)),
        validation=(budget.v0, *(float(trial.validation or 0.0) for trial, _ in found)),
        s=(0.0, *(min(CAP, max(FLOOR, (float(trial.test or 0.0) - a0) / (a1 - a0))) for trial, _ in found)),
    )


def _replayed_energy(log: RunLog) -> list[float]:
    """Recorded energy up to the end of each trial, in shares of the budget."""
    of_trial: dict[int, int] = {}
    for segment in log.segments:
        if segment.trial is not None and segment.phase in GATED_PHASES:
            of_trial[segment.trial] = of_trial.get(segment.trial, 0) + segment.total_microjoules
    spent = np.cumsum([of_trial.get(trial.number, 0) for trial in log.trials])
    return [float(each) / (log.header.budget.microjoules or 1) for each in spent]


def records(logs: Iterable[RunLog]) -> list[RunRecord]:
    """Of all ranked runs, sorted. Raises ``CheckError``."""
    found = sorted((record(log) for log in logs if log.header.role == "ranked"), key=lambda each: each.key)
    if not found:
        raise CheckError("there are no ranked runs to check; make some with `carbon-suite run`")
    for one, other in pairwise(found):
        if one.key == other.key:
            raise CheckError(f"there are two logs of the run {' '.join(map(str, one.key))}; give one of them")
    return found


def to_baseline(found: Sequence[RunRecord]) -> dict[str, Any]:
    """The baseline as JSON can hold it."""
    return {"schema": SCHEMA, "runs": [asdict(each) for each in found]}


def from_baseline(content: Any) -> list[RunRecord]:
    """Inverse of ``to_baseline``. Raises ``CheckError`` for anything else."""
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA or not isinstance(content.get("runs"), list):
        raise CheckError(f"a baseline is a JSON object of schema {SCHEMA} with runs; write one with --update")
    try:
        return [_to_run(run) for run in content["runs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckError(f"a run of the baseline is not one: {error!r}; write it anew with --update") from error


def _to_run(row: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        task=str(row["task"]),
        task_version=str(row["task_version"]),
        strategy=str(row["strategy"]),
        strategy_version=str(row["strategy_version"]),
        seed=int(row["seed"]),
        replayed=bool(row["replayed"]),
        trials=int(row["trials"]),
        length=float(row["length"]),
        kappa=float(row["kappa"]),
        at=tuple(map(float, row["at"])),
        validation=tuple(map(float, row["validation"])),
        s=tuple(map(float, row["s"])),
    )


def check(now: Sequence[RunRecord], baseline: Sequence[RunRecord]) -> Report:
    """Compare runs with the baseline's. Raises ``CheckError`` where the two can tell nothing of each other."""
    before, after = {each.key: each for each in baseline}, {each.key: each for each in now}
    groups = sorted({(task, version, strategy) for task, version, strategy, _ in (*before, *after)})
    exact: list[Comparison] = []
    tested: dict[tuple[str, str], _Pairs] = {}
    for task, version, strategy in groups:
        seeds = sorted({key[3] for key in (*before, *after) if key[:3] == (task, version, strategy)})
        keys = [(task, version, strategy, seed) for seed in seeds]
        absent = _absent(keys, before, after)
        if absent:
            exact.append(absent)
            continue
        old, new = [before[key] for key in keys], [after[key] for key in keys]
        _check_comparable(old, new)
        if old[0].replayed and all(o.strategy_version == n.strategy_version for o, n in zip(old, new, strict=True)):
            exact.append(_exactly(task, strategy, old, new))
        else:
            tested[task, strategy] = _Pairs.of(old, new)
    found = [*exact, *_by_task(tested)]
    return Report(tuple(sorted(found, key=lambda each: (each.task, each.strategy))), _shifts(tested))


def _absent(keys: Sequence[Key], before: Mapping[Key, RunRecord], after: Mapping[Key, RunRecord]) -> Comparison | None:
    """The comparison of a group that one of the sides has not in full."""
    task, version, strategy, _ = keys[0]
    sides: tuple[tuple[Status, str, Mapping[Key, RunRecord]], ...] = (
        ("missing", "the logs", after),
        ("extra", "the baseline", before),
    )
    for status, where, side in sides:
        seeds = ", ".join(str(key[3]) for key in keys if key not in side)
        if seeds:
            message = f"version {version} of the task is not in {where} with seed {seeds}"
            return Comparison(task, strategy, True, len(keys), None, None, None, status, message)
    return None


def _check_comparable(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> None:
    for old, new in zip(before, after, strict=True):
        if old.replayed != new.replayed:
            raise CheckError(
                f"{new.strategy} on {new.task} with seed {new.seed} is replayed on one side only: a baseline of "
                "replayed runs is compared with replayed runs"
            )


def _exactly(task: str, strategy: str, before: Sequence[RunRecord], after: Sequence[RunRecord]) -> Comparison:
    differences = [text for old, new in zip(before, after, strict=True) if (text := _difference(old, new)) is not None]
    pi = [_pi(_totals(side, [1.0] * len(side)), side[0].kappa) for side in (before, after)]
    status: Status = "changed" if differences else "same"
    return Comparison(task, strategy, True, len(before), pi[0], pi[1], None, status, "; ".join(differences[:3]))


def _difference(old: RunRecord, new: RunRecord) -> str | None:
    """What differs first, in words."""
    if old.trials != new.trials:
        return f"seed {new.seed}: {new.trials} trials, were {old.trials}"
    if len(old.at) != len(new.at):
        return f"seed {new.seed}: {len(new.at) - 1} incumbents, were {len(old.at) - 1}"
    for name in ("kappa", "at", "validation", "s"):
        ours, theirs = np.atleast_1d(getattr(new, name)), np.atleast_1d(getattr(old, name))
        gaps = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        worst = int(np.argmax(gaps))
        if not gaps[worst] <= TOLERANCE:  # nan too
            return f"seed {new.seed}: {name} is {ours[worst]:.17g}, was {theirs[worst]:.17g}"
    return None


@dataclass(frozen=True)
class _Pairs:
    """Runs of one strategy on one task, paired by seed and cut to the length that both have: (seeds,) each."""

    final_before: Array
    area_before: Array
    final_after: Array
    area_after: Array
    kappa: float

    @classmethod
    def of(cls, before: Sequence[RunRecord], after: Sequence[RunRecord]) -> "_Pairs":
        lengths = [min(old.length, new.length) for old, new in zip(before, after, strict=True)]
        return cls(*_totals(before, lengths), *_totals(after, lengths), after[0].kappa)

    @property
    def differences(self) -> Array:
        return np.asarray(self.area_after - self.area_before)

    @property
    def pi(self) -> tuple[float, float]:
        """Before and after."""
        return (
            _pi((self.final_before, self.area_before), self.kappa),
            _pi((self.final_after, self.area_after), self.kappa),
        )


def _totals(runs: Sequence[RunRecord], lengths: Sequence[float]) -> tuple[Array, Array]:
    final_s, areas = np.array([run.until(length) for run, length in zip(runs, lengths, strict=True)]).T
    return final_s, areas


def _pi(totals: tuple[Array, Array], kappa: float) -> float:
    return float(against_reference(efficiency(*totals), np.asarray(kappa)))


def _by_task(tested: Mapping[tuple[str, str], _Pairs]) -> list[Comparison]:
    corrected = holm([sign_flip(pairs.differences, " ".join(key)) for key, pairs in tested.items()])
    return [
        Comparison(task, strategy, False, len(pairs.differences), *pairs.pi, p, _by_test(pairs.pi, p), "")
        for ((task, strategy), pairs), p in zip(tested.items(), corrected, strict=True)
    ]


def _by_test(pi: tuple[float, float], p: float) -> Status:
    return "changed" if p < ALPHA and abs(pi[1] - pi[0]) >= LEAST_SHIFT else "same"


def _shifts(tested: Mapping[tuple[str, str], _Pairs]) -> tuple[Shift, ...]:
    """One test a strategy, over all its tasks."""
    found = []
    for strategy in sorted({strategy for _, strategy in tested}):
        own = {task: pairs for (task, other), pairs in tested.items() if other == strategy}
        differences = np.concatenate([pairs.differences for pairs in own.values()])
        if len(differences) < LEAST_PAIRS:
            raise CheckError(
                f"{strategy} has {len(differences)} runs to compare by a test, and a sign-flip test at {ALPHA:g} can "
                f"tell nothing from fewer than {LEAST_PAIRS}; make more seeds or tasks"
            )
        before, after = (np.dot(weights(list(own)), [pairs.pi[side] for pairs in own.values()]) for side in (0, 1))
        found.append(Shift(strategy, len(differences), float(before), float(after), sign_flip(differences, strategy)))
    corrected = holm([shift.p for shift in found])
    return tuple(
        Shift(each.strategy, each.pairs, each.pi_before, each.pi_after, p)
        for each, p in zip(found, corrected, strict=True)
    )


def sign_flip(differences: Array, name: str) -> float:
    """Two-sided p of paired differences under random signs; exact up to 16 pairs. ``name`` seeds the draws of signs."""
    if not np.any(differences):
        return 1.0
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    found = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=5_000,
        rng=rng,
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.array(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled)) if len(p_values) else scaled
    return [float(p) for p in corrected]
