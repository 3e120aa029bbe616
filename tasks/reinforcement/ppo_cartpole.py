"""Reinforcement learning: keep a pole upright on a cart by proximal policy optimisation.

The method is that of Schulman et al. 2017 (Proximal Policy Optimization Algorithms, arXiv:1707.06347): rollouts of ten
environments, generalised advantages, and some epochs of gradient steps on the clipped objective. The environment is
Gymnasium's CartPole-v1 (Towers et al. 2024, arXiv:2407.17032, MIT licence) after Barto, Sutton & Anderson 1983: a
reward of 1 for every step until the pole falls, 500 at most.

The search is over the optimiser, the rollout, the estimate of advantages, the objective and the two networks. It is
judged by what training shows for nothing: the mean return of the training episodes, averaged over twenty equal parts
of the training, which is the area under the learning curve. The test is the final policy, which draws its actions, in
250 episodes of its own.

To beat: a policy that has learnt nothing returns 23. Figures of the default, its noise and the best known are in
docs/tasks.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

from suite.data import verified
from suite.task import Checkpoint, Configuration, DataRef, Fidelity, Metric, Split, TaskSpec, constants_beside
from tasks.actor_critic import ActorCritic, Actors, CategoricalActorCritic, mean_return, physics_of, proximal_epochs
from tasks.optimisers import schedule_space
from tasks.training import Data, Training, drawn_from, require_finite, restored, stream, tensors

STEPS, STEP = 20_000, 1_000  # of all environments together, those that only reset one included
ENVIRONMENTS = 10
BATCH = 100
TEST_EPISODES, TEST_SEED = 250, 2024
STANDARD = {"gravity": 9.8, "length": 0.5, "masspole": 0.1, "force_mag": 10.0}  # Gymnasium's names

DATA = DataRef(
    name="CartPole-v1",
    version="1",
    digest="afe6eb42b113559ba7d7412508bcfb8e304e6bb9510485cdc1713d8b7172e60e",
    licence="MIT (Gymnasium)",
    source="gymnasium 1.2 to 1.4, CartPoleVectorEnv; numpy PCG64 with seed 2024 draws the test episodes' starts",
    splits="250 episodes for testing; those of the training are drawn on the way and serve validation",
)


def cart_poles(copies: int, physics: np.ndarray) -> CartPoleVectorEnv:
    """CartPole-v1 with the values ``physics`` of the attributes that ``STANDARD`` names."""
    environments = CartPoleVectorEnv(copies)
    for name, value in zip(STANDARD, physics.tolist(), strict=True):
        setattr(environments, name, value)
    environments.total_mass = environments.masscart + environments.masspole
    environments.polemass_length = environments.masspole * environments.length
    return environments


def build_model(configuration: Configuration) -> ActorCritic:
    """The networks; the first weights come from the global generator."""
    width, depth, shared = int(configuration["width"]), int(configuration["depth"]), configuration["critic"] == "shared"
    return CategoricalActorCritic(observations=4, outputs=2, width=width, depth=depth, act="tanh", shared=shared)


def begin(configuration: Configuration, seed: int, device: str) -> Training[ActorCritic]:
    """A training before its first rollout."""
    with drawn_from(stream(seed, "weights")):
        model = build_model(configuration).to(device)
    optimiser = torch.optim.Adam(model.parameters(), float(configuration["learning_rate"]), eps=1e-5, fused=True)
    return Training(configuration, seed, model, optimiser, {name: stream(seed, name) for name in ("actions", "order")})


@dataclass(frozen=True)
class PpoCartPole:
    """The task, by the contract of ``suite.task.Task``."""

    spec: TaskSpec

    def load(self, variant: int = 0) -> Data:
        """``physics`` (4,) in the order of ``STANDARD``; ``starts`` (4, 250) of the test episodes and their ``seed``.

        Raises ``DataMismatch``. A variant has another cart and pole.
        """
        seed = TEST_SEED + variant
        physics = physics_of(STANDARD, variant)
        environments = cart_poles(TEST_EPISODES, physics)
        environments.reset(seed=seed)
        arrays = verified(self.spec.data[0], {"physics": physics, "starts": np.array(environments.state)}, variant)
        return {**tensors(arrays), "seed": torch.tensor(seed)}

    def train(
        self, data: Data, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        training = begin(configuration, seed, device)
        actors = Actors(cart_poles(ENVIRONMENTS, data["physics"].numpy()), seed, worst=0.0)
        done = training.resume(start) if start else 0
        if start:
            actors.restore(start)
        horizon = int(configuration["horizon"])
        for steps in range(done, STEPS, ENVIRONMENTS * horizon):
            rollout = actors.collect(training.model, horizon, training.streams["actions"], device)
            loss = proximal_epochs(training, rollout, BATCH, progress=steps / STEPS)
            reached = steps + ENVIRONMENTS * horizon
            require_finite(loss, reached)
            if reached % STEP == 0:
                actors.close_step()
                yield actors.checkpoint(training, reached)

    def evaluate(self, data: Data, checkpoint: Checkpoint, split: Split) -> float:
        """Mean return of the training episodes, averaged over fidelity steps, or that of the policy in new episodes."""
        if split == "validation":
            return float(np.mean(checkpoint.state["actors"]["curve"]))
        model, _, device = restored(build_model, checkpoint.state)
        environments = cart_poles(TEST_EPISODES, data["physics"].numpy())
        return mean_return(environments, model, int(data["seed"]), device)


def search_space() -> ConfigurationSpace:
    """Twelve hyper-parameters; the default is close to the settings of Schulman et al. for small problems."""
    space = ConfigurationSpace(name="reinforcement/ppo-cartpole")
    critic = Categorical("critic", ["separate", "shared"], default="separate")
    value_weight = Float("value_weight", (1e-3, 1.0), default=0.5, log=True)
    space.add(
        Float("learning_rate", (1e-4, 1e-2), default=3e-4, log=True),
        schedule_space(),
        Categorical("horizon", [10, 20, 50, 100], default=100, ordered=True),
        Integer("epochs", (1, 10), default=4),
        Float("effective_horizon", (10.0, 1000.0), default=100.0, log=True),
        Float("gae_lambda", (0.8, 1.0), default=0.95),
        Float("clip", (0.05, 0.4), default=0.2),
        Float("entropy_weight", (1e-4, 0.1), default=0.01, log=True),
        critic,
        value_weight,
        Categorical("width", [32, 64, 128], default=64, ordered=True),
        Integer("depth", (1, 3), default=2),
        EqualsCondition(value_weight, critic, "shared"),
    )
    return space


TASK = PpoCartPole(
    TaskSpec(
        name="reinforcement/ppo-cartpole",
        version="1",
        summary="keep a pole upright on a cart by proximal policy optimisation (mean return)",
        paper="Schulman et al. 2017, Proximal Policy Optimization Algorithms, arXiv:1707.06347",
        space=search_space(),
        fidelity=Fidelity("environment steps", STEP, STEPS, STEP),
        validation=Metric("mean return in training", "maximize", worst=0.0),
        test=Metric("mean return of the final policy", "maximize", worst=0.0),
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
                "value_weight",
            }
        ),
        constants=constants_beside(__file__),
    )
)
