"""Few-shot learning: learn a start from which a net fits any sine wave after seeing five of its points.

Posed by Finn, Abbeel & Levine 2017 (Model-Agnostic Meta-Learning, ICML, section 5.1, arXiv:1703.03400): amplitude in
[0.1, 5], phase in [0, pi], x in [-5, 5], mean squared error. ANIL (Raghu et al. 2020, arXiv:1909.09157) adapts the
last layer alone. The tasks are drawn in closed form, so there is no licence; two fixed sets of 500 serve validation
and testing.

The search is over the algorithm, its inner loop and the net. Meta-gradients are clipped to a norm of 10. The waves of
one meta-iteration are adapted to in one batch of matrix products.

To beat: the best function of x alone has an error of 2.97 on the test tasks. Figures of the default, its noise and the
best known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from torch import nn

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, Vector, constants_beside
from tasks.networks import mlp
from tasks.optimisers import descend, schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

ITERATIONS, STEP = 1200, 40
TASKS_PER_ITERATION, SHOTS, QUERIES = 25, 5, 10
HELD_OUT_TASKS, HELD_OUT_QUERIES = 500, 50
LARGEST_GRADIENT_NORM = 10.0
HOLD = 1.0  # how firmly the differentiable problem holds weights to the start, to begin with
FITTING_STEPS, FITTING_RATE = 100, 1e-2  # of Adam, from the start to the weights of each wave
WORST = 10.0  # more than twice the error of predicting zero

DATA = DataRef(
    name="sinusoid-regression",
    version="1",
    digest="48a351bfa65cb3669480615607b6c1f65c7e6dce4390b73739c885c8d74f35ae",
    licence="none needed: generated in closed form",
    source="numpy PCG64 with seeds 1 (validation) and 2 (test), float64 rounded to float32",
    splits="500 waves each for validation and testing; training waves are drawn on the way",
)


def held_out(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Held-out tasks: x and y, each (tasks, shots + queries, 1) float32, the shots first."""
    random = np.random.Generator(np.random.PCG64(seed))
    amplitude = 0.1 + 4.9 * random.random((HELD_OUT_TASKS, 1, 1))
    phase = math.pi * random.random((HELD_OUT_TASKS, 1, 1))
    x = 10.0 * random.random((HELD_OUT_TASKS, SHOTS + HELD_OUT_QUERIES, 1)) - 5.0
    y = amplitude * np.sin(x - phase)
    return x.astype(np.float32), y.astype(np.float32)


