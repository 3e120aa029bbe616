"""reinforcement/a2c-acrobot: the environment against Gymnasium's, the loss, and what the default must beat."""

from collections.abc import Mapping

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from suite.data import DataMismatch, verified
from tasks.actor_critic import Experience, mean_return
from tasks.reinforcement.a2c_acrobot import (
    DATA,
    LONGEST_EPISODE,
    STANDARD,
    TASK,
    TEST_EPISODES,
    Acrobots,
    actor_critic_loss,
    build_model,
)
from tasks.training import drawn_from, stream

COPIES = 4


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    return TASK.load()


def gymnasiums(physics: np.ndarray) -> gymnasium.vector.SyncVectorEnv:
    environments = gymnasium.make_vec("Acrobot-v1", num_envs=COPIES, vectorization_mode="sync")
    for each in environments.envs:
        for name, value in zip(STANDARD, physics.tolist(), strict=True):
            setattr(each.unwrapped, name, value)
    return environments


def states(environments: gymnasium.vector.SyncVectorEnv) -> np.ndarray:
    return np.stack([each.unwrapped.state for each in environments.envs], axis=1).astype(np.float64)


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_the_environment_is_gymnasiums(data: Mapping[str, torch.Tensor], factor: float) -> None:
    """Every step of 1,100, from the same states: observations, rewards, both kinds of end, and resets after them."""
    physics = data["physics"].numpy() * factor
    ours, theirs = Acrobots(COPIES, physics), gymnasiums(physics)
    ours.reset(seed=0)
    theirs.reset(seed=0)
    random, ends = np.random.default_rng(0), np.zeros(2)
    for _ in range(1100):
        ours.state, before = states(theirs), ours.prev_done
        pushes = np.where(states(theirs)[3] > 0, 2, 0)  # with the swing of the second link
        actions = np.where(np.arange(COPIES) < 2, pushes, random.integers(0, 3, COPIES))
        seen, *rest, _ = ours.step(actions)
        expected, *others, _ = theirs.step(actions)
        assert np.allclose(seen[~before], expected[~before], rtol=0, atol=1e-6)
        assert (np.abs(seen[before] - [1, 0, 1, 0, 0, 0]) < 0.11).all()
        assert all(np.array_equal(one, other) for one, other in zip(rest, others, strict=True))
        ends += rest[1].sum(), rest[2].sum()
    assert (ends > 0).all()


def test_starts_are_spread_as_gymnasiums(data: Mapping[str, torch.Tensor]) -> None:
    starts = data["starts"]
    assert starts.shape == (4, TEST_EPISODES)
    assert float(starts.abs().max()) <= 0.1
    assert torch.allclose(starts.std(dim=1), torch.tensor(0.2 / 12**0.5).double(), rtol=0.1)


def test_other_test_episodes_are_refused(data: Mapping[str, torch.Tensor]) -> None:
    with pytest.raises(DataMismatch, match="Acrobot"):
        verified(DATA, {"physics": data["physics"].numpy(), "starts": data["starts"].numpy() + 1e-9})


def test_a_variant_has_other_links_and_other_test_episodes(data: Mapping[str, torch.Tensor]) -> None:
    other = TASK.load(variant=1)
    assert not torch.equal(other["physics"], data["physics"])
    assert not torch.equal(other["starts"], data["starts"])


def test_loss_is_that_of_the_paper() -> None:
    """Its gradient is the policy gradient with advantages held fixed, plus those of value errors and entropy."""
    with drawn_from(stream(0, "weights")):
        model = build_model(TASK.spec.default)
    random, actions = stream(0, "transitions"), torch.arange(30) % 3
    seen = torch.randn(30, 6, generator=random)
    advantages, returns = torch.randn(30, generator=random), torch.randn(30, generator=random)
    found = actor_critic_loss(model, Experience(seen, actions, advantages, returns), entropy_weight=0.02)
    policy = Categorical(logits=model.policy(seen))
    gains = [float(policy.log_prob(actions)[row].detach()) * float(advantages[row]) for row in range(30)]
    errors = [(float(model.value(seen)[row].detach()) - float(returns[row])) ** 2 for row in range(30)]
    expected = 0.5 * np.mean(errors) - np.mean(gains) - 0.02 * float(policy.entropy().detach().mean())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_default_beats_a_policy_that_has_learnt_nothing(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    untrained = mean_return(
        Acrobots(TEST_EPISODES, data["physics"].numpy()), build_model(TASK.spec.default), 0, torch.device("cpu")
    )
    assert -LONGEST_EPISODE <= untrained < 2 * TASK.evaluate(data, last, "test")
