"""reinforcement/ppo-cartpole: the environment, the test episodes, and what the default must beat."""

from collections.abc import Mapping
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from suite.data import DataMismatch, verified
from tasks.actor_critic import mean_return
from tasks.reinforcement.ppo_cartpole import DATA, STANDARD, STEP, TASK, TEST_EPISODES, build_model, cart_poles


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def test_the_environment_is_gymnasiums(data: Mapping[str, torch.Tensor]) -> None:
    """Every observation, reward and end of 600 steps, with time limits among them."""
    ours, theirs = cart_poles(6, data["physics"].numpy()), gymnasium.make_vec("CartPole-v1", num_envs=6)
    (seen, _), (expected, _) = ours.reset(seed=3), theirs.reset(seed=3)
    truncated = np.zeros(6, dtype=bool)
    for _ in range(600):
        assert np.array_equal(seen, expected)
        actions = (seen @ [0.1, 0.5, 1.0, 1.0] > 0).astype(np.int64)  # keeps most poles up
        (seen, *rest, _), (expected, *others, _) = ours.step(actions), theirs.step(actions)
        assert all(np.array_equal(one, other) for one, other in zip(rest, others, strict=True))
        truncated |= rest[2]
    assert truncated.any()


def test_physics_are_felt(data: Mapping[str, torch.Tensor]) -> None:
    standard = data["physics"].numpy()
    ends = []
    for factors in np.vstack([np.ones(4), 1 + 0.3 * np.eye(4)]):
        environments = cart_poles(1, standard * factors)
        environments.reset(seed=0)
        ends.append([environments.step(np.ones(1, dtype=np.int64))[0] for _ in range(5)][-1].tobytes())
    assert len(set(ends)) == 1 + len(STANDARD)


def test_test_episodes_start_as_published_and_others_are_refused(data: Mapping[str, torch.Tensor]) -> None:
    assert data["starts"].shape == (4, TEST_EPISODES)
    assert data["starts"].abs().max() <= 0.05
    with pytest.raises(DataMismatch, match="CartPole"):
        verified(DATA, {"physics": data["physics"].numpy(), "starts": data["starts"].numpy() + 1e-9})


def test_a_variant_has_another_cart_and_other_test_episodes(data: Mapping[str, torch.Tensor]) -> None:
    other = TASK.load(variant=1)
    assert not torch.equal(other["physics"], data["physics"])
    assert not torch.equal(other["starts"], data["starts"])


def test_no_test_episode_is_seen_in_training(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(iter(TASK.train(data, TASK.spec.default, 0, "cpu", None)))
    changed = {**data, "starts": torch.zeros_like(data["starts"]), "seed": data["seed"] + 1}
    again = next(iter(TASK.train(changed, TASK.spec.default, 0, "cpu", None)))
    assert torch.equal(checkpoint.state["model"]["actor_head.weight"], again.state["model"]["actor_head.weight"])
    assert TASK.evaluate(data, checkpoint, "validation") == TASK.evaluate(changed, checkpoint, "validation")
    assert TASK.evaluate(data, checkpoint, "test") != TASK.evaluate(changed, checkpoint, "test")


def test_validation_is_the_mean_of_the_curve(data: Mapping[str, torch.Tensor]) -> None:
    checkpoint = next(iter(TASK.train(data, TASK.spec.default, 0, "cpu", None)))
    assert checkpoint.fidelity == STEP
    actors = {**checkpoint.state["actors"], "curve": [10.0, 20.0, 60.0]}
    changed = replace(checkpoint, state={**checkpoint.state, "actors": actors})
    assert TASK.evaluate(data, changed, "validation") == 30.0


@pytest.mark.slow
def test_default_beats_a_policy_that_has_learnt_nothing(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    environments = cart_poles(TEST_EPISODES, data["physics"].numpy())
    untrained = mean_return(environments, build_model(TASK.spec.default), 0, torch.device("cpu"))
    assert TASK.evaluate(data, last, "test") > 4 * untrained
