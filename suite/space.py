"""Configurations of a search space: what is legal, what is active, and the one spelling of each."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    OrConjunction,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace import Configuration as SpaceConfiguration
from ConfigSpace.hyperparameters import Hyperparameter

Value = str | int | float | bool
Configuration = Mapping[str, Value]

_spell = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # made once: that takes longer


def canonical(configuration: Configuration) -> str:
    """The one spelling of a configuration: JSON with sorted keys. Equal configurations have equal spellings."""
    return _spell(dict(configuration))


def training_seed(run_seed: int, configuration: Configuration) -> int:
    """Seed of a training, in [0, 2**63): a hash of run seed and configuration: nobody earns by redrawing noise."""
    digest = hashlib.sha256(f"{run_seed}|{canonical(configuration)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def complete(space: ConfigurationSpace, configuration: Configuration) -> Configuration:
    """``configuration`` without inactive hyper-parameters and with plain Python values.

    Raises ``ValueError`` where an active hyper-parameter is missing, unknown or out of range.
    """
    return Completion(space)(configuration)


class Completion:
    """``complete`` for one space, prepared once: ConfigSpace's own check takes a good part of a short trial."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self._space = space
        conditions = space.parent_conditions_of
        self._readers = [(name, reader(space[name]), conditions[name]) for name in space]  # parents before children
        self._names = set(space)

    def __call__(self, configuration: Configuration) -> Configuration:
        active: dict[str, Value] = {}
        for name, read, conditions in self._readers:
            if conditions and not all(_holds(condition, active) for condition in conditions):
                continue
            if name not in configuration:
                raise ValueError(f"illegal configuration {dict(configuration)}: {name} is active but has no value")
            try:
                active[name] = read(configuration[name])
            except (TypeError, ValueError) as error:
                raise ValueError(f"illegal configuration {dict(configuration)}: {name} {error}") from None
        if len(active) < len(configuration) and not self._names.issuperset(configuration):
            unknown = sorted(set(configuration) - self._names)
            raise ValueError(f"illegal configuration {dict(configuration)}: {unknown} are not in {sorted(self._names)}")
        if self._space.forbidden_clauses:
            self._check_forbidden(active)
        return active

    def _check_forbidden(self, active: Configuration) -> None:
        try:
            SpaceConfiguration(self._space, values=dict(active))
        except Exception as error:
            raise ValueError(f"illegal configuration {dict(active)}: {error}") from error


def is_active(space: ConfigurationSpace, name: str, active: Configuration) -> bool:
    """Whether hyper-parameter ``name`` applies, given the ``active`` values of those before it in the space's order."""
    return all(_holds(condition, active) for condition in space.parent_conditions_of[name])


def _holds(condition: Any, active: Configuration) -> bool:
    """A condition on an inactive parent does not hold (ConfigSpace's own check raises ``KeyError`` there)."""
    match condition:
        case AndConjunction():
            return all(_holds(part, active) for part in condition.components)
        case OrConjunction():
            return any(_holds(part, active) for part in condition.components)
        case _:
            return condition.parent.name in active and bool(condition.satisfied_by_value(dict(active)))


def reader(hyperparameter: Hyperparameter[Any, Any]) -> Callable[[Any], Value]:
    """What makes a plain, legal value of ``hyperparameter``; it raises ``ValueError`` on an illegal one."""
    match hyperparameter:
        case UniformFloatHyperparameter():
            return _number(float, hyperparameter.lower, hyperparameter.upper)
        case UniformIntegerHyperparameter():
            return _number(int, hyperparameter.lower, hyperparameter.upper)
        case CategoricalHyperparameter():
            return _choice(hyperparameter.choices)
        case OrdinalHyperparameter():
            return _choice(hyperparameter.sequence)
        case _:
            return _legal(hyperparameter)


def _number(kind: type[int] | type[float], lower: float, upper: float) -> Callable[[Any], Value]:
    def read(value: Any) -> Value:
        if isinstance(value, bool) or not lower <= value <= upper or kind(value) != value:
            raise ValueError(f"must be a number of kind {kind.__name__} in [{lower}, {upper}], got {value!r}")
        return kind(value)

    return read


def _choice(choices: Any) -> Callable[[Any], Value]:
    plain = {(type(choice), choice): choice for choice in map(_plain, choices)}

    def read(value: Any) -> Value:
        value = _plain(value)
        if (type(value), value) not in plain:
            raise ValueError(f"must be one of {list(plain.values())}, got {value!r}")
        return plain[type(value), value]

    return read


def _legal(hyperparameter: Hyperparameter[Any, Any]) -> Callable[[Any], Value]:
    def read(value: Any) -> Value:
        if not hyperparameter.legal_value(value):
            raise ValueError(f"must be legal for {hyperparameter}, got {value!r}")
        return _plain(value)

    return read


def _plain(value: Any) -> Value:
    """Python's own type for a numpy scalar, which JSON cannot write."""
    plain: Value = value.item() if hasattr(value, "item") else value
    return plain
