"""Physics-informed learning: solve the Helmholtz equation on a square with a network.

u_xx + u_yy + k^2 u = f on [-1, 1]^2 with u = 0 on the boundary, k = 1 and f such that u = sin(pi x) sin(2 pi y).
Posed, with sin(4 pi y), by Wang, Teng & Perdikaris 2021 (SIAM Journal on Scientific Computing 43(5),
arXiv:2001.04536). All is in closed form, so there is no licence.

The search is over the net, the way the boundary is kept, and the optimiser (``tasks.collocation``): Adam, then L-BFGS
for a share of the loss evaluations.

Validation never sees the solution. It is the defect: root mean square residual at held-out points, plus that of u on
the boundary times ``symbol``, over that of f. ``symbol`` is the factor by which the equation turns a wave of the
source's own frequencies into the source, which puts both terms on the scale of a relative error in u: zero has a defect
of 1 and an error of 1. The weight is fixed: it is no matter of the loss weights that are searched, and lets no solution
win by ignoring one term.

To beat: a solution of zero, whose error is 1, or 0 in logarithms. Figures of the default, its noise and the best known
are in docs/tasks.md.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from torch import nn
from torch.func import functional_call

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside
from tasks.collocation import EVALUATIONS, STEP, CoordinateNetwork, begin, minimised, root_mean_square
from tasks.optimisers import schedule_space
from tasks.training import Data, drawn_from, restored, stream, tensors

WAVES = (1, 2)  # half waves along x and y, on the boards; each variant has others
MOST_WAVES = 3
WAVENUMBER = 1.0
SIDE_POINTS = 50
HELD_OUT_POINTS = 1000
GRID = 101
POINTS = 1000  # inside, of the differentiable problem, as the default has it
VECTORS = {"weight_logits": Vector(POINTS, -6.0, 6.0), "log_boundary_weight": Vector(1, -5.0, 5.0)}
WORST = 1.0  # ten times the error of a solution of zero

DATA = DataRef(
    name="helmholtz-manufactured",
    version="1",
    digest="20d9fa473d4e279f350afa364d623c84cc34b08feaa52ab8645a8f850ae22d09",
    licence="none needed: generated in closed form",
    source="numpy PCG64 with seed 1 (validation points) and the exact solution (test), float64 rounded to float32",
    splits="1,000 points inside for validation, a grid of 101 x 101 for testing; training points are drawn",
)

Waves = tuple[int, int]


def waves_of(variant: int) -> Waves:
    """How many half waves the solution of ``variant`` has along x and y."""
    if variant == 0:
        return WAVES
    x, y = np.random.Generator(np.random.PCG64(variant)).integers(1, MOST_WAVES + 1, 2)
    return int(x), int(y)


def symbol(waves: Waves) -> float:
    """The factor by which the equation turns ``waves`` of the solution into the source term."""
    return (waves[0] * math.pi) ** 2 + (waves[1] * math.pi) ** 2 - WAVENUMBER**2


def exact(x: np.ndarray, y: np.ndarray, waves: Waves = WAVES) -> np.ndarray:
    """The manufactured solution u(x, y)."""
    return np.sin(waves[0] * math.pi * x) * np.sin(waves[1] * math.pi * y)


def held_out(variant: int) -> dict[str, np.ndarray]:
    """Validation points (n, 2) inside the square; test points (n, 2) on a grid, and the solution there (n, 1)."""
    inside = np.random.Generator(np.random.PCG64(1 + variant)).uniform(-1.0, 1.0, (HELD_OUT_POINTS, 2))
    axis = np.linspace(-1.0, 1.0, GRID)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    solution = exact(grid[:, :1], grid[:, 1:], waves_of(variant))
    arrays = {"validation_x": inside, "test_x": grid, "test_y": solution}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def source_term(points: torch.Tensor, waves: Waves) -> torch.Tensor:
    """(points, 2) -> (points, 1): the right-hand side f that makes ``exact`` the solution."""
    x, y = points[:, :1], points[:, 1:]
    return -symbol(waves) * torch.sin(waves[0] * math.pi * x) * torch.sin(waves[1] * math.pi * y)


def boundary_points(device: str | torch.device) -> torch.Tensor:
    """(4 n, 2): evenly spaced points on the four sides."""
    along = torch.linspace(-1.0, 1.0, SIDE_POINTS, device=device)[:, None]
    end = torch.ones_like(along)
    sides = [(along, end), (along, -end), (end, along), (-end, along)]
    return torch.cat([torch.cat(side, dim=1) for side in sides])


class Solution(CoordinateNetwork):
    """The network u(x, y), (points, 2) -> (points, 1)."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(2, configuration)
        self.zero_on_boundary = configuration["boundary"] == "hard"

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        u = self.output(points)
        if self.zero_on_boundary:
            from_x, from_y = 1 - points[:, :1].square(), 1 - points[:, 1:].square()
            u = u * from_x * from_y
        return u

    def laplacian(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(points, 2) -> (points, 1) each: u and u_xx + u_yy."""
        u, (u_x, u_y, curvature) = self.derivatives(points, (1.0, 1.0))
        if not self.zero_on_boundary:
            return u, curvature
        x, y = points[:, :1], points[:, 1:]
        from_x, from_y = 1 - x.square(), 1 - y.square()
        factor = from_x * from_y
        slopes = -4 * (x * from_y * u_x + y * from_x * u_y)  # twice the products of the gradients
        return factor * u, factor * curvature + slopes - 2 * (from_x + from_y) * u


class Laplacian(nn.Module):
    """``Solution.laplacian`` as a module, so that it can be called with other parameters."""

    def __init__(self, net: Solution) -> None:
        super().__init__()
        self.net = net

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.net.laplacian(points)


@dataclass(frozen=True)
class Given:
    """``net`` with other parameters."""

    net: Solution
    parameters: Data

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        u: torch.Tensor = functional_call(self.net, dict(self.parameters), (points,))
        return u

    def laplacian(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        named = {f"net.{name}": value for name, value in self.parameters.items()}
        u, curvature = functional_call(Laplacian(self.net), named, (points,))
        return u, curvature


def residual(model: Solution | Given, points: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """(points, 2) -> (points, 1): u_xx + u_yy + k^2 u - f, where ``source`` (points, 1) is f."""
    u, curvature = model.laplacian(points)
    return curvature + WAVENUMBER**2 * u - source


@dataclass(frozen=True)
class Problem:
    """What is minimised: squared residual at ``inside`` (n, 2), where the source term is ``source`` (n, 1), and, where
    the boundary is soft, u^2 on ``boundary``."""

    inside: torch.Tensor
    source: torch.Tensor
    boundary: torch.Tensor
    boundary_weight: float

    def loss(self, model: Solution) -> torch.Tensor:
        loss = residual(model, self.inside, self.source).square().mean()
        if self.boundary_weight:
            loss = loss + self.boundary_weight * model(self.boundary).square().mean()
        return loss


def problem(configuration: Configuration, seed: int, device: str, waves: Waves) -> Problem:
    """The problem on points drawn once for the whole training."""
    count = int(configuration["points"])
    inside = (2.0 * torch.rand(count, 2, generator=stream(seed, "points")) - 1.0).to(device)
    weight = float(configuration.get("boundary_weight", 0.0))
    return Problem(inside, source_term(inside, waves), boundary_points(device), weight)


def defect(model: Solution | Given, points: torch.Tensor, waves: Waves) -> torch.Tensor:
    """How far ``model`` is from solving the equation at ``points`` (n, 2) and on the boundary; 1 for zero."""
    source = source_term(points, waves)
    inside = root_mean_square(residual(model, points, source))
    on_boundary = root_mean_square(model(boundary_points(points.device)))
    return (inside + symbol(waves) * on_boundary) / root_mean_square(source)


def error(model: nn.Module, points: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Relative L2 error of ``model`` at ``points`` (n, 2) against ``truth`` (n, 1)."""
    return root_mean_square(model(points) - truth) / root_mean_square(truth)


@dataclass(frozen=True)
class WeightedResiduals:
    """The default's training as a differentiable problem: a weight for the residual at each point and one for the
    boundary, 1,001 hyper-parameters (McClenny & Braga-Neto 2023, Self-Adaptive Physics-Informed Neural Networks,
    arXiv:2009.04544, who let them follow the inner loss)."""

    net: Solution
    problem: Problem
    held_out: torch.Tensor
    waves: Waves
    configuration: Configuration
    steps: int = EVALUATIONS
    step_size: float = 1e-3

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """``weight_logits`` (1000,), ``log_boundary_weight`` ()."""
        inside = self.problem.inside
        return {
            "weight_logits": torch.zeros(len(inside), device=inside.device),
            "log_boundary_weight": torch.tensor(math.log(self.problem.boundary_weight), device=inside.device),
        }

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.net.named_parameters()}

    def inner_loss(self, parameters: Data, hyperparameters: Data, step: int) -> torch.Tensor:
        """Weighted squares of the residual and of u on the boundary over that of the source term, at all points
        whatever the ``step``."""
        solution, problem = Given(self.net, parameters), self.problem
        weights = 2 * hyperparameters["weight_logits"].sigmoid()  # 1 at the start
        squares = residual(solution, problem.inside, problem.source).square().squeeze(1)
        on_boundary = hyperparameters["log_boundary_weight"].exp() * solution(problem.boundary).square().mean()
        return ((weights * squares).mean() + on_boundary) / problem.source.square().mean()

    def outer_loss(self, parameters: Data, hyperparameters: Data) -> torch.Tensor:
        """The logarithm of the defect at the validation points."""
        return defect(Given(self.net, parameters), self.held_out, self.waves).log()

    def checkpoint(self, parameters: Data, hyperparameters: Data) -> Checkpoint:
        """As of a full training."""
        return Checkpoint(EVALUATIONS, {"configuration": dict(self.configuration), "model": dict(parameters)})