def fresh_tasks(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Tasks for one meta-iteration, in the layout and from the distribution of ``held_out``."""
    amplitude = 0.1 + 4.9 * torch.rand(TASKS_PER_ITERATION, 1, 1, generator=generator)
    phase = math.pi * torch.rand(TASKS_PER_ITERATION, 1, 1, generator=generator)
    x = 10.0 * torch.rand(TASKS_PER_ITERATION, SHOTS + QUERIES, 1, generator=generator) - 5.0
    return x, amplitude * torch.sin(x - phase)


class MetaLearner(nn.Module):
    """A perceptron from R to R whose weights are the start of the adaptation to a task, and the rate of that."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        hidden = [int(configuration["width"])] * int(configuration["depth"])
        self.layers = mlp([1, *hidden, 1], str(configuration["activation"]))
        rate = torch.tensor(math.log(float(configuration["inner_learning_rate"])))
        self.log_rate = nn.Parameter(rate, requires_grad=bool(configuration["learn_inner_rate"]))
        self.adapted = 2 if configuration["algorithm"] == "anil" else len(list(self.layers.parameters()))

    def forward(self, x: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        """(tasks, points, 1) -> (tasks, points, 1), every task with its own ``weights``."""
        for number in range(0, len(weights), 2):
            x = torch.baddbmm(weights[number + 1], x, weights[number])
            if number + 2 < len(weights):
                x = self.layers[1](x)
        return x

    def initial(self, tasks: int) -> list[torch.Tensor]:
        """The common start as one copy for each task: (tasks, inputs, outputs) and (tasks, 1, outputs) in turn."""
        return [
            parameter.t().expand(tasks, -1, -1) if parameter.ndim == 2 else parameter.expand(tasks, 1, -1)
            for parameter in self.layers.parameters()
        ]

    def adapt(self, x: torch.Tensor, y: torch.Tensor, steps: int, first_order: bool) -> list[torch.Tensor]:
        """Weights after ``steps`` of gradient descent on each task's shots, differentiable unless ``first_order``."""
        weights = self.initial(len(x))
        body = len(weights) - self.adapted
        rate = self.log_rate.exp()
        for _ in range(steps):
            loss = (self(x, weights) - y).square().mean(dim=(1, 2)).sum()
            gradients = torch.autograd.grad(loss, weights[body:], create_graph=not first_order)
            adapted = zip(weights[body:], gradients, strict=True)
            weights[body:] = [weight - rate * gradient for weight, gradient in adapted]
        return weights

    def query_errors(self, x: torch.Tensor, y: torch.Tensor, steps: int, first_order: bool) -> torch.Tensor:
        """(tasks,): mean squared error on each task's queries, after adaptation to its shots."""
        weights = self.adapt(x[:, :SHOTS], y[:, :SHOTS], steps, first_order)
        errors: torch.Tensor = (self(x[:, SHOTS:], weights) - y[:, SHOTS:]).square()
        return errors.mean(dim=(1, 2))


def begin(configuration: Configuration, seed: int, device: str) -> Training[MetaLearner]:
    """A training before its first meta-iteration."""
    with drawn_from(stream(seed, "weights")):
        model = MetaLearner(configuration).to(device)
    groups = [{"params": model.layers.parameters(), "lr": float(configuration["learning_rate"])}]
    if configuration["learn_inner_rate"]:
        groups.append({"params": [model.log_rate], "lr": float(configuration["inner_rate_learning_rate"])})
    optimiser = torch.optim.Adam(groups, fused=True)
    return Training(configuration, seed, model, optimiser, {"tasks": stream(seed, "tasks")})


def meta_iteration(training: Training[MetaLearner], iteration: int, device: str) -> torch.Tensor:
    """One step on the weights before adaptation (Finn et al. 2017, algorithm 2); returns the loss on the queries."""
    configuration, model = training.configuration, training.model
    x, y = (values.to(device) for values in fresh_tasks(training.streams["tasks"]))
    loss = model.query_errors(x, y, int(configuration["inner_steps"]), bool(configuration["first_order"])).mean()
    schedule, progress = str(configuration["schedule"]), iteration / ITERATIONS
    descend(training.optimiser, loss, schedule, progress, LARGEST_GRADIENT_NORM)
    return loss.detach()


@dataclass(frozen=True)
class ProximalWaves:
    """Implicit MAML (Rajeswaran et al. 2019, arXiv:1909.04630): the weights of every training wave are held near a
    common start, which is searched together with how firmly each tensor is held.

    Its activation is smooth, since the hypergradient of a training needs second derivatives, which a rectifier hides.
    """

    model: MetaLearner
    x: torch.Tensor  # (waves, shots + queries, 1), the shots first
    y: torch.Tensor
    configuration: Configuration
    steps: int = FITTING_STEPS
    step_size: float = FITTING_RATE

    def hyperparameters(self) -> dict[str, torch.Tensor]:
        """The start by the names of the net's tensors, and ``log_hold`` (tensors,)."""
        start = {name: value.detach().clone() for name, value in self.model.layers.named_parameters()}
        return {**start, "log_hold": torch.full((len(start),), math.log(HOLD), device=self.x.device)}

    def parameters(self) -> dict[str, torch.Tensor]:
        """Weights of each wave's own, (waves, inputs, outputs) and (waves, 1, outputs), all at the start."""
        return dict(zip(self._names, (each.detach().clone() for each in self.model.initial(len(self.x))), strict=True))

    def inner_loss(self, parameters: Data, hyperparameters: Data, step: int) -> torch.Tensor:
        """Sum over waves of the error on the shots and of the held distance from the start; all waves, each step."""
        errors = (self._fitted(parameters, self.x[:, :SHOTS]) - self.y[:, :SHOTS]).square().mean(dim=(1, 2))
        distances = [(parameters[name] - _for_waves(hyperparameters[name])).square().sum() for name in self._names]
        return errors.sum() + 0.5 * (hyperparameters["log_hold"].exp() * torch.stack(distances)).sum()

    def outer_loss(self, parameters: Data, hyperparameters: Data) -> torch.Tensor:
        """Mean squared error on the queries."""
        return (self._fitted(parameters, self.x[:, SHOTS:]) - self.y[:, SHOTS:]).square().mean()

    def checkpoint(self, parameters: Data, hyperparameters: Data) -> Checkpoint:
        """A meta-learner with the searched start, as of a full training."""
        state = {**self.model.state_dict(), **{f"layers.{name}": hyperparameters[name] for name in self._names}}
        return Checkpoint(ITERATIONS, {"configuration": dict(self.configuration), "model": state})

    def _fitted(self, parameters: Data, x: torch.Tensor) -> torch.Tensor:
        fitted: torch.Tensor = self.model(x, [parameters[name] for name in self._names])
        return fitted

    @property
    def _names(self) -> list[str]:
        return [name for name, _ in self.model.layers.named_parameters()]


def _for_waves(start: torch.Tensor) -> torch.Tensor:
    """A tensor of the net in the layout of ``MetaLearner.initial``: (1, inputs, outputs) or (1, 1, outputs)."""
    return start.t()[None] if start.ndim == 2 else start[None, None]


@dataclass(frozen=True)
class Sinusoid:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` and ``y`` (500, 55, 1) of ``validation`` and ``test``, shots first; raises ``DataMismatch``.

        A variant has other held-out waves, and trains on other draws.
        """
        arrays = {}
        for number, name in enumerate(("validation", "test"), 1):
            arrays[f"{name}_x"], arrays[f"{name}_y"] = held_out(number + 2 * variant)
        return tensors(verified(self.spec.data[0], arrays, variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        for iteration in range(done, ITERATIONS):
            loss = meta_iteration(training, iteration, device)
            if (iteration + 1) % STEP == 0:
                require_finite(loss, iteration + 1)
                yield training.checkpoint(iteration + 1)

    @property
    def vectors(self) -> Mapping[str, Vector]:
        with drawn_from(stream(0, "weights")):
            start = dict(MetaLearner(self.spec.default).layers.named_parameters())
        sizes = {name: value.numel() for name, value in start.items()}
        return {
            **{name: Vector(size, -0.5, 0.5) for name, size in sizes.items()},
            "log_hold": Vector(len(sizes), -5.0, 5.0),
        }

    def differentiable(self, data: Data, seed: int, device: str) -> ProximalWaves:
        configuration = {**self.spec.default, "activation": "silu"}
        with drawn_from(stream(seed, "weights")):
            model = MetaLearner(configuration).to(device)
        x, y = fresh_tasks(stream(seed, "tasks"))
        return ProximalWaves(model, x.to(device), y.to(device), configuration)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Mean squared error on the tasks of ``split`` after adaptation, at most that of one that diverges."""
        model, configuration, device = restored(MetaLearner, checkpoint.state)
        x, y = data[f"{split}_x"].to(device), data[f"{split}_y"].to(device)
        errors = model.query_errors(x, y, int(configuration["adaptation_steps"]), first_order=True)
        return float(errors.detach().mean().nan_to_num(nan=WORST).clamp(max=WORST))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is the net and the inner loop of Finn et al."""
    space = ConfigurationSpace(name="few_shot/sinusoid")
    learn_inner_rate = Categorical("learn_inner_rate", [False, True], default=False)
    inner_rate_learning_rate = Float("inner_rate_learning_rate", (1e-4, 1e-1), default=1e-3, log=True)
    space.add(
        Categorical("algorithm", ["maml", "anil"], default="maml"),
        Categorical("first_order", [False, True], default=False),
        Integer("inner_steps", (1, 4), default=1),
        Integer("adaptation_steps", (1, 10), default=5),
        Float("inner_learning_rate", (1e-3, 0.3), default=0.01, log=True),
        learn_inner_rate,
        inner_rate_learning_rate,
        Float("learning_rate", (1e-4, 1e-2), default=1e-3, log=True),
        schedule_space(),
        Categorical("width", [20, 40, 60], default=40, ordered=True),
        Integer("depth", (1, 3), default=2),
        Categorical("activation", ["relu", "tanh", "silu", "sine"], default="relu"),
        EqualsCondition(inner_rate_learning_rate, learn_inner_rate, True),
    )
    return space


TASK = Sinusoid(
    TaskSpec(
        name="few_shot/sinusoid",
        version="1",
        summary="learn to fit a sine wave from five points by MAML or ANIL (mean squared error)",
        paper="Finn, Abbeel & Levine 2017, Model-Agnostic Meta-Learning, ICML, section 5.1",
        space=search_space(),
        fidelity=Fidelity("meta-iterations", STEP, ITERATIONS, STEP),
        validation=Metric("mean squared error on validation tasks", "minimize", worst=WORST),
        test=Metric("mean squared error on test tasks", "minimize", worst=WORST),
        data=(DATA,),
        mutable=frozenset(
            {
                "learning_rate",
                "inner_rate_learning_rate",
                "schedule",
                "first_order",
                "inner_steps",
                "adaptation_steps",
            }
        ),
        constants=constants_beside(__file__),
    )
)
