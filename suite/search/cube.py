"""Configurations as points of the unit cube, one coordinate in [0, 1] a hyper-parameter, in the space's order.

For strategies that move in a vector space. Inactive hyper-parameters are dropped on the way out of the cube and stand
at the middle on the way in.
"""

from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
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
    return np.array([place(space[name], configuration[name]) if name in configuration else MIDDLE for name in space])


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


def place(hyperparameter: Hyperparameter[Any, Any], value: Any) -> float:
    """The coordinate of ``value``; the middle of its stretch where it owns one."""
    match hyperparameter:
        case Constant():
            return MIDDLE
        case CategoricalHyperparameter():
            return (list(hyperparameter.choices).index(value) + 0.5) / len(hyperparameter.choices)
        case OrdinalHyperparameter():
            return (list(hyperparameter.sequence).index(value) + 0.5) / len(hyperparameter.sequence)
        case UniformIntegerHyperparameter():
            low, high = _ends(hyperparameter)
            return float(
                np.log(value / low) / np.log(high / low) if hyperparameter.log else (value - low) / (high - low)
            )
        case _:
            return float(hyperparameter.to_vector(value))


def _stretch(values: Any, u: float) -> Any:
    """The value in whose equal share of [0, 1] ``u`` lies."""
    return values[min(int(u * len(values)), len(values) - 1)]


def _ends(hyperparameter: UniformIntegerHyperparameter) -> tuple[float, float]:
    """Half a step beyond the ends, so that the ends get their full share."""
    return hyperparameter.lower - 0.5, hyperparameter.upper + 0.5
