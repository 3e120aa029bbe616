"""Configurations as points of the unit cube, one coordinate in [0, 1] a hyper-parameter, in the space's order.

For strategies that move in a vector space. Inactive hyper-parameters are dropped on the way out of the cube and stand
at the middle on the way in.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from suite.space import Completion, Configuration, Value

MIDDLE = 0.5


class Cube:
    """The unit cube of a space, prepared once, for searches that go in and out of it often."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self._finders = [(name, _finder(space[name])) for name in space]
        self._placers = [(name, placer(space[name])) for name in space]
        self._complete = Completion(space)

    def configuration(self, point: np.ndarray) -> Configuration:
        """The configuration at ``point`` (hyper-parameters,)."""
        found = {name: find(u) for (name, find), u in zip(self._finders, point.tolist(), strict=True)}
        return self._complete(found)

    def point(self, configuration: Configuration) -> np.ndarray:
        """A point (hyper-parameters,) of ``configuration``; a value that owns a whole stretch stands at its middle."""
        return np.array(
            [place(configuration[name]) if name in configuration else MIDDLE for name, place in self._placers]
        )


def _finder(hyperparameter: Hyperparameter[Any, Any]) -> Callable[[float], Value]:
    """What gives the value at a coordinate."""
    match hyperparameter:
        case Constant():
            return lambda u: hyperparameter.value
        case CategoricalHyperparameter():
            return _stretches(hyperparameter.choices)
        case OrdinalHyperparameter():
            return _stretches(hyperparameter.sequence)
        case UniformIntegerHyperparameter():
            lower, upper = hyperparameter.lower, hyperparameter.upper
            at = _along(*_ends(hyperparameter), hyperparameter.log)
            return lambda u: min(max(round(at(u)), lower), upper)
        case UniformFloatHyperparameter():
            low, high = float(hyperparameter.lower), float(hyperparameter.upper)
            there = _along(low, high, hyperparameter.log)
            return lambda u: min(max(there(u), low), high)
        case _:
            return lambda u: hyperparameter.to_value(u)


def placer(hyperparameter: Hyperparameter[Any, Any]) -> Callable[[Any], float]:
    """What gives the coordinate of a value; the middle of its stretch where it owns one. To be made once for a space,
    since searches ask it often."""
    match hyperparameter:
        case Constant():
            return lambda value: MIDDLE
        case CategoricalHyperparameter():
            return _middles(hyperparameter.choices)
        case OrdinalHyperparameter():
            return _middles(hyperparameter.sequence)
        case UniformIntegerHyperparameter():
            return _between(*_ends(hyperparameter), hyperparameter.log)
        case UniformFloatHyperparameter():
            return _between(hyperparameter.lower, hyperparameter.upper, hyperparameter.log)
        case _:
            return lambda value: float(hyperparameter.to_vector(value))


def _middles(values: Sequence[Any]) -> Callable[[Any], float]:
    """Each of the ``values`` owns an equal share."""
    return {value: (place + 0.5) / len(values) for place, value in enumerate(values)}.__getitem__


def _between(low: float, high: float, log: bool) -> Callable[[float], float]:
    if log:
        width = math.log(high / low)
        return lambda value: math.log(value / low) / width
    return lambda value: (value - low) / (high - low)


def _stretches(values: Sequence[Any]) -> Callable[[float], Value]:
    """The value in whose equal share of [0, 1] a coordinate lies."""
    return lambda u: values[min(int(u * len(values)), len(values) - 1)]


def _along(low: float, high: float, log: bool) -> Callable[[float], float]:
    if log:
        ratio = high / low
        return lambda u: low * ratio**u
    return lambda u: low + (high - low) * u


def _ends(hyperparameter: UniformIntegerHyperparameter) -> tuple[float, float]:
    """Half a step beyond the ends, so that the ends get their full share."""
    return hyperparameter.lower - 0.5, hyperparameter.upper + 0.5
