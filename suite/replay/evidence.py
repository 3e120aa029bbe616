"""How near a table's answers come to trainings that it has not seen.

Every configuration is answered by a process that was fitted to the others alone (cross-validation in ``FOLDS``), and
the answers' order is compared with the recorded one by Kendall's tau. Two seeds of one configuration agree only so far:
that ceiling is the tau between the recorded values of two seeds, over the same configurations, those with several.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Final, Self

import numpy as np
from scipy.stats import kendalltau

from suite.replay.recorded import Curves, Fitted, Recorded
from suite.task import TaskSpec

FOLDS: Final = 8
BEST: Final = 0.25  # of all configurations, by validation
ENOUGH_OF_CEILING: Final = 0.9
ENOUGH_ENERGY: Final = 0.85
SMALL_ERROR: Final = 0.1  # of energy: where all configurations take nearly the same, their order says nothing
FEWEST: Final = 8  # configurations that a tau is given for

Array = np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau of held-out answers and of two seeds (``ceiling``) with what was recorded. None: too few."""

    configurations: int
    answers: float | None
    ceiling: float | None

    @property
    def ratio(self) -> float | None:
        return self.answers / self.ceiling if self.answers is not None and self.ceiling else None

    @property
    def enough(self) -> bool:
        """Whether the answers come near what two seeds reach, of which there is something to come near to."""
        return self.ratio is not None and (self.ceiling or 0.0) > 0 and self.ratio >= ENOUGH_OF_CEILING


@dataclass(frozen=True)
class Evidence:
    """Of one table: the final validation value over all configurations that have several seeds and over those of them
    in the best quarter of the table, the final test value, and the energy of a full training over all configurations:
    tau, and the median of the relative error.
    """

    overall: Agreement
    best: Agreement
    test: Agreement
    energy: float | None
    energy_error: float | None

    @property
    def enough(self) -> bool:
        """Whether unseen configurations may be answered: otherwise the table replays what was recorded only."""
        ordered = self.energy is not None and self.energy >= ENOUGH_ENERGY
        near = self.energy_error is not None and self.energy_error <= SMALL_ERROR
        return self.overall.enough and self.best.enough and (ordered or near)

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        parts = {name: Agreement(**record[name]) for name in ("overall", "best", "test")}
        return cls(**parts, energy=record["energy"], energy_error=record["energy_error"])


def evidence(curves: Curves, spec: TaskSpec) -> Evidence:
    """Measured anew: ``FOLDS`` fits, some seconds each."""
    values, energies = _held_out(curves, spec)  # by configuration: (n, 2), (n,)
    whole = np.flatnonzero(curves.whole)
    several = [
        which for which, count in enumerate(np.bincount(curves.which[whole], minlength=len(values))) if count > 1
    ]
    means = np.full(len(values), np.nan)
    for which in np.unique(curves.which[whole]):
        means[which] = curves.final[curves.whole & (curves.which == which), 0].mean()
    sign = 1 if spec.validation.goal == "minimize" else -1
    known = np.isfinite(means)
    bound = np.quantile(sign * means[known], BEST)
    best = [which for which in several if sign * means[which] <= bound]
    spent = np.log(curves.steps.sum(1))
    first = [int(np.flatnonzero(curves.whole & (curves.which == which))[0]) for which in np.flatnonzero(known)]
    return Evidence(
        _agreement(curves, several, 0, values[:, 0]),
        _agreement(curves, best, 0, values[:, 0]),
        _agreement(curves, several, 1, values[:, 1]),
        _tau(energies[known], spent[first]),
        float(np.median(np.abs(np.expm1(energies[known] - spent[first])))),
    )


def _held_out(curves: Curves, spec: TaskSpec) -> tuple[Array, Array]:
    """Denoised final values, in normal scores, and log energies of each configuration, by the table without it."""
    count = len(curves.configurations)
    fold_of = np.random.default_rng(0).permutation(count) % FOLDS
    values, energies = np.zeros((count, 2)), np.zeros(count)
    for fold in range(FOLDS):
        kept = fold_of[curves.which] != fold
        recorded = Recorded(curves, spec, Fitted.to(curves, spec, kept), kept)
        held_out = np.flatnonzero(fold_of == fold)
        asked = [curves.configurations[which] for which in held_out]
        values[held_out] = recorded.means(asked)
        energies[held_out] = np.log(recorded.energies(asked)[:, 0])
    return values, energies


def _agreement(curves: Curves, chosen: list[int], split: int, answers: Array) -> Agreement:
    """Over the ``chosen`` configurations, the mean over pairs of seeds that most of these have."""
    by_seed = {
        seed: {which: curves.final[n, split] for n, which in enumerate(curves.which) if curves.seeds[n] == seed}
        for seed in np.unique(curves.seeds)
    }
    seeds = [seed for seed, values in by_seed.items() if sum(which in values for which in chosen) > len(chosen) / 2]
    pairs = [_ceiling(by_seed[one], by_seed[other], chosen) for one, other in combinations(seeds, 2)]
    reached = [_of_seed(by_seed[seed], chosen, answers) for seed in seeds]
    return Agreement(len(chosen), _mean(reached), _mean(pairs))


def _ceiling(one: Mapping[int, float], other: Mapping[int, float], chosen: list[int]) -> float | None:
    both = [which for which in chosen if which in one and which in other]
    return _tau(np.array([one[which] for which in both]), np.array([other[which] for which in both]))


def _of_seed(values: Mapping[int, float], chosen: list[int], answers: Array) -> float | None:
    known = [which for which in chosen if which in values]
    return _tau(np.array([values[which] for which in known]), answers[known])


def _tau(one: Array, other: Array) -> float | None:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < FEWEST:
        return None
    tau = float(kendalltau(one[known], other[known]).statistic)
    return tau if np.isfinite(tau) else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
