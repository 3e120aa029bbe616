"""Each library driven directly, by its own ask and tell: what adapters are compared with.

The mixed space is spelt out here in each library's own words, so that no adapter is compared with itself.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
from cmaes import CatCMAwM
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from suite.search.cube import Cube
from suite.space import Configuration, complete
from suite.testing import DEFAULT_JOULES, mixed, problem, value

SEED = 11
FULL = 27
EXPECTED = round(problem("mixed").budget_joules / DEFAULT_JOULES)  # trials
DEFAULT: Configuration = {
    "optimiser": "adam",
    "learning_rate": 1e-2,
    "width": 16,
    "depth": 2,
    "kernel": 5,
    "damping": 0.1,
}
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "depth": IntDistribution(1, 4),
    "kernel": CategoricalDistribution([3, 5, 7]),
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "optimiser": CategoricalDistribution(["adam", "sgd"]),
    "width": IntDistribution(1, 64, log=True),
    "damping": FloatDistribution(0.0, 1.0),
}


class Direct(Protocol):
    """A search by the library itself, one proposal at a time."""

    def ask(self) -> tuple[Configuration, int]:
        """A configuration and its fidelity."""

    def tell(self, loss: float, spent_joules: float) -> None: ...


class ThroughOptuna:
    """two: the joules are an objective. constrained: they must not exceed the default's."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, two: bool = False, constrained: bool = False) -> None:
        self._two, self._constrained = two, constrained
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * (1 + two))
        zero = [value(DEFAULT, FULL), DEFAULT_JOULES][: 1 + two]
        limits = {"energy": 0.0} if constrained else None
        self._study.add_trial(
            optuna.create_trial(params=DEFAULT, distributions=DISTRIBUTIONS, values=zero, constraints=limits)
        )

    def ask(self) -> tuple[Configuration, int]:
        self._trial = self._study.ask()
        return suggested(self._trial), FULL

    def tell(self, loss: float, spent_joules: float) -> None:
        if self._constrained:
            self._trial.set_constraint("energy", spent_joules - DEFAULT_JOULES)
        self._study.tell(self._trial, [loss, spent_joules][: 1 + self._two])


def suggested(trial: optuna.Trial) -> Configuration:
    found: dict[str, Any] = {
        "depth": trial.suggest_int("depth", 1, 4),
        "kernel": trial.suggest_categorical("kernel", [3, 5, 7]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1.0, log=True),
        "optimiser": trial.suggest_categorical("optimiser", ["adam", "sgd"]),
        "width": trial.suggest_int("width", 1, 64, log=True),
    }
    if found["optimiser"] == "adam":
        found["damping"] = trial.suggest_float("damping", 0.0, 1.0)
    else:
        found["nesterov"] = trial.suggest_categorical("nesterov", [True, False])
        if found["nesterov"]:
            found["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    return found


def tpe() -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=SEED, multivariate=True, group=True)


def gp() -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=SEED, warn_independent_sampling=False)


def cma() -> optuna.samplers.BaseSampler:
    return optuna.samplers.CmaEsSampler(seed=SEED, warn_independent_sampling=False)


def nsga2() -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=SEED, population_size=10)


OPTUNA: Mapping[str, Callable[[], Direct]] = {
    "tpe": lambda: ThroughOptuna(tpe()),
    "gp": lambda: ThroughOptuna(gp()),
    "gp-constrained": lambda: ThroughOptuna(gp(), constrained=True),
    "cma-es": lambda: ThroughOptuna(cma()),
    "nsga2": lambda: ThroughOptuna(nsga2(), two=True),
}


class ThroughCmaes:
    """CatCMA with margin. Depth, kernel and width go in steps, each where its values stand in the unit cube; see
    ``suite.search.cube``."""

    def __init__(self) -> None:
        widths = [float(np.log(width / 0.5) / np.log(64.5 / 0.5)) for width in range(1, 65)]
        steps = [[1 / 8, 3 / 8, 5 / 8, 7 / 8], [1 / 6, 1 / 2, 5 / 6], widths]
        self._cube = Cube(mixed())
        self._optimizer = CatCMAwM(x_space=[[0.0, 1.0]] * 3, z_space=steps, c_space=[2, 2], seed=SEED)
        self._told: list[tuple[CatCMAwM.Solution, float]] = []

    def ask(self) -> tuple[Configuration, int]:
        self._solution = self._optimizer.ask()
        rate, damping, momentum = self._solution.x
        depth, kernel, width = self._solution.z
        optimiser, nesterov = (0.25 if choice[0] else 0.75 for choice in self._solution.c)
        point = np.array([depth, kernel, rate, optimiser, width, damping, nesterov, momentum])
        return self._cube.configuration(point), FULL

    def tell(self, loss: float, spent_joules: float) -> None:
        self._told.append((self._solution, loss))
        if len(self._told) == self._optimizer.population_size:
            self._optimizer.tell(self._told)
            self._told = []


