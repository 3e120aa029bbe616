"""Reinforcement learning: swing a two-link pendulum up by advantage actor-critic.

The method is that of Mnih et al. 2016 (Asynchronous Methods for Deep Reinforcement Learning, arXiv:1602.01783) in its
synchronous form: short rollouts of thirty environments, one gradient step each. The environment is Gymnasium's
Acrobot-v1 (Towers et al. 2024, arXiv:2407.17032, MIT licence) after Sutton 1996: a reward of -1 for every step until
the tip is above the bar by the length of a link, for 500 steps at most. It is stepped for all copies at once, with
Gymnasium's constants and equations of motion; a test holds the two together. Rewards are divided by 50 for learning, so
that returns lie between -10 and 0.

The search is over the optimiser, the rollout, the estimate of advantages, the entropy bonus and the networks. It is
judged by what training shows for nothing: the mean return of the training episodes, averaged over twenty equal parts
of the training, which is the area under the learning curve. The test is the final policy, which draws its actions, in
250 episodes of its own.

To beat: a policy that has learnt nothing returns -499. Figures of the default, its noise and the best known are in
docs/tasks.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.vector import VectorEnv

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.actor_critic import (
    LARGEST_GRADIENT_NORM,
    VALUE_WEIGHT,
    ActorCritic,
    Actors,
    CategoricalActorCritic,
    Experience,
    discount,
    mean_return,
    physics_of,
)
from tasks.optimisers import descend, schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

STEPS, STEP = 60_000, 3_000  # of all environments together, those that only reset one included
ENVIRONMENTS = 30
REWARD_SCALE = 0.02
LONGEST_EPISODE = 500
TEST_EPISODES, TEST_SEED = 250, 2024
STANDARD = {"LINK_LENGTH_1": 1.0, "LINK_MASS_1": 1.0, "LINK_MASS_2": 1.0, "LINK_MOI": 1.0}  # Gymnasium's names

DATA = DataRef(
    name="Acrobot-v1",
    version="1",
    digest="ba73eeecd5bca2d2468cdc42848a78fab97ce55f82cec480f239f5a4d902d6f8",
    licence="MIT (Gymnasium)",
    source="gymnasium 1.2 to 1.4, AcrobotEnv; numpy PCG64 with seed 2024 draws the test episodes' starts",
    splits="250 episodes for testing; those of the training are drawn on the way and serve validation",
)


class Acrobots(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Acrobot-v1 ``copies`` times, with the values ``physics`` of the attributes that ``STANDARD`` names.

    state: (4, copies), two angles and their velocities.
    """

    def __init__(self, copies: int, physics: np.ndarray) -> None:
        self.num_envs = copies
        pendulum = AcrobotEnv()
        for name, value in zip(STANDARD, physics.tolist(), strict=True):
            setattr(pendulum, name, value)
        self.duration = pendulum.dt
        self.torques = np.array(pendulum.AVAIL_TORQUE)
        self.largest_speeds = np.array([[pendulum.MAX_VEL_1], [pendulum.MAX_VEL_2]])
        self.slopes: Callable[[np.ndarray], tuple[Any, ...]] = pendulum._dsdt  # of states and torques, (5, copies)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.state = self._starts(self.num_envs)
        self.steps = np.zeros(self.num_envs, dtype=np.int64)
        self.prev_done = np.zeros(self.num_envs, dtype=bool)
        return self._observations(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step, or a reset where the last one ended an episode (``AutoresetMode.NEXT_STEP``)."""
        resets = self.prev_done
        self.state = self._moved(self.torques[actions])
        self.state[:, resets] = self._starts(int(resets.sum()))
        self.steps = np.where(resets, 0, self.steps + 1)
        first, both = self.state[0], self.state[0] + self.state[1]
        terminated = ~resets & (-np.cos(first) - np.cos(both) > 1.0)
        truncated = self.steps >= LONGEST_EPISODE
        self.prev_done = terminated | truncated
        return self._observations(), np.where(resets | terminated, 0.0, -1.0), terminated, truncated, {}

    def _starts(self, copies: int) -> np.ndarray:
        return self.np_random.uniform(-0.1, 0.1, (4, copies)).astype(np.float32).astype(np.float64)

    def _moved(self, torques: np.ndarray) -> np.ndarray:
        """The states one time step later, by a fourth-order Runge-Kutta step as in Gymnasium."""

        def slope(state: np.ndarray) -> np.ndarray:
            return np.stack(self.slopes(np.vstack([state, torques]))[:4])

        duration, state = self.duration, self.state
        one = slope(state)
        two = slope(state + duration / 2.0 * one)
        three = slope(state + duration / 2.0 * two)
        four = slope(state + duration * three)
        moved: np.ndarray = state + duration / 6.0 * (one + 2 * two + 2 * three + four)
        moved[:2] -= 2 * np.pi * ((moved[:2] > np.pi).astype(float) - (moved[:2] < -np.pi))
        moved[2:] = moved[2:].clip(-self.largest_speeds, self.largest_speeds)
        return moved

    def _observations(self) -> np.ndarray:
        first, second, *speeds = self.state
        angles = [np.cos(first), np.sin(first), np.cos(second), np.sin(second)]
        return np.stack([*angles, *speeds], axis=1).astype(np.float32)


def build_model(configuration: Configuration) -> ActorCritic:
    """The networks; the first weights come from the global generator."""
    return CategoricalActorCritic(
        observations=6,
        outputs=3,
        width=int(configuration["width"]),
        depth=int(configuration["depth"]),
        act=str(configuration["activation"]),
        shared=configuration["critic"] == "shared",
    )


def begin(configuration: Configuration, seed: int, device: str) -> Training[ActorCritic]:
    """A training before its first rollout."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    rate = float(configuration["learning_rate"])
    optimiser: torch.optim.Optimizer
    if configuration["optimiser"] == "rmsprop":
        optimiser = torch.optim.RMSprop(model.parameters(), rate, alpha=0.99, eps=1e-5)
    else:
        optimiser = torch.optim.Adam(model.parameters(), rate, eps=1e-5, fused=True)
    return Training(configuration, seed, model, optimiser, {"actions": stream(seed, "actions")})


def actor_critic_loss(model: ActorCritic, experience: Experience, entropy_weight: float) -> torch.Tensor:
    """Mnih et al. 2016, section 4.3, for the policy and the value function at once."""
    logarithms, entropy = model.judge(experience.observations, experience.actions)
    value_error = (model.value(experience.observations) - experience.returns).square().mean()
    gain = (logarithms * experience.advantages).mean()
    return VALUE_WEIGHT * value_error - gain - entropy_weight * entropy.mean()


@dataclass(frozen=True)
class A2cAcrobot:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``physics`` (4,) in the order of ``STANDARD``; ``starts`` (4, 250) of the test episodes and their ``seed``.

        Raises ``DataMismatch``. A variant has other links.
        """
        seed = TEST_SEED + variant
        physics = physics_of(STANDARD, variant)
        environments = Acrobots(TEST_EPISODES, physics)
        environments.reset(seed=seed)
        arrays = verified(self.spec.data[0], {"physics": physics, "starts": environments.state}, variant)
        return {**tensors(arrays), "seed": torch.tensor(seed)}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        environments = Acrobots(ENVIRONMENTS, data["physics"].numpy())
        actors = Actors(environments, seed, worst=-LONGEST_EPISODE, reward_scale=REWARD_SCALE)
        done = training.resume(start) if start else 0
        if start:
            actors.restore(start)
        horizon, smoothing = int(configuration["horizon"]), float(configuration.get("gae_lambda", 1.0))
        for steps in range(done, STEPS, ENVIRONMENTS * horizon):
            rollout = actors.collect(training.model, horizon, training.streams["actions"], device)
            experience = rollout.experience(training.model, discount(configuration), smoothing)
            loss = actor_critic_loss(training.model, experience, float(configuration["entropy_weight"]))
            schedule = str(configuration["schedule"])
            descend(training.optimiser, loss, schedule, steps / STEPS, LARGEST_GRADIENT_NORM)
            reached = steps + ENVIRONMENTS * horizon
            require_finite(loss.detach(), reached)
            if reached % STEP == 0:
                actors.close_step()
                yield actors.checkpoint(training, reached)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Mean return of the training episodes, averaged over fidelity steps, or that of the policy in new episodes."""
        if split == "validation":
            return float(np.mean(checkpoint.state["actors"]["curve"]))
        model, _, device = restored(build_model, checkpoint.state)
        return mean_return(Acrobots(TEST_EPISODES, data["physics"].numpy()), model, int(data["seed"]), device)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is close to the settings of Mnih et al."""
    space = ConfigurationSpace(name="reinforcement/a2c-acrobot")
    estimator = Categorical("estimator", ["n-step", "gae"], default="n-step")
    gae_lambda = Float("gae_lambda", (0.8, 1.0), default=0.95)
    space.add(
        Categorical("optimiser", ["rmsprop", "adam"], default="rmsprop"),
        Float("learning_rate", (1e-4, 1e-2), default=3e-4, log=True),
        schedule_space(),
        Categorical("horizon", [5, 10, 20, 50], default=5, ordered=True),
        Float("effective_horizon", (20.0, 1000.0), default=100.0, log=True),
        estimator,
        gae_lambda,
        Float("entropy_weight", (1e-4, 0.05), default=0.01, log=True),
        Categorical("critic", ["separate", "shared"], default="shared"),
        Categorical("width", [32, 64, 128], default=64, ordered=True),
        Integer("depth", (1, 3), default=2),
        Categorical("activation", ["tanh", "relu", "silu"], default="tanh"),
        EqualsCondition(gae_lambda, estimator, "gae"),
    )
    return space


TASK = A2cAcrobot(
    TaskSpec(
        name="reinforcement/a2c-acrobot",
        version="1",
        summary="swing a two-link pendulum up by advantage actor-critic (mean return)",
        paper="Mnih et al. 2016, Asynchronous Methods for Deep Reinforcement Learning, ICML, arXiv:1602.01783",
        space=search_space(),
        fidelity=Fidelity("environment steps", STEP, STEPS, STEP),
        validation=Metric("mean return in training", "maximize", worst=-LONGEST_EPISODE),
        test=Metric("mean return of the final policy", "maximize", worst=-LONGEST_EPISODE),
        data=(DATA,),
        mutable=frozenset(
            {"learning_rate", "schedule", "horizon", "effective_horizon", "gae_lambda", "entropy_weight"}
        ),
        constants=constants_beside(__file__),
    )
)
