"""What actor-critic tasks share: which transitions are learnt from, what they are worth, and the losses."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from tasks.actor_critic import (
    ActorCritic,
    Actors,
    CategoricalActorCritic,
    Experience,
    Rollout,
    mean_return,
    physics_of,
    proximal_loss,
)
from tasks.training import drawn_from, stream

DISCOUNT = 0.9
LENGTHS = (3, 5)  # steps of an episode of the first copy, which terminates, and of the second, which is cut short
VALUE = 7.0


class Clocks:
    """Two environments that observe how many steps their episode has had, with a reward of 1 for each.

    By Gymnasium's rule they are reset in the step after the end, with a reward of 0.
    """

    num_envs = 2

    def __init__(self) -> None:
        self.state = np.zeros((1, 2))
        self.steps = np.zeros(2, dtype=np.int64)
        self.prev_done = np.zeros(2, dtype=bool)
        self.np_random = np.random.Generator(np.random.PCG64(0))

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        return self._observations(), {}

    def step(self, action: Any, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        resets = self.prev_done
        self.steps = np.where(resets, 0, self.steps + 1)
        over = self.steps == LENGTHS
        self.prev_done = over
        return self._observations(), np.where(resets, 0.0, 1.0), over & [True, False], over & [False, True], {}

    def _observations(self) -> np.ndarray:
        return self.steps[:, None].astype(np.float32)


class Constant(CategoricalActorCritic):
    """A critic to whom every state is worth ``VALUE``."""

    def __init__(self) -> None:
        super().__init__(observations=1, outputs=2, width=4, depth=1, act="tanh", shared=False)

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.full(observations.shape[:-1], VALUE)


@pytest.fixture
def model() -> ActorCritic:
    with drawn_from(stream(0, "weights")):
        made = CategoricalActorCritic(observations=3, outputs=4, width=8, depth=2, act="tanh", shared=False)
        nn.init.normal_(made.actor_head.weight)  # far from uniform
    return made


def collected(steps: int) -> tuple[Actors, Rollout]:
    actors = Actors(Clocks(), seed=0, worst=-1.0)
    return actors, actors.collect(Constant(), steps, stream(0, "actions"), "cpu")


def test_steps_that_only_reset_are_not_learnt_from() -> None:
    """Twelve steps: three whole episodes of three and three resets; two whole ones of five and two resets."""
    _, rollout = collected(12)
    experience = rollout.experience(Constant(), DISCOUNT, 1.0)
    assert rollout.valid.sum(dim=0).tolist() == [9, 10]
    assert sorted(experience.observations.flatten().tolist()) == sorted([0, 1, 2] * 3 + [0, 1, 2, 3, 4] * 2)
    assert len(experience.actions) == len(experience.advantages) == len(experience.returns) == 19


def test_only_an_episode_that_was_cut_short_has_a_future() -> None:
    _, rollout = collected(12)
    experience = rollout.experience(Constant(), DISCOUNT, 1.0)
    of_first = rollout.valid.nonzero()[:, 1] == 0
    for copy, length, beyond in ((of_first, LENGTHS[0], 0.0), (~of_first, LENGTHS[1], VALUE)):
        for step, found in zip(experience.observations[copy, 0].tolist(), experience.returns[copy], strict=True):
            left = length - int(step)
            rewards = sum(DISCOUNT**later for later in range(left))
            assert float(found) == pytest.approx(rewards + DISCOUNT**left * beyond), (step, length)


def test_the_end_of_a_rollout_is_not_the_end_of_an_episode() -> None:
    _, rollout = collected(2)
    experience = rollout.experience(Constant(), DISCOUNT, 1.0)
    expected = {0.0: 1 + DISCOUNT + DISCOUNT**2 * VALUE, 1.0: 1 + DISCOUNT * VALUE}
    for step, found in zip(experience.observations[:, 0].tolist(), experience.returns, strict=True):
        assert float(found) == pytest.approx(expected[step])


def test_advantages_are_the_weighted_sums_of_temporal_difference_errors() -> None:
    """Against the sum of the definition, term by term, on random rewards, values and ends."""
    random, length, smoothing = np.random.default_rng(0), 20, 0.8
    rewards, values = random.normal(size=(length, 3)), random.normal(size=(length + 1, 3))
    terminated, cut = random.random((length, 3)) < 0.15, random.random((length, 3)) < 0.15
    rollout = Rollout(
        observations=torch.zeros(length + 1, 3, 1),
        actions=torch.zeros(length, 3),
        rewards=torch.from_numpy(rewards),
        terminated=torch.from_numpy(terminated),
        ended=torch.from_numpy(terminated | cut),
        valid=torch.ones(length, 3, dtype=torch.bool),
    )
    found = rollout.advantages(torch.from_numpy(values), DISCOUNT, smoothing)
    for copy in range(3):
        for step in range(length):
            total = 0.0
            for later in range(step, length):
                following = 0.0 if terminated[later, copy] else values[later + 1, copy]
                error = rewards[later, copy] + DISCOUNT * following - values[later, copy]
                total += (DISCOUNT * smoothing) ** (later - step) * error
                if terminated[later, copy] or cut[later, copy]:
                    break
            assert float(found[step, copy]) == pytest.approx(total)


def test_the_curve_holds_the_mean_return_of_each_step_and_the_last_where_no_episode_ended() -> None:
    actors = Actors(Clocks(), seed=0, worst=-1.0)
    for steps in (1, 4, 1, 1):  # ends after 3 and 5 steps; then none; then after 7, which is 3 after the reset
        actors.collect(Constant(), steps, stream(0, "actions"), "cpu")
        actors.close_step()
    assert actors.curve == [-1.0, 4.0, 4.0, 3.0]


def test_mean_return_is_of_the_first_episode_of_each() -> None:
    assert mean_return(Clocks(), Constant(), 0, torch.device("cpu")) == np.mean(LENGTHS)


def test_actions_are_drawn_from_the_policy(model: ActorCritic) -> None:
    seen = torch.tensor([[0.3, -1.0, 2.0]])
    shares = torch.bincount(model.act(seen.expand(20_000, 3), stream(0, "actions")), minlength=4) / 20_000
    expected = model.policy(seen).softmax(dim=-1)[0].detach()
    assert expected.min() > 0.005
    assert torch.allclose(shares, expected, atol=0.015)  # four standard deviations


def test_judgement_is_that_of_the_categorical_distribution(model: ActorCritic) -> None:
    seen, actions = torch.randn(50, 3, generator=stream(0, "seen")), torch.arange(50) % 4
    oracle = Categorical(logits=model.policy(seen))
    found, entropy = model.judge(seen, actions)
    assert torch.allclose(found, oracle.log_prob(actions), atol=1e-6)
    assert torch.allclose(entropy, oracle.entropy(), atol=1e-6)


def test_proximal_loss_is_that_of_the_paper(model: ActorCritic) -> None:
    """Transition by transition: the smaller of the gain and the clipped gain, on both sides of the clip."""
    random, actions = stream(0, "transitions"), torch.arange(40) % 4
    seen, advantages, returns, shift = (
        torch.randn(*shape, generator=random) for shape in [(40, 3), (40,), (40,), (40,)]
    )
    now, entropy = model.judge(seen, actions)
    before = now.detach() + 0.5 * shift
    configuration = {"clip": 0.2, "entropy_weight": 0.03, "value_weight": 0.7}
    found = proximal_loss(model, Experience(seen, actions, advantages, returns), before, configuration)
    scaled = (advantages - advantages.mean()) / advantages.std()
    gains, clipped = [], 0
    for ratio, advantage in zip((now.detach() - before).exp().tolist(), scaled.tolist(), strict=True):
        gains.append(min(ratio * advantage, max(0.8, min(1.2, ratio)) * advantage))
        clipped += not 0.8 < ratio < 1.2
    assert 10 < clipped < 38
    errors = (model.value(seen) - returns).square().mean()
    expected = -np.mean(gains) + 0.7 * float(errors.detach()) - 0.03 * float(entropy.detach().mean())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_shared_networks_share_all_but_their_heads() -> None:
    for shared, expected in ((True, 1), (False, 2)):
        model = CategoricalActorCritic(observations=3, outputs=2, width=8, depth=2, act="relu", shared=shared)
        body = 3 * 8 + 8 + 8 * 8 + 8
        heads = 8 * 2 + 2 + 8 + 1
        assert sum(parameter.numel() for parameter in model.parameters()) == expected * body + heads


def test_a_variant_has_other_physics_within_bounds() -> None:
    standard = {"gravity": 9.8, "length": 0.5}
    assert physics_of(standard, 0).tolist() == [9.8, 0.5]
    for variant in range(1, 20):
        factors = physics_of(standard, variant) / physics_of(standard, 0)
        assert (factors >= 4 / 5).all()
        assert (factors <= 5 / 4).all()
        assert (factors != 1).all()