def waves_in(data: Data) -> Waves:
    x, y = data["waves"].tolist()
    return x, y


@dataclass(frozen=True)
class Helmholtz:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """The arrays of ``held_out`` and ``waves`` (2,); raises ``DataMismatch``. A variant has other waves."""
        arrays = verified(self.spec.data[0], held_out(variant), variant)
        return {**tensors(arrays), "waves": torch.tensor(waves_of(variant))}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        with drawn_from(stream(seed, "weights")):
            model = Solution(configuration).to(device)
        training = begin(configuration, seed, model, [{"params": list(model.parameters())}], start)
        return minimised(training, problem(configuration, seed, device, waves_in(data)).loss, start)

    @property
    def vectors(self) -> Mapping[str, Vector]:
        return VECTORS

    def differentiable(self, data: Data, seed: int, device: str) -> WeightedResiduals:
        with drawn_from(stream(seed, "weights")):
            net = Solution(self.spec.default).to(device)
        waves = waves_in(data)
        posed = problem(self.spec.default, seed, device, waves)
        return WeightedResiduals(net, posed, data["validation_x"].to(device), waves, self.spec.default)

    @torch.no_grad()
    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """log10 of the defect on the validation points or of the error on the test points, both relative, at most 1."""
        model, _, device = restored(Solution, checkpoint.state)
        points = data[f"{split}_x"].to(device)
        if split == "test":
            relative = error(model, points, data["test_y"].to(device))
        else:
            relative = defect(model, points, waves_in(data))
        return float(relative.log10().clamp(max=WORST))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a plain tanh net under Adam with a penalty on the boundary."""
    space = ConfigurationSpace(name="physics_informed/helmholtz")
    encoding = Categorical("encoding", ["none", "fourier"], default="none")
    fourier_scale = Float("fourier_scale", (0.1, 3.0), default=1.0, log=True)
    boundary = Categorical("boundary", ["soft", "hard"], default="soft")
    boundary_weight = Float("boundary_weight", (1.0, 1000.0), default=100.0, log=True)
    optimiser = Categorical("optimiser", ["adam", "adam+lbfgs"], default="adam")
    lbfgs_share = Float("lbfgs_share", (0.1, 0.9), default=0.5)
    space.add(
        Categorical("width", [16, 32, 48], default=32, ordered=True),
        Integer("depth", (2, 5), default=3),
        Categorical("activation", ["tanh", "sine", "silu", "gelu"], default="tanh"),
        encoding,
        fourier_scale,
        Integer("points", (256, 1600), default=1000, log=True),
        boundary,
        boundary_weight,
        Float("learning_rate", (3e-4, 3e-2), default=1e-3, log=True),
        schedule_space(),
        optimiser,
        lbfgs_share,
        EqualsCondition(fourier_scale, encoding, "fourier"),
        EqualsCondition(boundary_weight, boundary, "soft"),
        EqualsCondition(lbfgs_share, optimiser, "adam+lbfgs"),
    )
    return space


TASK = Helmholtz(
    TaskSpec(
        name="physics_informed/helmholtz",
        version="1",
        summary="solve the Helmholtz equation on a square with a network (log10 relative error)",
        paper="Wang, Teng & Perdikaris 2021, Gradient Flow Pathologies in Physics-Informed Networks, arXiv:2001.04536",
        space=search_space(),
        fidelity=Fidelity("loss evaluations", STEP, EVALUATIONS, STEP),
        validation=Metric("log10 relative defect", "minimize", worst=WORST),
        test=Metric("log10 relative L2 error", "minimize", worst=WORST),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "schedule", "boundary_weight"}),
        constants=constants_beside(__file__),
    )
)
