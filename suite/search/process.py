"""A Gaussian process on encoded configurations: many outputs, one kernel, in numpy alone.

Matern 5/2 with a length scale a coordinate, and a nugget, so that the answer at a configuration that was seen is a
denoised mean (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.2, 4.2 and 5.4.2).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from suite.search.cube import MIDDLE, placer
from suite.space import Configuration

Array = np.ndarray
SMALLEST_VARIANCE: Final = 1e-12  # of a standardised target; less, where all that was seen is the same
ALL: Final = slice(None)
MOST_FITTED: Final = 400  # rows that the length scales are fitted on; all rows answer


class Encoder:
    """Configurations as rows of numbers: choices one column each, of size 1 / sqrt(2) apart, all else its coordinate in
    the unit cube; what is inactive stands at the middle, with a column that says so for those under conditions."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self._columns = [(name, _columns_of(space[name])) for name in space]
        self._conditional = [name for name in space if space.parent_conditions_of[name]]
        self.width = sum(len(columns(None)) for _, columns in self._columns) + len(self._conditional)

    def __call__(self, configurations: Sequence[Configuration]) -> Array:
        """(n, width)"""
        rows = np.array([self._row(each) for each in configurations])
        return np.asarray(rows.reshape(len(configurations), self.width))

    def _row(self, configuration: Configuration) -> list[float]:
        row: list[float] = []
        for name, columns in self._columns:
            row += columns(configuration.get(name))
        return row + [0.5 if name in configuration else 0.0 for name in self._conditional]


def _columns_of(hyperparameter: Any) -> Callable[[Any], Sequence[float]]:
    """What turns a value, or None for none, into its columns."""
    if not isinstance(hyperparameter, CategoricalHyperparameter):
        find = placer(hyperparameter)
        return lambda value: (MIDDLE if value is None else find(value),)
    choices = tuple(hyperparameter.choices)
    rows = {value: tuple(0.5**0.5 if value == choice else 0.0 for choice in choices) for value in choices}
    none = (0.0,) * len(choices)
    return lambda value: rows.get(value, none)


@dataclass(frozen=True)
class Kernel:
    """length_scales: (width,). nugget: variance of the noise, that of the signal being 1."""

    length_scales: tuple[float, ...]
    nugget: float

    def __call__(self, one: Array, other: Array) -> Array:
        """(n, width), (m, width) -> (n, m)"""
        return _matern(squared_distances(self.scaled(one), self.scaled(other)))

    def scaled(self, points: Array) -> Array:
        """``points`` (n, width) in length scales."""
        return np.asarray(points / self.length_scales)

    def to_record(self) -> dict[str, Any]:
        return {"length_scales": list(self.length_scales), "nugget": self.nugget}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        return cls(tuple(record["length_scales"]), float(record["nugget"]))


def squared_norms(points: Array) -> Array:
    """(n, width) -> (n,)"""
    return np.asarray(np.einsum("ij,ij->i", points, points))


def squared_distances(one: Array, other: Array, norms: Array | None = None) -> Array:
    """(n, width), (m, width) -> (n, m); ``norms`` (m,): the squared ones of ``other``, where they are known."""
    squares = -2 * one @ other.T
    squares += squared_norms(one)[:, None]
    squares += squared_norms(other) if norms is None else norms
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def _matern(squares: Array) -> Array:
    """(1 + r + r^2 / 3) exp(-r) for r^2 = 5 ``squares``, which is overwritten: a look-up spends its time here."""
    squares *= 5
    root = np.sqrt(squares)
    squares /= 3
    squares += root
    squares += 1
    squares *= np.exp(np.negative(root, out=root), out=root)
    return squares


