"""Search problems that every strategy must cope with, and an objective to answer it."""

import math

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer, OrdinalHyperparameter

from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from suite.space import Configuration, training_seed
from suite.task import Fidelity


def mixed() -> ConfigurationSpace:
    """Two levels of conditions, logarithmic, integer, categorical, ordinal."""
    space = ConfigurationSpace()
    optimiser = Categorical("optimiser", ["adam", "sgd"], default="adam")
    nesterov = Categorical("nesterov", [True, False], default=False)
    space.add(
        optimiser,
        nesterov,
        Float("learning_rate", (1e-4, 1.0), log=True, default=1e-2),
        Integer("width", (1, 64), log=True, default=16),
        Integer("depth", (1, 4), default=2),
        OrdinalHyperparameter("kernel", [3, 5, 7], default_value=5),
        Float("momentum", (0.0, 0.99), default=0.9),
        Float("damping", (0.0, 1.0), default=0.1),
    )
    space.add(EqualsCondition(nesterov, optimiser, "sgd"))
    space.add(EqualsCondition(space["momentum"], nesterov, True))
    space.add(EqualsCondition(space["damping"], optimiser, "adam"))
    return space


def single() -> ConfigurationSpace:
    space = ConfigurationSpace()
    space.add(Float("x", (0.0, 1.0), default=0.5))
    return space


def categories() -> ConfigurationSpace:
    """A space of six configurations, which any strategy soon repeats."""
    space = ConfigurationSpace()
    space.add(
        Categorical("colour", ["red", "green", "blue"], default="red"),
        Categorical("large", [True, False], default=True),
    )
    return space


SPACES = {"mixed": mixed, "single": single, "categories": categories}


def problem(space: str, fidelity: Fidelity = Fidelity("steps", 1, 27), seed: int = 3, workers: int = 1) -> Problem:
    made = SPACES[space]()
    return Problem(
        space=made,
        default=dict(made.get_default_configuration()),
        fidelity=fidelity,
        goal="minimize",
        seed=seed,
        budget_joules=1000.0,
        workers=workers,
        mutable=frozenset({"learning_rate", "momentum", "damping"}) & set(made),
    )


def loss(configuration: Configuration, fidelity: int) -> float:
    """Some smooth, some rough, less with more training."""
    numbers = [float(value) for value in configuration.values() if isinstance(value, int | float)]
    rough = training_seed(0, configuration) % 1000 / 1000
    return sum(math.log1p(abs(number)) for number in numbers) + rough + 1 / fidelity


def trial_of(number: int, proposal: Proposal, info: StrategyInfo, failing: float = 0.0, sign: float = 1.0) -> Trial:
    """What the proposal came to; a share of ``failing`` trials fails, told as the worst value seen."""
    failed = training_seed(1, proposal.configuration) % 100 < 100 * failing
    value = sign * (100.0 if failed else loss(proposal.configuration, proposal.fidelity))
    joules = proposal.fidelity * (1.0 + training_seed(2, proposal.configuration) % 7)
    objectives = (value, joules) if "objectives" in info.capabilities else (value,)
    return Trial(number, proposal, "failed" if failed else "ok", objectives, joules=joules)
