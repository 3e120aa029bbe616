"""Model-based strategies. Optuna's samplers through its ask/tell interface, without adding to them."""

import warnings
from typing import Any, ClassVar

import optuna
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from suite.space import Value, is_active


class OptunaStrategy:
    """Drives an Optuna sampler: conditional hyper-parameters are suggested parents first, only where they are active.

    Trial 0 enters as a finished trial. A failed trial is told as failed: Optuna's samplers leave it out of their model.
    """

    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        self._problem = problem
        self._distributions = {name: distribution(problem.space[name]) for name in problem.space}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=sampler, direction=problem.goal)
        self._asked: dict[int, optuna.Trial] = {}
        self._number = 0

    def ask(self) -> Proposal:
        trial = self._study.ask()
        self._number += 1
        self._asked[self._number] = trial
        return Proposal(suggest(trial, self._problem.space, self._distributions), self._problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        asked = self._asked.pop(trial.number, None)
        if asked is None:  # trial 0, which this study did not ask for
            self._study.add_trial(self._finished(trial))
        elif trial.status == "ok":
            self._study.tell(asked, trial.objectives[0])
        else:
            self._study.tell(asked, state=TrialState.FAIL)

    def _finished(self, trial: Trial) -> optuna.trial.FrozenTrial:
        return optuna.trial.create_trial(
            params=dict(trial.proposal.configuration),
            distributions={name: self._distributions[name] for name in trial.proposal.configuration},
            value=trial.objectives[0],
        )


class Tpe(OptunaStrategy):
    """Tree-structured Parzen estimator over groups of hyper-parameters that are active together."""

    info: ClassVar = StrategyInfo(
        name="tpe",
        family="model-based",
        summary="tree-structured Parzen estimator, multivariate, grouped by condition (Optuna)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="optuna",
        paper="Bergstra et al. 2011, Algorithms for hyper-parameter optimization, NeurIPS; "
        "Watanabe 2023, Tree-structured Parzen estimator, arXiv:2304.11127",
    )

    def __init__(self, problem: Problem) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = TPESampler(
                seed=problem.seed % 2**32, multivariate=True, group=True, constant_liar=problem.workers > 1
            )
        super().__init__(problem, sampler)


def distribution(hyperparameter: Hyperparameter[Any, Any]) -> BaseDistribution:
    """Optuna's distribution over the values of ``hyperparameter``. Raises ``ValueError`` for a kind it has none for."""
    match hyperparameter:
        case UniformFloatHyperparameter():
            return FloatDistribution(hyperparameter.lower, hyperparameter.upper, log=hyperparameter.log)
        case UniformIntegerHyperparameter():
            return IntDistribution(hyperparameter.lower, hyperparameter.upper, log=hyperparameter.log)
        case CategoricalHyperparameter():
            return CategoricalDistribution(hyperparameter.choices)
        case OrdinalHyperparameter():
            return CategoricalDistribution(hyperparameter.sequence)
        case Constant():
            return CategoricalDistribution([hyperparameter.value])
        case _:
            raise ValueError(f"Optuna has no distribution for {hyperparameter.name}: {type(hyperparameter).__name__}")


def suggest(
    trial: optuna.Trial, space: ConfigurationSpace, distributions: dict[str, BaseDistribution]
) -> dict[str, Value]:
    """A configuration from ``trial``, each hyper-parameter suggested once its conditions are known to hold."""
    active: dict[str, Value] = {}
    for name in space:
        if is_active(space, name, active):
            active[name] = _suggest_one(trial, name, distributions[name])
    return active


def _suggest_one(trial: optuna.Trial, name: str, over: BaseDistribution) -> Any:
    match over:
        case FloatDistribution():
            return trial.suggest_float(name, over.low, over.high, log=over.log)
        case IntDistribution():
            return trial.suggest_int(name, over.low, over.high, log=over.log)
        case CategoricalDistribution():
            return trial.suggest_categorical(name, over.choices)
        case _:
            raise TypeError(f"{name}: no suggestion for {over}")