class ThroughNevergrad:
    """An optimiser of that name over ``kinds``, Nevergrad's parameters by name."""

    def __init__(self, name: str, kinds: Mapping[str, Any], expected: int = EXPECTED) -> None:
        import nevergrad

        parametrization = nevergrad.p.Dict(**kinds)
        parametrization.random_state.seed(SEED)
        registry = nevergrad.optimizers.registry
        self._optimizer = quietly(lambda: registry[name](parametrization, budget=expected, num_workers=1))

    def ask(self) -> tuple[Configuration, int]:
        self._candidate = quietly(self._optimizer.ask)
        return self._candidate.value, FULL

    def tell(self, loss: float, spent_joules: float) -> None:
        quietly(lambda: self._optimizer.tell(self._candidate, loss))


def single_by_nevergrad() -> dict[str, Any]:
    import nevergrad as ng

    return {"x": ng.p.Scalar(lower=0.0, upper=1.0)}


def mixed_by_nevergrad() -> dict[str, Any]:
    import nevergrad as ng

    return {
        "depth": ng.p.Scalar(lower=1, upper=4).set_integer_casting(),
        "kernel": ng.p.TransitionChoice([3, 5, 7]),
        "learning_rate": ng.p.Log(lower=1e-4, upper=1.0),
        "optimiser": ng.p.Choice(["adam", "sgd"]),
        "width": ng.p.Log(lower=1, upper=64).set_integer_casting(),
        "damping": ng.p.Scalar(lower=0.0, upper=1.0),
        "nesterov": ng.p.Choice([True, False]),
        "momentum": ng.p.Scalar(lower=0.0, upper=0.99),
    }


class ThroughSmac:
    """One of SMAC's facades, with ``budgets`` where it wants them."""

    def __init__(self, facade: str, folder: Path, expected: int = EXPECTED, **budgets: int) -> None:
        import smac

        self._space = mixed()
        scenario = smac.Scenario(
            self._space, output_directory=folder, deterministic=True, n_trials=expected, seed=SEED, **budgets
        )
        self._smac = getattr(smac, facade)(scenario, overwrite=True, logging_level=False)
        self._told = smac.runhistory.TrialValue

    def ask(self) -> tuple[Configuration, int]:
        self._info = quietly(self._smac.ask)
        return complete(self._space, dict(self._info.config)), round(self._info.budget or FULL)

    def tell(self, loss: float, spent_joules: float) -> None:
        self._smac.tell(self._info, self._told(cost=loss), save=False)


class ThroughBotorch:
    """qLogNEHVI of the metric and the logarithm of the joules after ten Sobol points; nothing is outstanding."""

    def __init__(self) -> None:
        self._cube = Cube(mixed())
        self._sobol = qmc.Sobol(8, rng=np.random.default_rng(SEED))
        self._points = [self._cube.point(DEFAULT)]
        self._values = [(-value(DEFAULT, FULL), -math.log(DEFAULT_JOULES))]

    def ask(self) -> tuple[Configuration, int]:
        number = len(self._points) - 1  # of trials before, without trial 0
        point = self._sobol.random()[0] if number < 10 else quietly(lambda: self._best(SEED + number))
        self._configuration = self._cube.configuration(point)
        return self._configuration, FULL

    def tell(self, loss: float, spent_joules: float) -> None:
        self._points.append(self._cube.point(self._configuration))
        self._values.append((-loss, -math.log(spent_joules)))

    def _best(self, seed: int) -> np.ndarray:
        import torch
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from botorch.utils.multi_objective import infer_reference_point, is_non_dominated
        from gpytorch.mlls import SumMarginalLogLikelihood

        torch.manual_seed(seed)
        x, y = torch.tensor(np.array(self._points)), torch.tensor(self._values, dtype=torch.double)
        model = ModelListGP(SingleTaskGP(x, y[:, [0]]), SingleTaskGP(x, y[:, [1]]))  # copies: a view rounds otherwise
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        sampler = SobolQMCNormalSampler(torch.Size([64]), seed=int(torch.randint(2**31, (1,))))
        reference = infer_reference_point(y[is_non_dominated(y)])
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model, ref_point=reference, X_baseline=x, sampler=sampler, prune_baseline=True
        )
        bounds = torch.stack([torch.zeros(8), torch.ones(8)]).double()
        found, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=4, raw_samples=64)
        return np.asarray(found[0])


def quietly(call: Callable[[], Any]) -> Any:
    """Libraries warn of what they do themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()