class Process:
    """What ``targets`` (n, outputs), seen at ``points`` (n, width), each ``counts`` (n,) times, say of other points."""

    def __init__(self, kernel: Kernel, points: Array, targets: Array, counts: Array | None = None) -> None:
        self._kernel, self._scaled = kernel, kernel.scaled(points)
        self._norms = squared_norms(self._scaled)
        self._targets, self._mean = targets, targets.mean(0)
        noise = kernel.nugget / (np.ones(len(points)) if counts is None else counts)
        self._factor = cholesky(kernel(points, points) + np.diag(noise), lower=True)
        self._weights = cho_solve((self._factor, True), targets - self._mean)
        fitting = ((targets - self._mean) * self._weights).mean(0)
        self.variance = np.maximum(fitting, SMALLEST_VARIANCE)  # of the signal (outputs,), as it fits best

    def __call__(self, points: Array, outputs: Sequence[int] | slice = ALL) -> Array:
        """The posterior mean: (m, width) -> (m, outputs), of those ``outputs`` alone."""
        return np.asarray(self._mean[outputs] + self._reach(points) @ self._weights[:, outputs])

    def left_out(self) -> Array:
        """What the others say of each point that was seen: (n, outputs)."""
        inverse = cho_solve((self._factor, True), np.eye(len(self._factor)))
        return np.asarray(self._targets - self._weights / np.diag(inverse)[:, None])

    def _reach(self, points: Array) -> Array:
        """Covariance with what was seen: (m, width) -> (m, n)."""
        return _matern(squared_distances(self._kernel.scaled(points), self._scaled, self._norms))

    def posterior(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the signal, without noise: (m, width) -> twice (m, outputs)."""
        reached = self._reach(points)
        explained = solve_triangular(self._factor, reached.T, lower=True, overwrite_b=False)
        left = np.maximum(1.0 - squared_norms(explained.T), 1e-10)
        return self._mean + reached @ self._weights, np.sqrt(left[:, None] * self.variance)


def fit(
    points: Array, target: Array, start: Kernel | None = None, iterations: int = 200, most: int = MOST_FITTED
) -> Kernel:
    """The kernel of greatest marginal likelihood for one ``target`` (n,), standardised, under a weak prior that keeps
    length scales near the size of the cube; looked for from ``start`` on, over ``most`` of the points."""
    if len(points) > most:
        chosen = np.random.default_rng(0).permutation(len(points))[:most]
        points, target = points[chosen], target[chosen]
    centred = (target - target.mean()) / max(float(target.std()), 1e-12)
    squares = (points[:, None, :] - points[None, :, :]) ** 2  # (n, n, width)
    width = points.shape[1]
    begin = np.append(np.full(width, np.log(1.5)), np.log(0.1))
    if start is not None:
        begin = np.log(np.append(start.length_scales, start.nugget))
    bounds = [(np.log(0.1), np.log(30.0))] * width + [(np.log(1e-4), np.log(3.0))]
    found = minimize(
        _objective,
        begin,
        args=(squares, centred),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": iterations},
    )
    scales, nugget = np.exp(found.x[:-1]), float(np.exp(found.x[-1]))
    return Kernel(tuple(round(float(scale), 6) for scale in scales), round(nugget, 6))


def _objective(logs: Array, squares: Array, target: Array) -> tuple[float, Array]:
    """Minus the log marginal likelihood, scaled by the variance that fits best, and its gradient in the logarithms of
    length scales and nugget; with a normal prior on the logarithms of the length scales."""
    scales, nugget, n = np.exp(logs[:-1]), np.exp(logs[-1]), len(target)
    weighted = squares @ scales**-2.0  # (n, n)
    root = np.sqrt(5 * weighted)
    decay = np.exp(-root)
    covariance = (1 + root + root**2 / 3) * decay + nugget * np.eye(n)
    factor = cholesky(covariance, lower=True)
    weights = cho_solve((factor, True), target)
    variance = max(float(target @ weights) / n, SMALLEST_VARIANCE)
    inverse = cho_solve((factor, True), np.eye(n))
    inner = inverse - np.outer(weights, weights) / variance
    slope = 5 / 3 * (1 + root) * decay * inner  # of the covariance, by a length scale's logarithm
    gradient = np.append(0.5 * np.einsum("ij,ijk->k", slope, squares) * scales**-2.0, 0.5 * nugget * np.trace(inner))
    prior = (logs[:-1] - np.log(1.5)) / 1.5
    value = 0.5 * n * np.log(variance) + np.log(np.diag(factor)).sum() + 0.5 * float(prior @ prior)
    gradient[:-1] += prior / 1.5
    return float(value), gradient
