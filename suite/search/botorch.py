"""BoTorch's acquisition of several objectives. Needs the extra: ``pip install 'carbon-suite[botorch]'``."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from scipy.stats import qmc

from suite.search.cube import Cube
from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial
from suite.space import canonical

if TYPE_CHECKING:
    import torch
    from botorch.acquisition import AcquisitionFunction

INITIAL: Final = 10
SAMPLES: Final = 64
RESTARTS: Final = 4
RAW_SAMPLES: Final = 64


class QLogNehvi:
    """Gaussian processes of the metric and of the logarithm of the energy, and the noisy expected hypervolume
    improvement of both, in logarithms. Ten Sobol points first.

    The processes live in the unit cube, where inactive hyper-parameters stand in the middle; categories are relaxed to
    stretches of a coordinate. Outstanding proposals count as pending. A failed trial counts with its penalty. A Sobol
    point takes the place of a configuration that was proposed before, and of one that no model could be fitted for.
    """

    info: ClassVar = StrategyInfo(
        name="qlognehvi",
        family="model-based",
        summary="noisy expected hypervolume improvement of metric and log energy, Gaussian processes (BoTorch)",
        capabilities=frozenset({"conditional", "asynchronous", "objectives"}),
        library="botorch",
        extra="botorch",
        paper="Daulton et al. 2021, Parallel Bayesian optimization of multiple noisy objectives with expected "
        "hypervolume improvement, NeurIPS, arXiv:2105.08195; Ament et al. 2023, Unexpected improvements to expected "
        "improvement, NeurIPS, arXiv:2310.20708",
    )

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._cube = Cube(problem.space)
        self._sign = 1.0 if problem.goal == "maximize" else -1.0
        self._sobol = qmc.Sobol(len(problem.space), rng=np.random.default_rng(problem.seed))
        self._points: list[np.ndarray] = []
        self._values: list[tuple[float, float]] = []  # both to be maximised
        self._open: dict[int, np.ndarray] = {}
        self._seen: set[str] = set()
        self._number = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's deprecations
            import botorch  # noqa: F401  # missing, it is missed here

            stay_in_python()

    def ask(self) -> Proposal:
        point = self._best() if self._number >= INITIAL and len(self._points) > 1 else None
        configuration = self._cube.configuration(self._draw() if point is None else point)
        if point is not None and canonical(configuration) in self._seen:
            configuration = self._cube.configuration(self._draw())
        self._seen.add(canonical(configuration))
        self._number += 1
        self._open[self._number] = self._cube.point(configuration)
        return Proposal(configuration, self._problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        self._open.pop(trial.number, None)
        self._seen.add(canonical(trial.proposal.configuration))
        value, joules = trial.objectives
        if joules > 0:  # nothing is spent where trial 0 is returned, which is known
            self._points.append(self._cube.point(trial.proposal.configuration))
            self._values.append((self._sign * value, -math.log(joules)))

    def _draw(self) -> np.ndarray:
        point: np.ndarray = self._sobol.random()[0]
        return point

    def _best(self) -> np.ndarray | None:
        """The point of the best acquisition, (hyper-parameters,); None where no model can be fitted."""
        import torch
        from botorch.exceptions import ModelFittingError
        from botorch.utils.sampling import manual_seed

        with warnings.catch_warnings(), manual_seed((self._problem.seed + self._number) % 2**32):
            warnings.simplefilter("ignore")  # of its own fits, which it tries again
            try:
                found = acquisition(
                    torch.tensor(np.array(self._points)),
                    torch.tensor(self._values, dtype=torch.double),
                    torch.tensor(np.array(list(self._open.values()))) if self._open else None,
                )
            except ModelFittingError:
                return None
            return maximised(found, len(self._problem.space))


def acquisition(points: torch.Tensor, values: torch.Tensor, pending: torch.Tensor | None) -> AcquisitionFunction:
    """qLogNEHVI after ``values`` (n, 2), to be maximised, at ``points`` (n, d); ``pending`` (m, d) are under way.

    Raises BoTorch's ``ModelFittingError``. Draws from torch's global generator.
    """
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.utils.multi_objective.hypervolume import infer_reference_point
    from botorch.utils.multi_objective.pareto import is_non_dominated
    from gpytorch.mlls import SumMarginalLogLikelihood

    model = ModelListGP(*(SingleTaskGP(points, values[:, [objective]]) for objective in range(2)))
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    return qLogNoisyExpectedHypervolumeImprovement(
        model,
        ref_point=infer_reference_point(values[is_non_dominated(values)]),
        X_baseline=points,
        X_pending=pending,
        prune_baseline=True,
        sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=int(torch.randint(2**31, (1,)))),
    )


def maximised(found: AcquisitionFunction, dimensions: int) -> np.ndarray:
    """Where in the unit cube ``found`` is largest, (dimensions,)."""
    import torch
    from botorch.optim import optimize_acqf

    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, dimensions)
    best, _ = optimize_acqf(found, bounds, q=1, num_restarts=RESTARTS, raw_samples=RAW_SAMPLES)
    point: Any = best[0].numpy()
    return np.asarray(point, dtype=float)


def stay_in_python() -> None:
    """Keep BoTorch from compiling a kernel of its own in C++ at the first acquisition.

    The minute that it takes would be charged to whatever run comes first on a machine, and proposals would depend on
    whether there is a compiler, which is told to use all that the processor has.
    """
    from botorch.acquisition.multi_objective import logei

    logei._load_attempted = True  # there is no public way to say so
