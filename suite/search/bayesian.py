"""Model-based strategies. Optuna's samplers through its ask/tell interface, without adding to them."""

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
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
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import TrialState

from suite.search.bandits import Brackets, hyperband_depths
from suite.search.baselines import sample, seeded
from suite.search.strategy import Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, Value, complete, is_active

RANDOM_SHARE: Final = 1 / 3  # of BOHB's draws


class OptunaStrategy:
    """Drives an Optuna sampler: conditional hyper-parameters are suggested parents first, only where they are active.

    Trial 0 enters as a finished trial. A failed trial is told as failed: Optuna's samplers leave it out of their model.
    Some samplers model only what is always active (``relative`` in Optuna's words) and draw the rest at random; the
    strategies say so.
    """

    info: ClassVar[StrategyInfo]

    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        self._problem = problem
        self._distributions = {name: distribution(problem.space[name]) for name in problem.space}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [problem.goal, "minimize"] if "objectives" in self.info.capabilities else [problem.goal]
        self._study = optuna.create_study(sampler=sampler, directions=directions)
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
            self._study.add_trial(finished(trial, self._distributions))
        elif trial.status == "ok":
            for name, value in constraints(trial).items():
                asked.set_constraint(name, value)
            self._study.tell(asked, list(trial.objectives))
        else:
            self._study.tell(asked, state=TrialState.FAIL)


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
        super().__init__(problem, tpe_sampler(problem))


class Gp(OptunaStrategy):
    """Gaussian process over the hyper-parameters that are always active, the rest drawn at random; ten random trials
    first. Expected improvement in logarithms; with several proposals outstanding, of them all together.
    """

    info: ClassVar = StrategyInfo(
        name="gp",
        family="model-based",
        summary="Gaussian process over what is always active, the rest at random (Optuna)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="optuna",
        paper="Snoek et al. 2012, Practical Bayesian optimization of machine learning algorithms, NeurIPS; "
        "Ament et al. 2023, Unexpected improvements to expected improvement, NeurIPS, arXiv:2310.20708",
    )

    def __init__(self, problem: Problem) -> None:
        sampler = GPSampler(seed=problem.seed % 2**32, warn_independent_sampling=False)
        super().__init__(problem, sampler)


class ConstrainedGp(Gp):
    """``Gp`` that looks only among models which cost no more to train than the default."""

    info: ClassVar = StrategyInfo(
        name="gp-constrained",
        family="model-based",
        summary="Gaussian process that trains no longer, in joules, than the default does (Optuna)",
        capabilities=frozenset({"conditional", "asynchronous", "constraints"}),
        library="optuna",
        paper="Gardner et al. 2014, Bayesian optimization with inequality constraints, ICML",
    )


class Bohb:
    """Hyperband whose new configurations come from a TPE of the highest fidelity that has enough results.

    Enough is one more than there are hyper-parameters; a third of the draws stay random (Falkner et al. 2018,
    section 3.2). The model is Optuna's TPE in place of the paper's own kernel densities.
    """

    info: ClassVar = StrategyInfo(
        name="bohb",
        family="multi-fidelity",
        summary="BOHB: Hyperband with configurations drawn from a TPE (Optuna's)",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        library="optuna",
        paper="Falkner, Klein & Hutter 2018, BOHB, ICML, arXiv:1807.01774",
    )

    def __init__(self, problem: Problem) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._problem = problem
        self._space = seeded(problem.space, problem.seed)
        self._random = np.random.default_rng(problem.seed)
        self._distributions = {name: distribution(problem.space[name]) for name in problem.space}
        self._studies: dict[int, optuna.Study] = {}
        self._results: Counter[int] = Counter()
        self._brackets = Brackets(problem, hyperband_depths(problem.fidelity), self._draw)

    def ask(self) -> Proposal | Signal:
        return self._brackets.ask()

    def tell(self, trial: Trial) -> None:
        self._brackets.tell(trial)
        if trial.status == "ok":
            fidelity = trial.proposal.fidelity
            self._study(fidelity).add_trial(finished(trial, self._distributions))
            self._results[fidelity] += 1

    def _draw(self) -> Configuration:
        enough = [fidelity for fidelity, count in self._results.items() if count > len(self._space)]
        if not enough or self._random.random() < RANDOM_SHARE:
            return sample(self._space)
        study = self._studies[max(enough)]
        asked = study.ask()
        configuration = suggest(asked, self._space, self._distributions)
        study.tell(asked, state=TrialState.FAIL)  # its result will come by ``tell``, at whatever fidelity
        return complete(self._space, configuration)

    def _study(self, fidelity: int) -> optuna.Study:
        if fidelity not in self._studies:
            sampler = tpe_sampler(self._problem, n_startup_trials=0)
            self._studies[fidelity] = optuna.create_study(sampler=sampler, direction=self._problem.goal)
        return self._studies[fidelity]


def tpe_sampler(problem: Problem, **options: Any) -> TPESampler:
    """Optuna's TPE, multivariate and grouped by condition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=problem.seed % 2**32, multivariate=True, group=True, constant_liar=problem.workers > 1, **options
        )


def finished(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    """``trial`` as one that Optuna did not ask for."""
    return optuna.trial.create_trial(
        params=dict(trial.proposal.configuration),
        distributions={name: distributions[name] for name in trial.proposal.configuration},
        values=list(trial.objectives),
        constraints=constraints(trial),
    )


def constraints(trial: Trial) -> dict[str, float]:
    """The constraints of ``trial`` under the names that Optuna asks for; the trial is feasible where all are <= 0."""
    return {f"constraint {number}": value for number, value in enumerate(trial.constraints)}


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
