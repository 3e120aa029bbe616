"""Baselines: the default configuration, random search, Sobol points."""

from typing import Any, ClassVar

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter
from scipy.stats import qmc

from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, Value, complete


class Default:
    """Keep the default configuration: the zero of the score."""

    info: ClassVar = StrategyInfo(
        name="default",
        family="baselines",
        summary="the default configuration, and nothing else",
        capabilities=frozenset({"conditional", "asynchronous"}),
    )

    def __init__(self, problem: Problem) -> None:
        self._proposal = Proposal(problem.default, problem.fidelity.maximum)
        self._asked = False

    def ask(self) -> Proposal | Signal:
        if self._asked:
            return EXHAUSTED
        self._asked = True
        return self._proposal

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


class Random:
    """Independent draws from the space's own distribution, trained in full: the reference of every board."""

    info: ClassVar = StrategyInfo(
        name="random",
        family="baselines",
        summary="random search: independent draws, full trainings",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="ConfigSpace",
        paper="Bergstra & Bengio 2012, Random search for hyper-parameter optimization, JMLR 13",
    )

    def __init__(self, problem: Problem) -> None:
        self._fidelity = problem.fidelity.maximum
        self._space = seeded(problem.space, problem.seed)

    def ask(self) -> Proposal:
        return Proposal(sample(self._space), self._fidelity)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


class Sobol:
    """A scrambled Sobol sequence over the unit cube of all hyper-parameters, inactive ones dropped afterwards."""

    info: ClassVar = StrategyInfo(
        name="sobol",
        family="baselines",
        summary="quasi-random search: a scrambled Sobol sequence, full trainings",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="scipy",
        paper="Bousquet et al. 2017, Critical hyper-parameters: no random, no cry, arXiv:1706.03200",
    )

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._fidelity = problem.fidelity.maximum
        self._points = qmc.Sobol(d=len(problem.space), scramble=True, rng=np.random.default_rng(problem.seed))

    def ask(self) -> Proposal:
        return Proposal(from_unit_cube(self._space, self._points.random(1)[0]), self._fidelity)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


def seeded(space: ConfigurationSpace, seed: int) -> ConfigurationSpace:
    """A copy of ``space`` with a random generator of its own."""
    copy = ConfigurationSpace.from_serialized_dict(space.to_serialized_dict())
    copy.seed(seed % 2**32)
    return copy


def sample(space: ConfigurationSpace) -> Configuration:
    return complete(space, dict(space.sample_configuration()))


def from_unit_cube(space: ConfigurationSpace, point: np.ndarray) -> Configuration:
    """The configuration at ``point`` (one coordinate in [0, 1) a hyper-parameter, in the space's order)."""
    values = {name: _at(space[name], float(u)) for name, u in zip(space, point, strict=True)}
    return complete(space, values)


def _at(hyperparameter: Hyperparameter[Any, Any], u: float) -> Value:
    value: Value
    match hyperparameter:
        case Constant():
            value = hyperparameter.value
        case CategoricalHyperparameter():
            value = hyperparameter.choices[int(u * len(hyperparameter.choices))]
        case OrdinalHyperparameter():
            value = hyperparameter.sequence[int(u * len(hyperparameter.sequence))]
        case UniformIntegerHyperparameter():  # half a step beyond the ends, so that the ends get their full share
            low, high = hyperparameter.lower - 0.5, hyperparameter.upper + 0.5
            nearest = round(low * (high / low) ** u if hyperparameter.log else low + (high - low) * u)
            value = min(max(nearest, hyperparameter.lower), hyperparameter.upper)
        case _:
            value = hyperparameter.to_value(u)
    return value
