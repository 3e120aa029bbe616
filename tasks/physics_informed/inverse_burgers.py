"""Physics-informed learning: find the coefficients of Burgers' equation from noisy observations of its solution.

u_t + lambda u u_x = nu u_xx for x in [-1, 1] and t in [0, 1], from u = -sin(pi x), with lambda = 1 and nu = 0.02.
Posed, with nu = 0.01 / pi, by Raissi, Perdikaris & Karniadakis 2019 (Journal of Computational Physics 378, part II in
arXiv:1711.10566): a network is fitted to 300 observations and to the equation, the coefficients of which are trained
with its weights. The observations are drawn from a reference solution, with 2 % noise, so there is no licence.

The search is over the net, how much the equation weighs, and the optimiser (``tasks.collocation``): Adam, then L-BFGS
for a share of the loss evaluations.

Validation is the misfit of the network to held-out observations and never sees the coefficients. Testing is their
error, over both together, so that one that passes its value on the way counts for little. By the Cramer-Rao bound no
unbiased estimate from these observations has an error below 0.006 but by luck (``RESOLUTION``): what is below counts
as that.

To beat: coefficients of zero, whose error is 1, or 0 in logarithms. Figures of the default, its noise and the best
known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from torch import nn

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.collocation import EVALUATIONS, STEP, CoordinateNetwork, begin, minimised, root_mean_square
from tasks.optimisers import schedule_space
from tasks.training import Data, drawn_from, restored, stream, tensors

COEFFICIENTS = (1.0, 0.02)  # lambda and nu, on the boards; each variant has others
FIRST_COEFFICIENTS = (0.0, 0.1)  # where every training starts
OBSERVATIONS = {"train": 300, "validation": 1000}
NOISE = 0.02  # over the standard deviation of the solution at the observed points
QUADRATURE_NODES = 100
TIME_SCALE = 2.0  # the network sees t in [0, 1] as from -1 to 1
RESOLUTION = 0.006  # error of the coefficients that the noise hides
WORST = 1.0  # ten times the error of coefficients of zero

DATA = DataRef(
    name="burgers-observations",
    version="1",
    digest="a13ba769b687c03ef4328933e827f3983eacf558f79d83e2c5ac0ec8302736ef",
    licence="none needed: computed",
    source="numpy PCG64 with seed 1 and the solution by Gauss-Hermite quadrature, float64 rounded to float32",
    splits="300 observations for training, 1,000 for validation; the coefficients for testing",
)

Coefficients = tuple[float, float]


def coefficients_of(variant: int) -> Coefficients:
    """lambda and nu of ``variant``."""
    if variant == 0:
        return COEFFICIENTS
    random = np.random.Generator(np.random.PCG64(variant))
    return random.uniform(0.5, 1.5), 0.01 * 5.0 ** random.uniform()


def solution(x: np.ndarray, t: np.ndarray, coefficients: Coefficients, nodes: int = QUADRATURE_NODES) -> np.ndarray:
    """u(x, t) of the same shape, for t > 0: the Cole-Hopf transform, by Gauss-Hermite quadrature.

    Basdevant et al. 1986, Computers & Fluids 14(1), equation 2.5, with lambda u for their u.
    """
    convection, viscosity = coefficients
    node, weight = np.polynomial.hermite.hermgauss(nodes)
    y = x[..., None] - np.sqrt(4 * viscosity * t)[..., None] * node
    exponent = -convection / (2 * math.pi * viscosity) * np.cos(math.pi * y)
    mass = weight * np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    u: np.ndarray = -(mass * np.sin(math.pi * y)).sum(axis=-1) / mass.sum(axis=-1)
    return u


def observations(variant: int) -> dict[str, np.ndarray]:
    """Points (x, t) (n, 2) and u there with noise (n, 1), of ``train`` and ``validation``; lambda and nu (2,)."""
    random = np.random.Generator(np.random.PCG64(1 + variant))
    coefficients = coefficients_of(variant)
    arrays = {"test_y": np.array(coefficients)}
    for name, count in OBSERVATIONS.items():
        x, t = random.uniform(-1.0, 1.0, count), random.uniform(0.0, 1.0, count)
        u = solution(x, t, coefficients)
        noisy = u + NOISE * u.std() * random.standard_normal(count)
        arrays |= {f"{name}_x": np.stack([x, t], axis=1), f"{name}_y": noisy[:, None]}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def scaled(points: torch.Tensor) -> torch.Tensor:
    """(points, 2) -> the same, with t in [-1, 1] as x is."""
    x, t = points[:, :1], points[:, 1:]
    return torch.cat([x, TIME_SCALE * t - 1], dim=1)


class Burgers(CoordinateNetwork):
    """The network u(x, t), (points, 2) -> (points, 1), and the coefficients of the equation it is to solve."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(2, configuration)
        convection, viscosity = FIRST_COEFFICIENTS
        self.convection = nn.Parameter(torch.tensor(convection))
        self.log_viscosity = nn.Parameter(torch.tensor(math.log(viscosity)))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.output(scaled(points))

    def coefficients(self) -> torch.Tensor:
        """(2,): lambda and nu."""
        return torch.stack([self.convection, self.log_viscosity.exp()])


