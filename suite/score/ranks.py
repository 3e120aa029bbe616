"""Uncertainty over seeds: paired bootstrap, intervals of Pi, rank intervals, probability of improvement.

Seeds are paired across methods: one draw of seed indices a task, shared by all methods. Independent draws would see
differences where there are none. A draw is held as counts: how often each seed was drawn. The generator of a task
starts from its name and number of seeds, so that no competitor changes anybody's interval.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
from scipy.stats import norm

from suite.score.efficiency import Array, against_reference

RESAMPLES = 9_999
LEVEL = 0.95

_CHUNK = 200  # draws whose covariances are computed at once: what fits a processor's cache
_TINY = 1e-9


def draw(name: str, seeds: int, resamples: int) -> Array:
    """Counts of so many bootstrap draws of the seeds of a task: (draws, seeds)."""
    digest = hashlib.sha256(f"{name} {seeds}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    drawn = rng.integers(seeds, size=(resamples, seeds)) + seeds * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * seeds)
    return counts.reshape(resamples, seeds).astype(float)


@dataclass(frozen=True)
class TaskSeeds:
    """What the runs of all methods on one task came to: ``final_s`` and ``areas`` (D / B), (methods, seeds) each.

    name: paradigm/task. ran: which methods ran the task at all; the others count pi = 0. kappa: the frozen reference,
    or None where the method in row ``reference`` stands in.
    """

    name: str
    final_s: Array
    areas: Array
    ran: Array
    kappa: float | None
    reference: int | None

    @property
    def seeds(self) -> int:
        return int(self.final_s.shape[1])

    @property
    def once(self) -> Array:
        """The counts of the runs as they are: every seed once, (1, seeds)."""
        return np.ones((1, self.seeds))

    def pi(self, counts: Array) -> Array:
        """pi of each method over ``counts`` (draws, seeds): (methods, draws)."""
        u, _ = self._u(counts)
        return np.where(self.ran[:, None], against_reference(u, self._kappa(u)), 0.0)

    def covariance(self, counts: Array) -> Array:
        """Covariance of the methods' pi over seeds, estimated within each draw: (draws, methods, methods).

        By the delta method: u is a ratio of sums over seeds, and pi a function of u and kappa.
        """
        u, areas = (each.T[..., None] for each in self._u(counts))
        slope = np.where(u > 0, 1.0, 0.0) / areas * (self.final_s - u * self.areas)
        kappa = self._kappa(u[..., 0].T)[:, None, None]
        total = u + kappa
        scale = np.divide(self.ran[:, None], total**2, out=np.zeros_like(total), where=total > 0)
        reference = 0.0 if self.reference is None else u * scale * slope[:, [self.reference]]
        slope = (kappa * scale * slope - reference) * np.sqrt(counts[:, None] * (self.seeds / (self.seeds - 1)))
        return np.asarray(slope @ slope.transpose(0, 2, 1))

    def influence(self) -> Array:
        """Jackknife influence of each seed on pi: (methods, seeds)."""
        left_out = self.pi(1.0 - np.eye(self.seeds))
        return np.asarray((self.seeds - 1) * (left_out.mean(axis=1, keepdims=True) - left_out) / self.seeds)

    def _u(self, counts: Array) -> tuple[Array, Array]:
        """u and the sums of the areas: (methods, draws). Method by method, so that the others change no bit of it."""
        reached = np.array([np.maximum(0.0, counts @ row) for row in self.final_s])
        areas = np.array([counts @ row for row in self.areas])
        return reached / areas, areas

    def _kappa(self, u: Array) -> Array:
        return np.full(u.shape[1:], self.kappa) if self.reference is None else u[self.reference]


@dataclass(frozen=True)
class Uncertainty:
    """Per method: interval of Pi over seeds, the same over seeds and tasks, and interval of ranks, best is 1.

    An interval is None where there are too few seeds. Over tasks: those of each paradigm are drawn with replacement,
    as if they were a sample of it; None where no paradigm has two.
    """

    pi_intervals: tuple[tuple[float, float] | None, ...]
    task_intervals: tuple[tuple[float, float] | None, ...]
    rank_intervals: tuple[tuple[int, int], ...]


def uncertainty(tasks: Sequence[TaskSeeds], weights: Array, resamples: int = RESAMPLES) -> Uncertainty:
    """Intervals of Pi, and ranks from simultaneous intervals of its pairwise differences.

    With one seed on some task there is nothing to resample: no intervals, and nobody is separated.
    """
    methods = tasks[0].final_s.shape[0]
    if any(task.seeds < 2 for task in tasks):
        nothing = (None,) * methods
        return Uncertainty(nothing, nothing, ((1, methods),) * methods)
    counts = [draw(task.name, task.seeds, resamples) for task in tasks]
    drawn = [task.pi(each) for task, each in zip(tasks, counts, strict=True)]
    draws = _weighted(drawn, weights)
    once = [task.once for task in tasks]
    point = _weighted([task.pi(each) for task, each in zip(tasks, once, strict=True)], weights)[:, 0]
    spread = _covariance(tasks, once, weights)
    own_errors, largest = _studentisers(tasks, counts, weights, point, draws)
    influence = np.concatenate([w * task.influence() for w, task in zip(weights, tasks, strict=True)], axis=1)
    own = np.sqrt(np.diagonal(spread[0]))
    return Uncertainty(
        tuple(
            interval(point[m], own[m], draws[m], own_errors[:, m]) or bca(point[m], draws[m], influence[m])
            for m in range(methods)
        ),
        _over_tasks([task.name for task in tasks], np.array(drawn)),
        rank_intervals(point, spread, largest),
    )


def _covariance(tasks: Sequence[TaskSeeds], counts: Sequence[Array], weights: Array) -> Array:
    """Covariance of Pi within each draw: (draws, methods, methods)."""
    return _weighted((task.covariance(each) for task, each in zip(tasks, counts, strict=True)), weights**2)


def _studentisers(
    tasks: Sequence[TaskSeeds], counts: Sequence[Array], weights: Array, point: Array, draws: Array
) -> tuple[Array, Array]:
    """Within each draw: standard errors of Pi, (draws, methods), and the largest studentised deviation, (draws,)."""
    errors, largest = [], []
    for start in range(0, draws.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        covariance = _covariance(tasks, [each[part] for each in counts], weights)
        errors.append(np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)))
        largest.append(_largest_deviation(point, draws[:, part], covariance))
    return np.concatenate(errors), np.concatenate(largest)


def _weighted(values: Iterable[Array], weights: Array) -> Array:
    """Sum of weight x value. Values come one at a time, since covariances of all tasks at once are gigabytes."""
    return reduce(np.add, (weight * value for weight, value in zip(weights, values, strict=True)))


def interval(point: float, error: float, draws: Array, errors: Array) -> tuple[float, float] | None:
    """Symmetric bootstrap-t interval on the log odds of Pi (Hall 1988); of a single task that is on log u.

    ``error`` and ``errors``: standard errors of Pi, of the runs and of each draw. None where too many draws have no
    odds or no spread to studentise by: with few seeds, of which few gained anything.
    """
    if error <= _TINY:
        return float(point), float(point)
    odds = np.log(point / (1 - point))
    known = (draws > 0) & (draws < 1) & (errors > _TINY)
    pi, spread = np.where(known, draws, 0.5), np.where(known, errors, 1.0)
    studentised = np.where(known, np.abs(np.log(pi / (1 - pi)) - odds) * pi * (1 - pi) / spread, np.inf)
    critical = np.quantile(studentised, LEVEL, method="higher")
    if not np.isfinite(critical):
        return None
    half = critical * error / (point * (1 - point))
    return float(1 / (1 + np.exp(half - odds))), float(1 / (1 + np.exp(-half - odds)))


def _over_tasks(names: Sequence[str], drawn: Array) -> tuple[tuple[float, float] | None, ...]:
    """Percentile intervals of Pi over draws of tasks within their paradigms; ``drawn`` is (tasks, methods, draws)."""
    paradigms: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        paradigms.setdefault(name.split("/")[0], []).append(number)
    methods, resamples = int(drawn.shape[1]), int(drawn.shape[2])
    if all(len(tasks) < 2 for tasks in paradigms.values()):
        return (None,) * methods
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(" ".join(names).encode()).digest()[:8], "big"))
    total = np.zeros((methods, resamples))
    each = np.arange(resamples)
    for tasks in paradigms.values():
        for _ in tasks:
            total += drawn[rng.choice(tasks, size=resamples), :, each].T / (len(tasks) * len(paradigms))
    ends = np.quantile(total, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return tuple((float(ends[0, m]), float(ends[1, m])) for m in range(methods))


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


def _largest_deviation(point: Array, draws: Array, covariance: Array) -> Array:
    """Of each draw, the largest deviation of a difference between two methods, in its own standard errors: (draws,)."""
    if len(point) < 2:
        return np.zeros(draws.shape[1])
    first, second = _pairs(len(point))
    deviations = np.abs(draws[first] - draws[second] - (point[first] - point[second])[:, None])
    errors = _errors(covariance, first, second)
    start = np.where(deviations > _TINY, np.inf, 0.0)
    return np.asarray(np.divide(deviations, errors, out=start, where=errors > _TINY).max(axis=0))


def rank_intervals(point: Array, covariance: Array, largest: Array) -> tuple[tuple[int, int], ...]:
    """[1 + number significantly better, methods - number significantly worse], for each method.

    Significant at 5 % over all pairs at once: a difference of Pi larger than its standard error times the 95 % quantile
    of the largest studentised deviation among all pairs (bootstrap-t with max-t; Romano & Wolf 2005). Each draw is
    studentised by its own standard error, so that few seeds, whose draws often have none, separate nobody.
    point: (methods,). covariance: (1, methods, methods), of the runs as they are. largest: (draws,).
    """
    methods = len(point)
    better = np.zeros((methods, methods), dtype=bool)
    if methods > 1:
        first, second = _pairs(methods)
        difference = point[first] - point[second]
        critical = np.quantile(largest, LEVEL, method="higher")
        errors = np.maximum(_errors(covariance, first, second)[:, 0], _TINY)
        significant = np.abs(difference) > critical * errors
        better[first, second] = significant & (difference > 0)
        better[second, first] = significant & (difference < 0)
    return tuple((1 + int(better[:, m].sum()), methods - int(better[m].sum())) for m in range(methods))


def _pairs(methods: int) -> tuple[Array, Array]:
    first, second = np.array(list(combinations(range(methods), 2))).T
    return first, second


def _errors(covariances: Array, first: Array, second: Array) -> Array:
    """Standard errors of the differences between methods ``first`` and ``second``: (pairs, draws)."""
    variances = covariances[:, first, first] + covariances[:, second, second] - 2 * covariances[:, first, second]
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)).T)


def improvement(tasks: Sequence[TaskSeeds], weights: Array) -> dict[tuple[int, int], float]:
    """Probability that a run of the first method beats one of the second, by s(B) / (D / B) of single runs.

    Mann-Whitney over all pairs of seeds, ties counted half; tasks weighted as in Pi (Agarwal et al. 2021).
    """
    methods = tasks[0].final_s.shape[0]
    wins = np.zeros((methods, methods))
    for weight, task in zip(weights, tasks, strict=True):
        runs = np.where(task.ran[:, None], np.maximum(0.0, task.final_s) / task.areas, -1.0)
        signs = np.sign(runs[:, None, :, None] - runs[None, :, None, :])
        wins += weight * (1 + signs.mean(axis=(2, 3))) / 2
    return {(a, b): float(wins[a, b]) for a in range(methods) for b in range(methods) if a != b}
