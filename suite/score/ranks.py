"""Uncertainty over seeds: paired bootstrap, BCa intervals, rank intervals, probability of improvement.

Seeds are paired across methods: one draw of seed indices a task, shared by all methods. Independent draws would see
differences where there are none.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from scipy.stats import norm

from suite.score.efficiency import Array, against_reference, efficiency

RESAMPLES = 9_999
LEVEL = 0.95


@dataclass(frozen=True)
class TaskSeeds:
    """What the runs of all methods on one task came to: ``final_s`` and ``areas`` (D / B), (methods, seeds) each.

    ran: which methods ran the task at all; the others count pi = 0. kappa: the frozen reference, or None where the
    method in row ``reference`` stands in.
    """

    final_s: Array
    areas: Array
    ran: Array
    kappa: float | None
    reference: int | None

    def pi(self, draws: Array) -> Array:
        """pi of each method over ``draws`` (draws, n) of seed indices: (methods, draws)."""
        u = efficiency(self.final_s[:, draws], self.areas[:, draws])
        return np.where(self.ran[:, None], against_reference(u, self._kappa(u)), 0.0)

    def covariance(self, draws: Array) -> Array:
        """Covariance of the methods' pi over seeds, estimated within each draw: (draws, methods, methods).

        By the delta method: u is a ratio of sums over seeds, and pi a function of u and kappa.
        """
        final_s, areas = self.final_s[:, draws], self.areas[:, draws]
        u = efficiency(final_s, areas)[..., None]
        slope_u = np.where(u > 0, final_s - u * areas, 0.0) / areas.sum(axis=-1, keepdims=True)
        kappa = self._kappa(u[..., 0])[..., None]
        slope_kappa = 0.0 if self.reference is None else slope_u[self.reference]
        total = u + kappa
        slope = np.divide(kappa * slope_u - u * slope_kappa, total**2, out=np.zeros_like(slope_u), where=total > 0)
        slope = np.where(self.ran[:, None, None], slope, 0.0).transpose(1, 0, 2)
        n = draws.shape[1]
        return np.asarray(slope @ slope.transpose(0, 2, 1) * n / (n - 1))

    def _kappa(self, u: Array) -> Array:
        return np.full(u.shape[1:], self.kappa) if self.reference is None else u[self.reference]

    @property
    def seeds(self) -> int:
        return int(self.final_s.shape[1])


@dataclass(frozen=True)
class Uncertainty:
    """Per method: interval of Pi (None where there are too few seeds) and interval of ranks, best is 1."""

    pi_intervals: tuple[tuple[float, float] | None, ...]
    rank_intervals: tuple[tuple[int, int], ...]


def uncertainty(tasks: Sequence[TaskSeeds], weights: Array, resamples: int = RESAMPLES) -> Uncertainty:
    """Intervals of Pi, and ranks from simultaneous intervals of its pairwise differences.

    With one seed on some task there is nothing to resample: no intervals, and nobody is separated.
    """
    methods = tasks[0].final_s.shape[0]
    if any(task.seeds < 2 for task in tasks):
        return Uncertainty((None,) * methods, ((1, methods),) * methods)
    rng = np.random.default_rng(_seed(tasks))
    point, spread = _combined(tasks, weights, [np.arange(task.seeds)[None] for task in tasks])
    draws, spreads = _combined(tasks, weights, [rng.integers(t.seeds, size=(resamples, t.seeds)) for t in tasks])
    influence = np.concatenate([w * _influence(task) for w, task in zip(weights, tasks, strict=True)], axis=1)
    intervals = tuple(bca(point[m, 0], draws[m], influence[m]) for m in range(methods))
    return Uncertainty(intervals, rank_intervals(point[:, 0], spread[0], draws, spreads))


def _combined(tasks: Sequence[TaskSeeds], weights: Array, draws: Sequence[Array]) -> tuple[Array, Array]:
    """Pi over ``draws`` of the seeds of each task, (methods, draws), and its covariances, (draws, methods, methods)."""
    pi = sum(w * task.pi(drawn) for w, task, drawn in zip(weights, tasks, draws, strict=True))
    covariance = sum(w**2 * task.covariance(drawn) for w, task, drawn in zip(weights, tasks, draws, strict=True))
    return np.asarray(pi), np.asarray(covariance)


def bca(point: float, draws: Array, influence: Array) -> tuple[float, float]:
    """Bias-corrected accelerated bootstrap interval (Efron 1987; several samples: Davison & Hinkley 1997, 5.3.2).

    draws: (resamples,). influence: jackknife influence of every observation of every sample.
    """
    if np.ptp(draws) == 0:
        return float(point), float(point)
    below = (np.mean(draws < point) + np.mean(draws <= point)) / 2
    bias = norm.ppf(np.clip(below, 1 / len(draws), 1 - 1 / len(draws)))
    spread = np.sum(influence**2) ** 1.5
    acceleration = np.sum(influence**3) / (6 * spread) if spread > 0 else 0.0
    tails = norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2]) + bias
    low, high = np.quantile(draws, norm.cdf(bias + tails / (1 - acceleration * tails)))
    return float(low), float(high)


def rank_intervals(point: Array, covariance: Array, draws: Array, covariances: Array) -> tuple[tuple[int, int], ...]:
    """[1 + number significantly better, methods - number significantly worse], for each method.

    Significant at 5 % over all pairs at once: a difference of Pi larger than its standard error times the 95 % quantile
    of the largest studentised deviation among all pairs (bootstrap-t with max-t; Romano & Wolf 2005). Each draw is
    studentised by its own standard error, so that few seeds, whose draws often have none, separate nobody.
    point: (methods,). covariance: (methods, methods). draws: (methods, draws). covariances: (draws, methods, methods).
    """
    methods = len(point)
    better = np.zeros((methods, methods), dtype=bool)
    if methods > 1:
        first, second = np.array(list(combinations(range(methods), 2))).T
        difference = point[first] - point[second]
        deviations = np.abs(draws[first] - draws[second] - difference[:, None])
        errors = _errors(covariances, first, second)
        tiny = 1e-9
        studentised = np.divide(deviations, errors, out=np.where(deviations > tiny, np.inf, 0.0), where=errors > tiny)
        critical = np.quantile(studentised.max(axis=0), LEVEL, method="higher")
        own_errors = np.maximum(_errors(covariance[None], first, second)[:, 0], tiny)
        significant = np.abs(difference) > critical * own_errors
        better[first, second] = significant & (difference > 0)
        better[second, first] = significant & (difference < 0)
    return tuple((1 + int(better[:, m].sum()), methods - int(better[m].sum())) for m in range(methods))


def _errors(covariances: Array, first: Array, second: Array) -> Array:
    """Standard errors of the differences between methods ``first`` and ``second``: (pairs, draws)."""
    variances = covariances[:, first, first] + covariances[:, second, second] - 2 * covariances[:, first, second]
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)).T)


def improvement(tasks: Sequence[TaskSeeds], weights: Array) -> dict[tuple[int, int], float]:
    """Probability that a run of the first method beats one of the second, by s(B) / (D / B) of single runs.

    Mann-Whitney over all pairs of seeds, ties counted half; tasks weighted as in Pi (Agarwal et al. 2021).
    """
    single = [np.where(task.ran[:, None], np.maximum(0.0, task.final_s) / task.areas, -1.0) for task in tasks]
    found = {}
    for a, b in permutations(range(tasks[0].final_s.shape[0]), 2):
        found[a, b] = sum(w * _wins(runs[a], runs[b]) for w, runs in zip(weights, single, strict=True))
    return found


def _wins(ours: Array, theirs: Array) -> float:
    difference = ours[:, None] - theirs[None, :]
    return float(np.mean(difference > 0) + np.mean(difference == 0) / 2)


def _influence(task: TaskSeeds) -> Array:
    """Jackknife influence of each seed of ``task`` on its pi: (methods, seeds)."""
    n = task.seeds
    others = np.array([[other for other in range(n) if other != seed] for seed in range(n)])
    left_out = task.pi(others)
    return np.asarray((n - 1) * (left_out.mean(axis=1, keepdims=True) - left_out) / n)


def _seed(tasks: Sequence[TaskSeeds]) -> int:
    """From the inputs, so that the same logs give the same intervals to the last byte."""
    sha = hashlib.sha256()
    for task in tasks:
        for array in (task.final_s, task.areas):
            sha.update(np.ascontiguousarray(array).tobytes())
    return int.from_bytes(sha.digest()[:8], "big")
