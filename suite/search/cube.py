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

from suite.space import Configuration, Value, complete

MIDDLE = 0.5


def from_unit_cube(space: ConfigurationSpace, point: np.ndarray) -> Configuration:
    """The configuration at ``point`` (hyper-parameters,)."""
    values = {name: _at(space[name], float(u)) for name, u in zip(space, point, strict=True)}
    return complete(space, values)


def to_unit_cube(space: ConfigurationSpace, configuration: Configuration) -> np.ndarray:
    """A point (hyper-parameters,) of ``configuration``; a value that owns a whole stretch stands at its middle."""
    return np.array([placer(space[name])(configuration[name]) if name in configuration else MIDDLE for name in space])


def _at(hyperparameter: Hyperparameter[Any, Any], u: float) -> Value:
    value: Value
    match hyperparameter:
        case Constant():
            value = hyperparameter.value
        case CategoricalHyperparameter():
            value = _stretch(hyperparameter.choices, u)
        case OrdinalHyperparameter():
            value = _stretch(hyperparameter.sequence, u)
        case UniformIntegerHyperparameter():
            low, high = _ends(hyperparameter)
            nearest = round(low * (high / low) ** u if hyperparameter.log else low + (high - low) * u)
            value = min(max(nearest, hyperparameter.lower), hyperparameter.upper)
        case _:
            value = hyperparameter.to_value(u)
    return value


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
        start, width = math.log(low), math.log(high) - math.log(low)
        return lambda value: (math.log(value) - start) / width
    return lambda value: (value - low) / (high - low)


def _stretch(values: Any, u: float) -> Any:
    """The value in whose equal share of [0, 1] ``u`` lies."""
    return values[min(int(u * len(values)), len(values) - 1)]


def _ends(hyperparameter: UniformIntegerHyperparameter) -> tuple[float, float]:
    """Half a step beyond the ends, so that the ends get their full share."""
    return hyperparameter.lower - 0.5, hyperparameter.upper + 0.5
