"""Reinforcement learning: teach a two-legged planar robot to run by proximal policy optimisation.

The method and the problem are those of Schulman et al. 2017 (Proximal Policy Optimization Algorithms,
arXiv:1707.06347, section 6.1), with fewer steps. The environment is Gymnasium's HalfCheetah-v5 (Towers et al. 2024,
arXiv:2407.17032, MIT licence), simulated by MuJoCo (Todorov, Erez & Tassa 2012, Apache-2.0): six torques, a reward for
speed less one for the effort, 1,000 steps an episode. It needs the extra: ``pip install 'carbon-suite[mujoco]'``.
Rewards are divided by 10 for learning.

The search is over the optimiser, the rollout, the estimate of advantages, the objective, the exploration and the
networks. It is judged by what training shows for nothing: the mean return of the training episodes, averaged over
twenty equal parts of the training. The test is the final policy, which draws its actions, in 16 episodes of its own.

| figure                                  | value             | n                          |
|-----------------------------------------|-------------------|----------------------------|
| CPU seconds of a full default training  | 17                | 3 seeds                    |
| test return of the default              | -223              | 3 seeds                    |
| its standard deviation over seeds       | 28                | 3 seeds                    |
| a better configuration                  | 688               | 1 seed                     |
| a policy that has learnt nothing        | -339              | 16 episodes                |

Its constants are not measured.

Measured on one core of an AMD EPYC, shared with other work, which only adds seconds, with one thread, Python 3.11,
torch 2.13.0, numpy 2.4.6, gymnasium 1.4.0, mujoco 3.17.0.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from gymnasium.error import DependencyNotInstalled
from gymnasium.vector import VectorEnv
from torch import nn

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.actor_critic import ActorCritic, Actors, mean_return, physics_of, proximal_epochs
from tasks.optimisers import schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

STEPS, STEP = 48_000, 2_400  # of all environments together, those that only reset one included
ENVIRONMENTS = 6
BATCH = 200
REWARD_SCALE = 0.1
LONGEST_EPISODE = 1000
LARGEST_OBSERVATION = 10.0  # in standard deviations, where they are normalised
TEST_EPISODES, TEST_SEED = 16, 2024
WORST = -1000.0
STANDARD = {"gravity": 1.0, "mass": 1.0, "friction": 1.0, "gear": 1.0}  # factors on what Gymnasium's model has

DATA = DataRef(
    name="HalfCheetah-v5",
    version="1",
    digest="43ccd530e5b820bc6494d5a11551db58ec8f4144f5eb7fb907d031e595c678b9",
    licence="MIT (Gymnasium), Apache-2.0 (MuJoCo)",
    source="gymnasium 1.2 to 1.4, HalfCheetah-v5; numpy PCG64 with seed 2024 draws the test episodes' starts",
    splits="16 episodes for testing; those of the training are drawn on the way and serve validation",
)


@contextmanager
def unlogged(mujoco: ModuleType) -> Iterator[None]:
    """Drops MuJoCo's warnings, which go to a file in the working folder: it has one for each of Gymnasium's robots."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


