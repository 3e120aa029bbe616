"""CPU time of a training by proximal policy optimisation, and what it learns, against stable-baselines3.

Same networks, same environment, same steps and hyper-parameters, in one run: the default of reinforcement/ppo-cartpole.

    tox -e bench -- tests/benchmarks/test_reinforcement.py
"""

from statistics import mean, stdev
from typing import Any

import pytest
import torch

from suite.task import Configuration
from tasks.actor_critic import mean_return
from tasks.reinforcement.ppo_cartpole import BATCH, ENVIRONMENTS, STEPS, TASK, TEST_EPISODES, cart_poles
from tests.benchmarks.paired import Peer, beside

TRAININGS = 4
DEFAULT: Configuration = TASK.spec.default

pytestmark = pytest.mark.filterwarnings("ignore")  # stable-baselines3's


class StableBaselines:
    """A training by stable-baselines3 with the hyper-parameters of ``DEFAULT``."""

    def __init__(self, seed: int) -> None:
        stable_baselines3 = pytest.importorskip("stable_baselines3", reason="needs the dependency group peers")
        from stable_baselines3.common.env_util import make_vec_env

        self.algorithm = stable_baselines3.PPO(
            "MlpPolicy",
            make_vec_env("CartPole-v1", n_envs=ENVIRONMENTS),
            learning_rate=float(DEFAULT["learning_rate"]),
            n_steps=int(DEFAULT["horizon"]),
            batch_size=BATCH,
            n_epochs=int(DEFAULT["epochs"]),
            gamma=1 - 1 / float(DEFAULT["effective_horizon"]),
            gae_lambda=float(DEFAULT["gae_lambda"]),
            clip_range=float(DEFAULT["clip"]),
            ent_coef=float(DEFAULT["entropy_weight"]),
            vf_coef=0.5,
            max_grad_norm=0.5,
            policy_kwargs={"net_arch": [int(DEFAULT["width"])] * int(DEFAULT["depth"])},
            seed=seed,
            device="cpu",
        )

    def learn(self) -> None:
        self.algorithm.learn(STEPS)

    def act(self, observations: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        actions, _ = self.algorithm.predict(observations.numpy(), deterministic=False)
        return torch.from_numpy(actions)


def test_a_training_costs_less_than_stable_baselines3_and_learns_as_much(benchmark: Any) -> None:
    data = TASK.load()
    peers = [StableBaselines(seed) for seed in range(TRAININGS)]
    untrained, checkpoints = iter(peers), []

    def ours() -> None:
        *_, last = TASK.train(data, DEFAULT, len(checkpoints), "cpu", None)
        checkpoints.append(last)

    next(iter(TASK.train(data, DEFAULT, 0, "cpu", None)))  # what torch loads on first use falls on neither
    peer = Peer("stable-baselines3", lambda: next(untrained).learn(), "nothing: both learn as much, within the noise")
    pair = beside(benchmark, f"a training by PPO, of {STEPS:,} steps", ours, peer, TRAININGS)
    found = [TASK.evaluate(data, checkpoint, "test") for checkpoint in checkpoints]
    environments = cart_poles(TEST_EPISODES, data["physics"].numpy())
    expected = [mean_return(environments, peer, int(data["seed"]), torch.device("cpu")) for peer in peers]
    benchmark.extra_info["returns"] = {"ours": round(mean(found), 1), "peer": round(mean(expected), 1)}
    error = ((stdev(found) ** 2 + stdev(expected) ** 2) / TRAININGS) ** 0.5
    assert pair.ratio >= 1.5
    assert mean(found) >= mean(expected) - 2 * error
