"""Baselines: the default configuration, random search, Sobol points."""

import random
from collections.abc import Iterator
from math import prod
from typing import Any, ClassVar, Final

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Constant, OrdinalHyperparameter
from ConfigSpace.hyperparameters import Hyperparameter, IntegerHyperparameter
from scipy.stats import qmc

from suite.search.cube import Cube
from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, canonical, complete

GRID_LEVELS: Final = 3
MOST_GRID_POINTS: Final = 20_000  # of those of a grid that a search could never finish


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


class RandomCommon:
    """Random search over one number for all hyper-parameters that differ in their index only, ``penalty[0]``,
    ``penalty[1]`` and so on: one common penalty, say. What has no index has a number of its own."""

    info: ClassVar = StrategyInfo(
        name="random-common",
        family="baselines",
        summary="random search over one value for all hyper-parameters of a vector",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="ConfigSpace",
        paper="Bergstra & Bengio 2012, Random search for hyper-parameter optimization, JMLR 13",
    )

    def __init__(self, problem: Problem) -> None:
        self._fidelity = problem.fidelity.maximum
        self._space = seeded(problem.space, problem.seed)
        self._first = {name: f"{name.partition('[')[0]}[0]" for name in problem.space if name.endswith("]")}

    def ask(self) -> Proposal:
        drawn = sample(self._space)
        return Proposal({name: drawn[self._first.get(name, name)] for name in drawn}, self._fidelity)

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
        self._cube = Cube(problem.space)
        self._fidelity = problem.fidelity.maximum
        self._points = qmc.Sobol(d=len(problem.space), scramble=True, rng=np.random.default_rng(problem.seed))

    def ask(self) -> Proposal:
        return Proposal(self._cube.configuration(self._points.random(1)[0]), self._fidelity)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


class Grid:
    """Every combination of three levels a number and of all categories, once each and in random order.

    On a space of a dozen hyper-parameters the whole grid is out of reach; a random order makes what is reached a fair
    sample of it (as in Optuna and scikit-learn). Numbers stand at a sixth, the middle and five sixths of their range.
    """

    info: ClassVar = StrategyInfo(
        name="grid",
        family="baselines",
        summary="grid search: three levels a number, all categories, in random order",
        capabilities=frozenset({"conditional", "asynchronous"}),
        paper="Bergstra & Bengio 2012, Random search for hyper-parameter optimization, JMLR 13 (as the method to beat)",
    )

    def __init__(self, problem: Problem) -> None:
        self._fidelity = problem.fidelity.maximum
        self._points = grid_points(problem.space, problem.seed)

    def ask(self) -> Proposal | Signal:
        configuration = next(self._points, None)
        return EXHAUSTED if configuration is None else Proposal(configuration, self._fidelity)

    def tell(self, trial: Trial) -> None:
        """Nothing is learned."""


def grid_points(space: ConfigurationSpace, seed: int) -> Iterator[Configuration]:
    """The configurations of the grid over ``space`` in random order, each once."""
    levels, cube = [_levels(space[name]) for name in space], Cube(space)
    size = prod(levels)
    seen: set[str] = set()
    for number in random.Random(seed).sample(range(size), min(size, MOST_GRID_POINTS)):
        places = np.unravel_index(number, levels)
        point = np.array([(place + 0.5) / count for place, count in zip(places, levels, strict=True)])
        configuration = cube.configuration(point)
        if canonical(configuration) not in seen:  # points may differ in inactive hyper-parameters alone
            seen.add(canonical(configuration))
            yield configuration


def _levels(hyperparameter: Hyperparameter[Any, Any]) -> int:
    match hyperparameter:
        case Constant():
            return 1
        case CategoricalHyperparameter():
            return len(hyperparameter.choices)
        case OrdinalHyperparameter():
            return len(hyperparameter.sequence)
        case IntegerHyperparameter():
            return min(GRID_LEVELS, int(hyperparameter.upper - hyperparameter.lower) + 1)
        case _:
            return GRID_LEVELS


def seeded(space: ConfigurationSpace, seed: int) -> ConfigurationSpace:
    """A copy of ``space`` with a random generator of its own."""
    copy = ConfigurationSpace.from_serialized_dict(space.to_serialized_dict())
    copy.seed(seed % 2**32)
    return copy


def sample(space: ConfigurationSpace) -> Configuration:
    return complete(space, dict(space.sample_configuration()))
