"""Unsupervised learning: the density of two noisy looks at a chaotic system, by a normalising flow.

A point is the state of the Lorenz system (Lorenz 1963, Journal of the Atmospheric Sciences 20; sigma = 10, rho = 28,
beta = 8/3), its state 0.15 time units later, and white noise on both: six numbers near a folded sheet with two wings.
The flows are those of the library zuko (MIT): autoregressive (Papamakarios, Pavlakou & Murray 2017, arXiv:1705.07057)
or of couplings (Dinh, Sohl-Dickstein & Bengio 2017, arXiv:1605.08803), of affine maps or of splines (Durkan et al.
2019, arXiv:1906.04032). The points are computed on the spot, so there is no licence.

The search is over the flow, its networks, the optimiser, and the noise added anew to each training point, which here
is what augmentation is elsewhere.

Figures of the default, its noise and the best known are in docs/tasks.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import zuko
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from zuko.transforms import MonotonicRQSTransform

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.augmentation import noise
from tasks.networks import activation
from tasks.optimisers import descend, schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

EPOCHS = 80  # the maximum fidelity; the minimum is one epoch
LARGEST_GRADIENT_NORM = 10.0
WORST = 4.0  # bits per dimension; a standard normal density has about 2

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
TIME_STEP = 0.01
BURN_IN_STEPS, DELAY_STEPS = 2000, 15
SPACING_STEPS = 37  # half a turn, so that the states of a trajectory have seen the wings on all sides
TRAJECTORIES = {"train": 300, "validation": 250, "test": 250}
STATES = 10  # of each trajectory
CENTRE, SCALE = np.array([0.0, 0.0, 23.5]), np.array([8.0, 9.0, 8.6])  # of the attractor, in round numbers
NOISE = 0.05  # in units of SCALE
DIMENSIONS = 6

DATA = DataRef(
    name="lorenz-pairs",
    version="1",
    digest="cd5b5dc906756a76b9bcee5ca8fc3f60ffae17318e0f809d63af9a0ec32b4a2d",
    licence="none needed: computed",
    source="numpy PCG64 with seed 1, Runge-Kutta of order 4 in float64, rounded to float32",
    splits="10 states of each of 300 trajectories for training, of 250 others for validation and of 250 for testing",
)


def velocity(state: np.ndarray) -> np.ndarray:
    """(3, n) -> (3, n): the Lorenz system's right-hand side."""
    x, y, z = state
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])


def advanced(state: np.ndarray, steps: int) -> np.ndarray:
    """(3, n) -> (3, n) after ``steps`` of the classical Runge-Kutta method.

    Sums and products only, so that every machine rounds alike: chaos would blow up any difference.
    """
    for _ in range(steps):
        one = velocity(state)
        two = velocity(state + TIME_STEP / 2 * one)
        three = velocity(state + TIME_STEP / 2 * two)
        four = velocity(state + TIME_STEP * three)
        state = state + TIME_STEP / 6 * (one + 2 * (two + three) + four)
    return state


def trajectories(random: np.random.Generator, count: int) -> np.ndarray:
    """(count, STATES, 6) float64: states on the attractor and those DELAY_STEPS later, without noise."""
    spread = random.random((3, count)) - 0.5
    state = advanced(CENTRE[:, None] + SCALE[:, None] * spread, BURN_IN_STEPS)
    pairs = []
    for _ in range(STATES):
        later = advanced(state, DELAY_STEPS)
        pairs.append(np.concatenate([state, later]))
        state = advanced(later, SPACING_STEPS - DELAY_STEPS)
    return np.stack(pairs, axis=-1).transpose(1, 2, 0)


def arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 6) float32 of ``train``, ``validation`` and ``test``, scaled and noisy. A variant has another seed."""
    random = np.random.Generator(np.random.PCG64(1 + variant))
    pairs = trajectories(random, sum(TRAJECTORIES.values()))
    scaled = (pairs - np.tile(CENTRE, 2)) / np.tile(SCALE, 2)
    noisy = (scaled + NOISE * random.standard_normal(scaled.shape)).astype(np.float32)
    ends = np.cumsum(list(TRAJECTORIES.values()))
    parts = zip(TRAJECTORIES, np.split(noisy, ends[:-1]), strict=True)
    return {f"{name}_x": part.reshape(-1, DIMENSIONS) for name, part in parts}


def build_flow(configuration: Configuration) -> zuko.lazy.Flow:
    """Called without arguments it is a distribution over (6,); the first weights come from the global generator."""
    settings: dict[str, Any] = {
        "transforms": int(configuration["transforms"]),
        "hidden_features": [int(configuration["width"])] * int(configuration["depth"]),
        "activation": partial(activation, str(configuration["activation"])),
    }
    if configuration["transformer"] == "spline":
        bins = int(configuration["bins"])
        settings |= {"univariate": MonotonicRQSTransform, "shapes": [(bins,), (bins,), (bins - 1,)]}
    family = zuko.flows.NICE if configuration["conditioner"] == "coupling" else zuko.flows.MAF
    return family(DIMENSIONS, **settings)


def bits_per_dimension(flow: zuko.lazy.Flow, x: torch.Tensor) -> torch.Tensor:
    """Mean over ``x`` (n, 6) of minus log2 of the density, over the dimensions."""
    log_density: torch.Tensor = flow().log_prob(x)
    return -log_density.mean() / (DIMENSIONS * math.log(2.0))


def begin(configuration: Configuration, seed: int, device: str) -> Training[zuko.lazy.Flow]:
    """A training before its first epoch."""
    with drawn_from(stream(seed, "weights")):
        flow = build_flow(configuration).to(device)
    rate, decay = float(configuration["learning_rate"]), float(configuration["weight_decay"])
    optimiser = torch.optim.AdamW(flow.parameters(), rate, weight_decay=decay, fused=True)
    streams = {"order": stream(seed, "order"), "augmentation": stream(seed, "augmentation")}
    return Training(configuration, seed, flow, optimiser, streams)


def train_epoch(training: Training[zuko.lazy.Flow], x: torch.Tensor, epoch: int) -> torch.Tensor:
    """One pass over the training set in a new order; returns the loss of the last batch."""
    configuration, streams = training.configuration, training.streams
    order = torch.randperm(len(x), generator=streams["order"]).to(x.device)
    batches = torch.split(order, int(configuration["batch"]))
    for number, batch in enumerate(batches):
        points = noise(x[batch], float(configuration["noise"]), streams["augmentation"])
        loss = bits_per_dimension(training.model, points)
        progress = (epoch + number / len(batches)) / EPOCHS
        descend(training.optimiser, loss, str(configuration["schedule"]), progress, LARGEST_GRADIENT_NORM)
    return loss.detach()


@dataclass(frozen=True)
class FlowLorenz:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``x`` (n, 6) of ``train``, ``validation`` and ``test``; raises ``DataMismatch``."""
        return tensors(verified(self.spec.data[0], arrays(variant), variant))

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        done = training.resume(start) if start else 0
        x = data["train_x"].to(device)
        for epoch in range(done, EPOCHS):
            require_finite(train_epoch(training, x, epoch), epoch + 1)
            yield training.checkpoint(epoch + 1)

    @torch.no_grad()
    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Bits per dimension that the flow needs for the points of ``split``."""
        flow, _, device = restored(build_flow, checkpoint.state)
        bits = bits_per_dimension(flow, data[f"{split}_x"].to(device))
        return float(bits.nan_to_num(nan=WORST, posinf=WORST).clamp(max=WORST))


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is a RealNVP of four couplings of rectified networks under Adam,
    without augmentation. Other activations make the default's end more a matter of the seed."""
    space = ConfigurationSpace(name="unsupervised/flow-lorenz")
    transformer = Categorical("transformer", ["affine", "spline"], default="affine")
    bins = Integer("bins", (4, 12), default=8)
    space.add(
        Categorical("conditioner", ["coupling", "autoregressive"], default="coupling"),
        transformer,
        bins,
        Integer("transforms", (2, 4), default=4),
        Categorical("width", [32, 64, 96], default=64, ordered=True),
        Integer("depth", (1, 3), default=2),
        Categorical("activation", ["relu", "tanh", "silu", "sine"], default="relu"),
        Categorical("batch", [128, 256, 512], default=256, ordered=True),
        Float("learning_rate", (3e-4, 3e-2), default=1e-3, log=True),
        Float("weight_decay", (1e-6, 1.0), default=1e-6, log=True),
        schedule_space(),
        Float("noise", (0.0, 0.1), default=0.0),
        EqualsCondition(bins, transformer, "spline"),
    )
    return space


TASK = FlowLorenz(
    TaskSpec(
        name="unsupervised/flow-lorenz",
        version="1",
        summary="density of two noisy states of the Lorenz system by a normalising flow (bits per dimension)",
        paper="Papamakarios et al. 2017, Masked Autoregressive Flow for Density Estimation, arXiv:1705.07057",
        space=search_space(),
        fidelity=Fidelity("epochs", 1, EPOCHS),
        validation=Metric("validation bits per dimension", "minimize", worst=WORST),
        test=Metric("test bits per dimension", "minimize", worst=WORST),
        data=(DATA,),
        mutable=frozenset({"learning_rate", "weight_decay", "schedule", "noise"}),
        constants=constants_beside(__file__),
    )
)
