"""Nevergrad's optimisers through its ask/tell interface. Needs the extra: ``pip install 'carbon-suite[nevergrad]'``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial, trainings
from suite.space import canonical, complete

if TYPE_CHECKING:
    import nevergrad

MOST_REPEATS: Final = 20


class NevergradStrategy:
    """Drives an optimiser of Nevergrad over all hyper-parameters; inactive ones are dropped from what is proposed.

    A configuration that has been trained already is not trained again: the optimiser is told what came of it and asked
    once more, up to twenty times in a row. A failed trial counts with its penalty. The optimiser expects as many trials
    as trainings of the default fit into the budget.
    """

    info: ClassVar[StrategyInfo]
    optimiser: ClassVar[str]

    def __init__(self, problem: Problem) -> None:
        import nevergrad  # noqa: F401  # missing, it is missed here

        self._problem = problem
        self._sign = 1.0 if problem.goal == "minimize" else -1.0
        self._trials = trainings(problem, None)
        self._optimizer: Any = None
        self._open: dict[int, Any] = {}
        self._losses: dict[str, float] = {}
        self._number = 0

    def ask(self) -> Proposal:
        if self._optimizer is None:
            self._optimizer = optimizer(self.optimiser, self._problem, self._trials)
        for _ in range(MOST_REPEATS):
            candidate = self._quietly("ask")
            configuration = complete(self._problem.space, {**constants(self._problem.space), **candidate.value})
            known = self._losses.get(canonical(configuration))
            if known is None:
                break
            self._quietly("tell", candidate, known)
        self._number += 1
        self._open[self._number] = candidate
        return Proposal(configuration, self._problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        loss = self._losses[canonical(trial.proposal.configuration)] = self._sign * trial.objectives[0]
        if trial.number in self._open:
            self._quietly("tell", self._open.pop(trial.number), loss)
        else:  # trial 0
            self._trials = trainings(self._problem, trial.joules)

    def _quietly(self, method: str, *arguments: Any) -> Any:
        """Nevergrad warns of what it chose itself, such as a solver's tolerance."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(self._optimizer, method)(*arguments)


class NgOpt(NevergradStrategy):
    """Nevergrad's own choice of an optimiser, by the kinds of hyper-parameters, their number, budget and workers."""

    optimiser = "NGOpt"
    info: ClassVar = StrategyInfo(
        name="ngopt",
        family="evolutionary",
        summary="NGOpt: the optimiser that Nevergrad chooses for the space and budget",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="nevergrad",
        extra="nevergrad",
        paper="Meunier et al. 2022, Black-box optimization revisited: improving algorithm selection wizards through "
        "massive benchmarking, IEEE TEC 26, arXiv:2010.04542",
    )


class TwoPointsDe(NevergradStrategy):
    """Differential evolution with two-point crossover."""

    optimiser = "TwoPointsDE"
    info: ClassVar = StrategyInfo(
        name="two-points-de",
        family="evolutionary",
        summary="differential evolution with two-point crossover (Nevergrad)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="nevergrad",
        extra="nevergrad",
        paper="Storn & Price 1997, Differential evolution, Journal of Global Optimization 11",
    )


def optimizer(name: str, problem: Problem, trials: int) -> Any:
    """The optimiser of that name for ``problem``, which expects ``trials``."""
    import nevergrad

    space = problem.space
    kinds = {key: parameter(space[key]) for key in space if not isinstance(space[key], Constant)}
    parametrization = nevergrad.p.Dict(**kinds)
    parametrization.random_state.seed(problem.seed % 2**32)
    return nevergrad.optimizers.registry[name](parametrization, budget=trials, num_workers=problem.workers)


def constants(space: ConfigurationSpace) -> dict[str, Any]:
    return {name: space[name].default_value for name in space if isinstance(space[name], Constant)}


def parameter(hyperparameter: Hyperparameter[Any, Any]) -> nevergrad.p.Parameter:
    """Nevergrad's parameter over the values of ``hyperparameter``. Raises ``ValueError`` for a kind it has none for."""
    import nevergrad

    match hyperparameter:
        case UniformFloatHyperparameter() | UniformIntegerHyperparameter():
            kind = nevergrad.p.Log if hyperparameter.log else nevergrad.p.Scalar
            number = kind(lower=hyperparameter.lower, upper=hyperparameter.upper)
            return number.set_integer_casting() if isinstance(hyperparameter, UniformIntegerHyperparameter) else number
        case CategoricalHyperparameter():
            return nevergrad.p.Choice(hyperparameter.choices)
        case OrdinalHyperparameter():
            return nevergrad.p.TransitionChoice(hyperparameter.sequence)
        case _:
            kind = type(hyperparameter).__name__
            raise ValueError(f"Nevergrad has no parameter for {hyperparameter.name}: {kind}")
