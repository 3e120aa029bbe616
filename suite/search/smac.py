"""SMAC3 through its ask/tell interface. Needs the extra: ``pip install 'carbon-suite[smac]'``."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Any, ClassVar

from suite.search.baselines import seeded
from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial, trainings
from suite.space import canonical, complete


class SmacStrategy:
    """Drives one of SMAC's facades, as it comes. SMAC knows of conditions itself.

    It never asks for a configuration twice, but to train it longer: that is a promotion. A failed trial is told as
    crashed, with its penalty. The initial design takes a quarter of the trainings that the budget is good for, at most;
    trial 0 is not told. The same seed gives the same proposals under the same ``PYTHONHASHSEED`` only, as runs have.
    """

    info: ClassVar[StrategyInfo]
    facade: ClassVar[str]

    def __init__(self, problem: Problem) -> None:
        import smac  # noqa: F401  # missing, it is missed here; and its import is paid for before the first ask

        self._problem = problem
        self._sign = 1.0 if problem.goal == "minimize" else -1.0
        self._trials = trainings(problem, None)
        self._smac: Any = None
        self._open: dict[int, Any] = {}
        self._trained: dict[str, int] = {}  # the last completed trial of each configuration
        self._number = 0
        self._exhausted = False

    def ask(self) -> Proposal | Signal:
        if self._smac is None:
            self._smac = self._start()
        info = None if self._exhausted else self._next()
        if info is None:
            self._exhausted = True
            return EXHAUSTED
        self._number += 1
        self._open[self._number] = info
        configuration = complete(self._problem.space, dict(info.config))
        fidelity = self._problem.fidelity
        amount = fidelity.maximum if info.budget is None else fidelity.clamp(info.budget)
        return Proposal(configuration, amount, self._trained.get(canonical(configuration)))

    def tell(self, trial: Trial) -> None:
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        info = self._open.pop(trial.number, None)
        if info is None:  # trial 0
            self._trials = trainings(self._problem, trial.joules)
            return
        if trial.status == "ok":
            self._trained[canonical(trial.proposal.configuration)] = trial.number
        status = StatusType.SUCCESS if trial.status == "ok" else StatusType.CRASHED
        self._smac.tell(info, TrialValue(cost=self._sign * trial.objectives[0], status=status), save=False)

    def _start(self) -> Any:
        import smac

        folder = tempfile.mkdtemp(prefix="carbon-suite-smac-")  # it insists on writing its settings down
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        logging.getLogger("smac").setLevel(logging.ERROR)
        scenario = smac.Scenario(
            seeded(self._problem.space, self._problem.seed),
            output_directory=Path(folder),
            deterministic=True,
            n_trials=self._trials,
            seed=self._problem.seed % 2**32,
            **self._budgets(),
        )
        return getattr(smac, self.facade)(scenario, overwrite=True, logging_level=False)

    def _budgets(self) -> dict[str, Any]:
        if "fidelity" not in self.info.capabilities:
            return {}
        return {"min_budget": self._problem.fidelity.minimum, "max_budget": self._problem.fidelity.maximum}

    def _next(self) -> Any:
        """SMAC's next trial; None where it finds no new configuration."""
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of means over nothing, in its own statistics
            try:
                return self._smac.ask()
            except (StopIteration, ConfigurationSpaceExhaustedException):
                return None


class SmacRf(SmacStrategy):
    """Bayesian optimisation with a random forest: SMAC's hyper-parameter optimisation facade."""

    facade = "HyperparameterOptimizationFacade"
    info: ClassVar = StrategyInfo(
        name="smac-rf",
        family="model-based",
        summary="random forest and expected improvement, conditions included (SMAC)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="smac",
        extra="smac",
        paper="Lindauer et al. 2022, SMAC3: a versatile Bayesian optimization package, JMLR 23, arXiv:2109.09831",
    )


class SmacGp(SmacStrategy):
    """Bayesian optimisation with a Gaussian process: SMAC's black-box facade."""

    facade = "BlackBoxFacade"
    info: ClassVar = StrategyInfo(
        name="smac-gp",
        family="model-based",
        summary="Gaussian process and expected improvement over all hyper-parameters (SMAC)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="smac",
        extra="smac",
        paper="Lindauer et al. 2022, SMAC3: a versatile Bayesian optimization package, JMLR 23, arXiv:2109.09831",
    )


class SmacMf(SmacStrategy):
    """Hyperband whose configurations come from a random forest: SMAC's multi-fidelity facade. Promotions resume."""

    facade = "MultiFidelityFacade"
    info: ClassVar = StrategyInfo(
        name="smac-mf",
        family="multi-fidelity",
        summary="Hyperband with configurations from a random forest (SMAC)",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        library="smac",
        extra="smac",
        paper="Lindauer et al. 2022, SMAC3: a versatile Bayesian optimization package, JMLR 23, arXiv:2109.09831",
    )
