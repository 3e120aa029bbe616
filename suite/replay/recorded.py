"""Answers for a training that is not made: its curve and its energy, from a task's recorded table.

The answer is a denoised mean and a draw of its error. The mean is that of a Gaussian process over all recorded curves,
in normal scores; at a recorded configuration it rests on that one's own rows. The error is what one recorded training
deviated by, validation and test together: from the mean over its seeds, where the configuration asked for is recorded,
else from what the table without its configuration says of it. It is taken from a recorded training of like answer that
a hash of the training's seed picks: another run seed is another draw, the same training always the same one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pandas as pd
from scipy.special import ndtri

from suite.search.process import Encoder, Kernel, Process, fit, squared_distances
from suite.space import Configuration
from suite.task import TaskSpec

Array = np.ndarray
LIKE: Final = 16  # recorded trainings of like answer that an error is drawn from
MOST_SEEDS: Final = 3  # of one configuration among them, where it is not the one asked for: some have twenty
KNOTS: Final = 257
SPLITS: Final = ("validation", "test")


@dataclass(frozen=True)
class Energy:
    """What a training costs: microjoules and CPU nanoseconds, by phase."""

    train_microjoules: int
    validate_microjoules: int
    test_microjoules: int
    train_cpu_ns: int
    validate_cpu_ns: int


class Scores:
    """A monotone map of a metric to normal scores, by the quantiles of all its recorded values; from these to the least
    and the greatest value it goes on with the slope over the outermost tenth, and ends there: nothing is answered that
    is beyond all that was recorded, such as a return above the greatest possible."""

    def __init__(self, values: Array) -> None:
        levels = (np.arange(KNOTS) + 0.5) / KNOTS
        knots, first = np.unique(np.quantile(values, levels), return_index=True)
        scores = ndtri(levels)[first]
        if len(knots) < 2:
            knots, scores = np.array([knots[0], knots[0] + 1.0]), np.array([0.0, 1.0])
        self._knots, self._scores = _prolonged(knots, scores, float(values.min()), float(values.max()))

    def __call__(self, values: Array) -> Array:
        return np.asarray(np.interp(values, self._knots, self._scores))

    def inverse(self, scores: Array) -> Array:
        return np.asarray(np.interp(scores, self._scores, self._knots))


def _prolonged(xs: Array, ys: Array, least: float, greatest: float) -> tuple[Array, Array]:
    """Knots with one more at ``least`` and at ``greatest`` where these are beyond them, on the line over the outermost
    tenth."""
    tenth = max(1, len(xs) // 10)
    if least < xs[0]:
        slope = (ys[tenth] - ys[0]) / (xs[tenth] - xs[0])
        xs, ys = np.append(least, xs), np.append(ys[0] - slope * (xs[0] - least), ys)
    if greatest > xs[-1]:
        slope = (ys[-1] - ys[-1 - tenth]) / (xs[-1] - xs[-1 - tenth])
        xs, ys = np.append(xs, greatest), np.append(ys, ys[-1] + slope * (greatest - xs[-1]))
    return xs, ys


class Curves:
    """A table as arrays. values: (trainings, 2, levels), validation and test, NaN from a failure on.

    configurations: each once. which, seeds: (trainings,). steps: (trainings, levels) microjoules of training since the
    step before. checks: (trainings, 2) mean microjoules of one validation and of one test.
    """

    def __init__(self, rows: pd.DataFrame, spec: TaskSpec) -> None:
        fidelity = spec.fidelity
        levels = [*range(fidelity.minimum, fidelity.maximum, fidelity.step), fidelity.maximum]
        self.levels = np.array(levels)
        which, spelt = pd.factorize(rows["configuration"])
        self.configurations: list[Configuration] = [orjson.loads(each) for each in spelt]
        training, keys = pd.factorize(pd.MultiIndex.from_arrays([which, rows["seed"]]))
        self.which = np.array([key[0] for key in keys])
        self.seeds = np.array([key[1] for key in keys])
        level = np.searchsorted(self.levels, rows["fidelity"].to_numpy())
        shape = (len(keys), len(levels))
        self.values = np.full((len(keys), 2, len(levels)), np.nan)
        for place, split in enumerate(SPLITS):
            self.values[training, place, level] = rows[split]
        self.steps, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
        self.steps[training, level] = rows["train_microjoules"]
        seconds[training, level] = rows["train_cpu_ns"]
        sums = rows.groupby(training)[["validate_microjoules", "test_microjoules"]].sum().to_numpy()
        self.checks = sums / np.maximum(1, np.isfinite(self.values[:, 0]).sum(1))[:, None]
        self.nanoseconds_per_microjoule = float(np.nansum(seconds) / max(1.0, float(np.nansum(self.steps))))
        self.whole = np.isfinite(self.values).all((1, 2))

    @property
    def final(self) -> Array:
        """(trainings, 2) at the greatest fidelity."""
        return np.asarray(self.values[:, :, -1])


@dataclass(frozen=True)
class Fitted:
    """What is fitted when a table is written, and kept in it: the kernels of values and of energies."""

    values: Kernel
    energies: Kernel

    @classmethod
    def to(cls, curves: Curves, spec: TaskSpec, trainings: Array | None = None) -> "Fitted":
        """Fitted to the whole ``trainings`` (a mask; None: all)."""
        chosen = curves.whole if trainings is None else curves.whole & trainings
        points = Encoder(spec.space)([curves.configurations[which] for which in curves.which[chosen]])
        scores = Scores(curves.values[chosen, 0])(curves.final[chosen, 0])
        return cls(fit(points, scores), fit(points, np.log(curves.steps[chosen].sum(1))))

    def to_record(self) -> dict[str, Any]:
        return {"values": self.values.to_record(), "energies": self.energies.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Fitted":
        return cls(Kernel.from_record(record["values"]), Kernel.from_record(record["energies"]))


class Answers(NamedTuple):
    """Of n trainings: ``validation`` and ``test`` (n,), NaN from a failure on, and ``reached`` (n,): how many levels
    each comes to."""

    validation: Array
    test: Array
    reached: Array


class Errors:
    """What answers erred by, (n, 2, levels) in normal scores, where the final validation was answered ``at`` (n,)."""

    def __init__(self, at: Array, errors: Array) -> None:
        order = np.argsort(at, kind="stable")
        self._at, self._errors = at[order], errors[order]

    def drawn(self, at: Array, picked: Array, level: int) -> Array:
        """Those at ``level`` of trainings answered ``at`` (n,), each the one that a number picks: (n, 2)."""
        count = len(self._at)
        if not count:  # nothing was recorded under two seeds
            return np.zeros((len(at), 2))
        first = np.minimum(np.maximum(self._at.searchsorted(at) - LIKE // 2, 0), max(0, count - LIKE))
        return np.asarray(self._errors[first + (picked % min(LIKE, count)).astype(int), :, level])


class Recorded:
    """A task's table, ready to answer. Built of the ``trainings`` (a mask; None: all) of ``curves``.

    pool: an unseen configuration is answered as the nearest recorded one, not by the process.
    """

    def __init__(
        self, curves: Curves, spec: TaskSpec, fitted: Fitted, trainings: Array | None = None, pool: bool = False
    ) -> None:
        used = np.ones(len(curves.which), bool) if trainings is None else trainings
        self._encode, self._names, self._pool = Encoder(spec.space), list(spec.space), pool
        self.levels = curves.levels
        whole = used & curves.whole
        self._maps = [Scores(curves.values[whole, place]) for place in range(2)]
        scores = np.stack([scale(curves.values[whole, place]) for place, scale in enumerate(self._maps)], axis=1)
        seen, places, counts = np.unique(curves.which[whole], return_inverse=True, return_counts=True)
        means = _means(scores.reshape(len(places), -1), places, counts)
        points = self._encode([curves.configurations[which] for which in seen])
        self._kernel = fitted.values
        self._values = Process(self._kernel, points, means, counts)
        energies = np.log(np.maximum(1.0, np.column_stack([curves.steps[whole].sum(1), curves.checks[whole]])))
        self._energies = Process(fitted.energies, points, _means(energies, places, counts), counts)
        self._profile = np.cumsum(np.median(curves.steps[whole] / curves.steps[whole].sum(1, keepdims=True), axis=0))
        self._profile /= self._profile[-1]
        self._nanoseconds = curves.nanoseconds_per_microjoule
        self._remember_errors(scores, means.reshape(-1, *scores.shape[1:]), places, counts, points)
        self._remember_answers(curves, used)

    def _remember_errors(self, scores: Array, means: Array, places: Array, counts: Array, points: Array) -> None:
        """Of recorded and of other configurations. scores: (trainings, 2, levels), of whole ones; means: at ``points``.
        Deviations from a mean over n seeds are too small by the root of (n - 1) / n."""
        repeated = counts[places] > 1
        n = counts[places][repeated, None, None]
        noise = (scores - means[places])[repeated] * np.sqrt(n / (n - 1))
        self._noise = Errors(means[places[repeated], 0, -1], noise)
        others = self._others(points).reshape(means.shape)[places]
        chosen = _earlier_of_the_same(places) < MOST_SEEDS
        self._unknown = Errors(others[chosen, 0, -1], (scores - others)[chosen])

    def _others(self, points: Array) -> Array:
        """What the table without it would say of each configuration that the process has seen, at ``points``."""
        if not self._pool:
            return self._values.left_out()
        scaled = self._kernel.scaled(points)
        distances = squared_distances(scaled, scaled)
        np.fill_diagonal(distances, np.inf)
        return np.asarray(self._values(points)[distances.argmin(1)])

    def _remember_answers(self, curves: Curves, used: Array) -> None:
        """What is said of each recorded configuration. It reaches the median of its trainings' levels."""
        reached = np.isfinite(curves.values[used, 0]).sum(1)
        known, places = np.unique(curves.which[used], return_inverse=True)
        configurations = [curves.configurations[which] for which in known]
        self._reached = np.array([int(np.median(reached[places == place])) for place in range(len(known))])
        self._known = {self._key(each): place for place, each in enumerate(configurations)}
        self._points = self._encode(configurations)
        self._scaled = self._kernel.scaled(self._points)
        self._means = self._values(self._points)
        self._spent = np.exp(self._energies(self._points))

    def look_up(self, configurations: Sequence[Configuration], seeds: Sequence[int], fidelity: int) -> Answers:
        """What trainings to ``fidelity`` under ``seeds`` (``suite.space.training_seed``) come to."""
        level, count = int(np.searchsorted(self.levels, fidelity)), len(self.levels)
        places, points, fresh = self._locate(configurations)
        scores = self._scores(places, points, [level, count + level, count - 1])
        reached = self._reached[places]
        if len(points):
            reached[places < 0] = self._reached[self._nearest(points, self._points)] if self._fail else count
        picked = np.array(list(map(_hashed, seeds)))
        errors = self._errors(scores[:, 2], picked, fresh, level)
        values = [scale.inverse(scores[:, k] + errors[:, k]) for k, scale in enumerate(self._maps)]
        validation, test = (np.where(level < reached, value, np.nan) for value in values)
        return Answers(validation, test, reached)

    def _errors(self, at: Array, picked: Array, fresh: Array, level: int) -> Array:
        """(n, 2)"""
        if fresh.all() or not fresh.any():
            return (self._unknown if fresh.all() else self._noise).drawn(at, picked, level)
        errors = self._noise.drawn(at, picked, level)
        errors[fresh] = self._unknown.drawn(at[fresh], picked[fresh], level)
        return errors

    def means(self, configurations: Sequence[Configuration]) -> Array:
        """Denoised final values, validation and test, in normal scores: (n, 2)."""
        count = len(self.levels)
        places, points, _ = self._locate(configurations)
        return self._scores(places, points, [count - 1, 2 * count - 1])

    def _scores(self, places: Array, points: Array, outputs: Sequence[int]) -> Array:
        """Denoised (n, outputs), in normal scores; an output is a level of the validation, then of the test."""
        scores = self._means[places][:, outputs]
        if len(points):
            scores[places < 0] = self._values(points, outputs)
        return np.asarray(scores)

    def energies(self, configurations: Sequence[Configuration]) -> Array:
        """Microjoules of a full training, of one validation and of one test: (n, 3)."""
        places, points, _ = self._locate(configurations)
        found = self._spent[places]
        if len(points):
            found[places < 0] = np.exp(self._energies(points))
        return np.asarray(found)

    def energy(self, configuration: Configuration, start: int, end: int) -> Energy:
        """Of going from fidelity ``start`` (0: from the beginning) to ``end``, where it is evaluated."""
        full, validate, test = self.energies([configuration])[0]
        train = round(full * (self._share(end) - self._share(start)))
        return Energy(
            train, round(validate), round(test), round(train * self._nanoseconds), round(validate * self._nanoseconds)
        )

    def _locate(self, configurations: Sequence[Configuration]) -> tuple[Array, Array, Array]:
        """Places (n,) among the recorded ones, -1 for those that the process answers, the points of these, and which of
        the n were not recorded."""
        places = np.array([self._known.get(self._key(each), -1) for each in configurations], int)
        fresh = places < 0
        points = self._encode([each for each, is_fresh in zip(configurations, fresh, strict=True) if is_fresh])
        if self._pool and len(points):
            places[fresh] = self._nearest(self._kernel.scaled(points), self._scaled)
            points = points[:0]
        return places, points, fresh

    def _key(self, configuration: Configuration) -> tuple[Any, ...]:
        return tuple(map(configuration.get, self._names))

    @property
    def _fail(self) -> bool:
        """Whether any recorded configuration fails."""
        return bool(self._reached.min() < len(self.levels))

    @staticmethod
    def _nearest(points: Array, known: Array) -> Array:
        return np.asarray(squared_distances(points, known).argmin(1))

    def _share(self, fidelity: int) -> float:
        place = int(np.searchsorted(self.levels, fidelity, side="right"))
        return float(self._profile[place - 1]) if place else 0.0


def _means(values: Array, places: Array, counts: Array) -> Array:
    """Sums of rows by place, over their counts."""
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, places, values)
    return np.asarray(sums / counts[:, None])


def _earlier_of_the_same(values: Array) -> Array:
    """How often each of ``values`` (n,) has been there before: (n,)."""
    return np.asarray(pd.Series(values).groupby(values).cumcount())


def _hashed(seed: int) -> int:
    return int.from_bytes(hashlib.sha256(b"noise %d" % seed).digest()[:7], "big")  # a signed 64-bit number