class HalfCheetahs(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """HalfCheetah-v5 ``copies`` times, with the factors ``physics`` on what ``STANDARD`` names.

    state: (size, copies), all that MuJoCo's integrator depends on.
    """

    def __init__(self, copies: int, physics: np.ndarray) -> None:
        import mujoco
        from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

        self.num_envs = copies
        self._mujoco = mujoco
        with unlogged(mujoco):
            self._robots: list[Any] = [HalfCheetahEnv() for _ in range(copies)]
        gravity, mass, friction, gear = physics.tolist()
        for robot in self._robots:
            model = robot.model
            model.opt.gravity *= gravity
            model.body_mass *= mass
            model.body_inertia *= mass
            model.geom_friction *= friction
            model.actuator_gear *= gear
            mujoco.mj_setConst(model, robot.data)

    @property
    def state(self) -> np.ndarray:
        kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        states = np.empty((self.num_envs, self._mujoco.mj_stateSize(self._robots[0].model, kind)))
        for robot, state in zip(self._robots, states, strict=True):
            self._mujoco.mj_getState(robot.model, robot.data, state, kind)
        return states.T

    @state.setter
    def state(self, states: np.ndarray) -> None:
        kind = self._mujoco.mjtState.mjSTATE_INTEGRATION
        for robot, state in zip(self._robots, np.ascontiguousarray(states.T), strict=True):
            self._mujoco.mj_setState(robot.model, robot.data, state, kind)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        for robot in self._robots:
            robot.np_random = self.np_random
        self.steps = np.zeros(self.num_envs, dtype=np.int64)
        self.prev_done = np.zeros(self.num_envs, dtype=bool)
        return np.stack([robot.reset()[0] for robot in self._robots]).astype(np.float32), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step with ``actions`` (copies, 6) clipped to [-1, 1], or a reset (``AutoresetMode.NEXT_STEP``)."""
        observations, rewards = [], np.zeros(self.num_envs)
        for copy, (robot, action) in enumerate(zip(self._robots, actions.clip(-1.0, 1.0), strict=True)):
            if self.prev_done[copy]:
                observations.append(robot.reset()[0])
            else:
                seen, rewards[copy], *_ = robot.step(action)
                observations.append(seen)
        self.steps = np.where(self.prev_done, 0, self.steps + 1)
        self.prev_done = self.steps >= LONGEST_EPISODE
        never = np.zeros(self.num_envs, dtype=bool)
        return np.stack(observations).astype(np.float32), rewards, never, self.prev_done, {}


def half_cheetahs(copies: int, physics: np.ndarray) -> HalfCheetahs:
    """The environments; raises ``ImportError`` without MuJoCo."""
    try:
        return HalfCheetahs(copies, physics)
    except (ImportError, DependencyNotInstalled) as error:
        raise ImportError(
            f"HalfCheetah-v5 must be simulated by MuJoCo, which cannot be imported here ({error}); "
            "install it: pip install 'carbon-suite[mujoco]'"
        ) from error


class Scaling(nn.Module):
    """Observations by the mean and the standard deviation of those that it was shown, if any."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        scaled = (observations - self.mean) / (self.variance + 1e-8).sqrt()
        return scaled.clamp(-LARGEST_OBSERVATION, LARGEST_OBSERVATION)

    def show(self, observations: torch.Tensor) -> None:
        """Take ``observations`` (n, size) into the moments (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        share = len(observations) / (self.count + len(observations))
        shift = observations.mean(dim=0) - self.mean
        spread = observations.var(dim=0, correction=0)
        self.variance += share * (spread - self.variance) + share * (1 - share) * shift.square()
        self.mean += share * shift
        self.count += len(observations)


class GaussianActorCritic(ActorCritic):
    """The policy is normal in each of six torques, independently; actions are (n, 6)."""

    def __init__(self, configuration: Configuration) -> None:
        width = int(configuration["width"])
        super().__init__(observations=17, outputs=6, width=width, depth=2, act="tanh", shared=False)
        self.scaling = Scaling(17)
        self.actor, self.critic = nn.Sequential(self.scaling, self.actor), nn.Sequential(self.scaling, self.critic)
        log_deviation = torch.full((6,), math.log(float(configuration["deviation"])))
        self.log_deviation = nn.Parameter(log_deviation, requires_grad=configuration["exploration"] == "learnt")

    @torch.no_grad()
    def act(self, observations: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        mean = self.policy(observations)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        return mean + self.log_deviation.exp() * noise

    def judge(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scaled = (actions - self.policy(observations)) / self.log_deviation.exp()
        largest = -(self.log_deviation + 0.5 * math.log(2 * math.pi)).sum()
        densities = largest - 0.5 * scaled.square().sum(dim=-1)
        return densities, (0.5 * len(self.log_deviation) - largest).expand(len(densities))


def begin(configuration: Configuration, seed: int, device: str) -> Training[GaussianActorCritic]:
    """A training before its first rollout."""
    with drawn_from(stream(seed, "weights")):
        model = GaussianActorCritic(configuration).to(device)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(learnt, float(configuration["learning_rate"]), eps=1e-5, fused=True)
    return Training(configuration, seed, model, optimiser, {name: stream(seed, name) for name in ("actions", "order")})


@dataclass(frozen=True)
class MujocoHalfCheetah:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``physics`` (4,) in the order of ``STANDARD``; ``starts`` (16, 17) of the test episodes and their ``seed``.

        Raises ``DataMismatch``, and ``ImportError`` without MuJoCo. A variant has another robot on another ground.
        """
        seed = TEST_SEED + variant
        physics = physics_of(STANDARD, variant)
        starts, _ = half_cheetahs(TEST_EPISODES, physics).reset(seed=seed)
        arrays = verified(self.spec.data[0], {"physics": physics, "starts": starts}, variant)
        return {**tensors(arrays), "seed": torch.tensor(seed)}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        environments = half_cheetahs(ENVIRONMENTS, data["physics"].numpy())
        actors = Actors(environments, seed, worst=WORST, reward_scale=REWARD_SCALE)
        done = training.resume(start) if start else 0
        if start:
            actors.restore(start)
        horizon = int(configuration["horizon"])
        for steps in range(done, STEPS, ENVIRONMENTS * horizon):
            rollout = actors.collect(training.model, horizon, training.streams["actions"], device)
            loss = proximal_epochs(training, rollout, BATCH, progress=steps / STEPS)
            reached = steps + ENVIRONMENTS * horizon
            require_finite(loss, reached)
            if configuration["observations"] == "normalised":
                training.model.scaling.show(rollout.observations[:-1][rollout.valid])
            if reached % STEP == 0:
                actors.close_step()
                yield actors.checkpoint(training, reached)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Mean return of the training episodes, averaged over fidelity steps, or that of the policy in new episodes."""
        if split == "validation":
            return max(float(np.mean(checkpoint.state["actors"]["curve"])), WORST)
        model, _, device = restored(GaussianActorCritic, checkpoint.state)
        environments = half_cheetahs(TEST_EPISODES, data["physics"].numpy())
        return max(mean_return(environments, model, int(data["seed"]), device), WORST)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is close to the settings of Schulman et al. for MuJoCo."""
    space = ConfigurationSpace(name="reinforcement/mujoco-halfcheetah")
    exploration = Categorical("exploration", ["learnt", "fixed"], default="learnt")
    entropy_weight = Float("entropy_weight", (1e-5, 1e-2), default=1e-5, log=True)
    space.add(
        Float("learning_rate", (1e-4, 3e-3), default=3e-4, log=True),
        schedule_space(),
        Categorical("horizon", [50, 100, 200, 400], default=200, ordered=True),
        Integer("epochs", (1, 15), default=10),
        Float("effective_horizon", (10.0, 1000.0), default=100.0, log=True),
        Float("gae_lambda", (0.8, 1.0), default=0.95),
        Float("clip", (0.05, 0.4), default=0.2),
        exploration,
        entropy_weight,
        Float("deviation", (0.1, 1.0), default=1.0, log=True),
        Categorical("observations", ["raw", "normalised"], default="raw"),
        Categorical("width", [32, 64, 128], default=64, ordered=True),
        EqualsCondition(entropy_weight, exploration, "learnt"),
    )
    return space


TASK = MujocoHalfCheetah(
    TaskSpec(
        name="reinforcement/mujoco-halfcheetah",
        version="1",
        summary="teach a planar robot to run by proximal policy optimisation (mean return)",
        paper="Schulman et al. 2017, Proximal Policy Optimization Algorithms, arXiv:1707.06347, section 6.1",
        space=search_space(),
        fidelity=Fidelity("environment steps", STEP, STEPS, STEP),
        validation=Metric("mean return in training", "maximize", worst=WORST),
        test=Metric("mean return of the final policy", "maximize", worst=WORST),
        data=(DATA,),
        mutable=frozenset(
            {
                "learning_rate",
                "schedule",
                "horizon",
                "epochs",
                "effective_horizon",
                "gae_lambda",
                "clip",
                "entropy_weight",
                "observations",
            }
        ),
        constants=constants_beside(__file__),
        extra="mujoco",
    )
)