def residual(model: Burgers, points: torch.Tensor) -> torch.Tensor:
    """(points, 2) -> (points, 1): u_t + lambda u u_x - nu u_xx."""
    u, (u_x, u_t, u_xx) = model.derivatives(scaled(points), (1.0, 0.0))
    convection, viscosity = model.coefficients()
    left: torch.Tensor = TIME_SCALE * u_t + convection * u * u_x - viscosity * u_xx
    return left


def misfit(model: Burgers, points: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """(points, 2) and (points, 1) -> (points, 1): the network less what was observed."""
    difference: torch.Tensor = model(points) - observed
    return difference


@dataclass(frozen=True)
class Problem:
    """What is minimised: squared misfit at ``observed_at`` (n, 2), and squared residual at ``inside`` (m, 2)."""

    inside: torch.Tensor
    observed_at: torch.Tensor
    observed: torch.Tensor
    residual_weight: float

    def loss(self, model: Burgers) -> torch.Tensor:
        observations = misfit(model, self.observed_at, self.observed).square().mean()
        return observations + self.residual_weight * residual(model, self.inside).square().mean()


def problem(configuration: Configuration, seed: int, device: str, data: Data) -> Problem:
    """The problem on points drawn once for the whole training."""
    inside = torch.rand(int(configuration["points"]), 2, generator=stream(seed, "points"))
    inside[:, 0] = 2 * inside[:, 0] - 1
    x, y = data["train_x"].to(device), data["train_y"].to(device)
    return Problem(inside.to(device), x, y, float(configuration["residual_weight"]))


def groups(model: Burgers, configuration: Configuration) -> list[dict[str, Any]]:
    """The parameters for Adam: those of the network, and the coefficients with a learning rate of their own."""
    rate, factor = float(configuration["learning_rate"]), float(configuration["coefficient_rate"])
    coefficients = [model.convection, model.log_viscosity]
    return [{"params": list(model.layers.parameters())}, {"params": coefficients, "lr": factor * rate}]


@torch.no_grad()
def error(model: Burgers, truth: torch.Tensor) -> torch.Tensor:
    """Root mean square of the relative errors of both coefficients against ``truth`` (2,)."""
    return root_mean_square((model.coefficients() - truth) / truth)


@dataclass(frozen=True)
class InverseBurgers:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """The arrays of ``observations``; raises ``DataMismatch``. A variant has other coefficients and noise."""
        return tensors(verified(self.spec.data[0], observations(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        with drawn_from(stream(seed, "weights")):
            model = Burgers(configuration).to(device)
        training = begin(configuration, seed, model, groups(model, configuration), start)
        return minimised(training, problem(configuration, seed, device, data).loss, start)

    @torch.no_grad()
    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """log10 of the misfit over the spread of the observations or of the coefficients' error, at most 1."""
        model, _, device = restored(Burgers, checkpoint.state)
        if split == "test":
            relative = error(model, data["test_y"].to(device)).clamp(min=RESOLUTION)
        else:
            observed = data["validation_y"].to(device)
            relative = root_mean_square(misfit(model, data["validation_x"].to(device), observed)) / observed.std()
        return float(relative.log10().clamp(max=WORST))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain tanh net under Adam, the equation weighing as the data do."""
    space = ConfigurationSpace(name="physics_informed/inverse-burgers")
    encoding = Categorical("encoding", ["none", "fourier"], default="none")
    fourier_scale = Float("fourier_scale", (0.1, 3.0), default=1.0, log=True)
    optimiser = Categorical("optimiser", ["adam", "adam+lbfgs"], default="adam")
    lbfgs_share = Float("lbfgs_share", (0.1, 0.9), default=0.5)
    space.add(
        Categorical("width", [16, 32, 48], default=32, ordered=True),
        Integer("depth", (2, 5), default=3),
        Categorical("activation", ["tanh", "sine", "silu", "gelu"], default="tanh"),
        encoding,
        fourier_scale,
        Integer("points", (256, 1600), default=1000, log=True),
        Float("residual_weight", (0.01, 10.0), default=1.0, log=True),
        Float("learning_rate", (3e-4, 3e-2), default=1e-3, log=True),
        Float("coefficient_rate", (0.1, 10.0), default=1.0, log=True),
        schedule_space(),
        optimiser,
        lbfgs_share,
        EqualsCondition(fourier_scale, encoding, "fourier"),
        EqualsCondition(lbfgs_share, optimiser, "adam+lbfgs"),
    )
    return space


TASK = InverseBurgers(
    TaskSpec(
        name="physics_informed/inverse-burgers",
        version="1",
        summary="find the coefficients of Burgers' equation from noisy observations (log10 relative error)",
        paper="Raissi, Perdikaris & Karniadakis 2019, Physics-Informed Neural Networks, part II in arXiv:1711.10566",
        space=search_space(),
        fidelity=Fidelity("loss evaluations", STEP, EVALUATIONS, STEP),
        validation=Metric("log10 relative misfit of held-out observations", "minimize", worst=WORST),
        test=Metric("log10 relative error of the coefficients", "minimize", worst=WORST),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "coefficient_rate", "schedule", "residual_weight"}),
        constants=constants_beside(__file__),
    )
)
