"""reinforcement/mujoco-halfcheetah: the environment, its state, the policy, and the error without MuJoCo."""

import subprocess
import sys
from collections.abc import Mapping

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Normal

from tasks.actor_critic import mean_return
from tasks.reinforcement.mujoco_halfcheetah import (
    LARGEST_OBSERVATION,
    LONGEST_EPISODE,
    STANDARD,
    TASK,
    TEST_EPISODES,
    GaussianActorCritic,
    HalfCheetahs,
    Scaling,
    half_cheetahs,
    unlogged,
)
from tasks.training import drawn_from, stream


@pytest.fixture(scope="module")
def data() -> Mapping[str, torch.Tensor]:
    pytest.importorskip("mujoco", reason="needs the extra mujoco")
    return TASK.load()


@pytest.fixture
def robots(data: Mapping[str, torch.Tensor]) -> HalfCheetahs:
    return half_cheetahs(2, data["physics"].numpy())


def pushes(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1.5, 1.5, (count, 2, 6))


def test_without_mujoco_loading_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['mujoco'] = None\n"
        "from tasks.reinforcement.mujoco_halfcheetah import TASK\n"
        "try:\n    TASK.load()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'carbon-suite[mujoco]'" in done.stdout


def test_the_environment_is_gymnasiums(robots: HalfCheetahs) -> None:
    """Two episodes, and the reset between them, with torques beyond the bounds."""
    import mujoco

    with unlogged(mujoco):
        theirs = gymnasium.make("HalfCheetah-v5")
    robots.reset(seed=0)
    theirs.reset(seed=0)
    robots.step(np.zeros((2, 6)))
    theirs.unwrapped.set_state(robots._robots[1].data.qpos, robots._robots[1].data.qvel)
    theirs.unwrapped.data.qacc_warmstart[:] = robots._robots[1].data.qacc_warmstart
    for step, action in enumerate(pushes(LONGEST_EPISODE - 1)):
        seen, rewards, terminated, truncated, _ = robots.step(action)
        expected, reward, *_ = theirs.step(action[1].clip(-1, 1))
        assert np.allclose(seen[1], expected, atol=1e-5)
        assert rewards[1] == pytest.approx(reward, abs=1e-6)
        assert not terminated.any()
        assert truncated.all() == (step == LONGEST_EPISODE - 2)
    seen, rewards, _, truncated, _ = robots.step(pushes(1)[0])
    assert (np.abs(seen) < 0.6).all()
    assert not rewards.any()
    assert not truncated.any()


def test_a_state_that_is_set_goes_on_bit_for_bit(robots: HalfCheetahs, data: Mapping[str, torch.Tensor]) -> None:
    robots.reset(seed=0)
    for action in pushes(50):
        robots.step(action)
    other = half_cheetahs(2, data["physics"].numpy())
    other.reset(seed=9)
    other.state, other.steps, other.prev_done = robots.state.copy(), robots.steps, robots.prev_done
    for action in pushes(50):
        (seen, rewards, *_), (expected, others, *_) = other.step(action), robots.step(action)
        assert np.array_equal(seen, expected)
        assert np.array_equal(rewards, others)


def test_physics_are_felt(data: Mapping[str, torch.Tensor]) -> None:
    ends = set()
    for factors in np.vstack([np.ones(4), 1 + 0.2 * np.eye(4)]):
        robots = half_cheetahs(1, factors)
        robots.reset(seed=0)
        ends.add([robots.step(action[:1])[0] for action in pushes(30)][-1].tobytes())
    assert len(ends) == 1 + len(STANDARD)
    assert not torch.equal(TASK.load(variant=1)["physics"], data["physics"])


def model(**changes: object) -> GaussianActorCritic:
    with drawn_from(stream(0, "weights")):
        return GaussianActorCritic({**TASK.spec.default, **changes})


def test_judgement_is_that_of_the_normal_distribution() -> None:
    policy = model(deviation=0.3)
    seen, actions = (torch.randn(20, size, generator=stream(0, "seen")) for size in (17, 6))
    oracle = Normal(policy.policy(seen), 0.3)
    densities, entropy = policy.judge(seen, actions)
    assert torch.allclose(densities, oracle.log_prob(actions).sum(dim=1), rtol=1e-4)
    assert torch.allclose(entropy, oracle.entropy().sum(dim=1), rtol=1e-4)


def test_actions_spread_as_the_policy_says() -> None:
    actions = model(deviation=0.3).act(torch.zeros(20_000, 17), stream(0, "actions"))
    assert torch.allclose(actions.std(dim=0), torch.full((6,), 0.3), rtol=0.03)


def test_moments_of_the_observations_are_those_of_all_that_was_shown() -> None:
    shown = 3.0 + 2.0 * torch.randn(900, 17, generator=stream(0, "shown"))
    scaling = Scaling(17)
    for part in shown.split([100, 300, 500]):
        scaling.show(part)
    assert torch.allclose(scaling.mean, shown.mean(dim=0), rtol=1e-4)
    assert torch.allclose(scaling.variance, shown.var(dim=0, correction=0), rtol=1e-4)
    assert float(scaling(torch.full((1, 17), 1e6)).max()) == LARGEST_OBSERVATION


@pytest.mark.slow
def test_default_beats_a_policy_that_has_learnt_nothing(data: Mapping[str, torch.Tensor]) -> None:
    *_, last = TASK.train(data, TASK.spec.default, 0, "cpu", None)
    robots = half_cheetahs(TEST_EPISODES, data["physics"].numpy())
    assert TASK.evaluate(data, last, "test") > 50 + mean_return(robots, model(), 0, torch.device("cpu"))
