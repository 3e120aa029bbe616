"""What actor-critic tasks share: environments side by side, rollouts, advantages, the two networks.

The environments are Gymnasium's. From its version 1 on an environment whose episode has ended is reset by the *next*
step (``AutoresetMode.NEXT_STEP``), whose action and reward mean nothing: such a transition is not valid, and no loss
sees it. What it observes first is the last state of the episode, so that the value of a state in which the time limit
cut an episode short is at hand where the advantages need it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import nn

from suite.task import Checkpoint, Configuration
from tasks.networks import activation, mlp
from tasks.optimisers import descend
from tasks.training import Training, stream

LARGEST_GRADIENT_NORM = 0.5
VALUE_WEIGHT = 0.5  # where the networks are separate; there it acts through the norm of the gradient alone


class Environments(Protocol):
    """Copies of one environment side by side, by Gymnasium's vector interface, with all of their state in reach.

    state: an array, copies along the last axis. steps, prev_done: (copies,), steps of the episode so far, and whether
    the last one ended it. All copies draw from ``np_random``.
    """

    num_envs: int
    state: Any
    steps: np.ndarray
    prev_done: np.ndarray

    @property
    def np_random(self) -> np.random.Generator: ...

    def reset(self, *, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]: ...

    def step(self, action: Any, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]: ...


class ActorCritic(nn.Module, ABC):
    """A policy and a value function: two perceptrons, or one with two heads.

    First weights as in Huang et al. 2022 (The 37 Implementation Details of Proximal Policy Optimization, ICLR blog
    track): orthogonal, with a policy that hardly depends on what it sees.
    """

    def __init__(self, observations: int, outputs: int, width: int, depth: int, act: str, shared: bool) -> None:
        super().__init__()
        sizes = [observations, *[width] * depth]
        self.actor = nn.Sequential(mlp(sizes, act), activation(act))
        self.critic = self.actor if shared else nn.Sequential(mlp(sizes, act), activation(act))
        self.actor_head, self.critic_head = nn.Linear(width, outputs), nn.Linear(width, 1)
        gains = {self.actor_head: 0.01, self.critic_head: 1.0}
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, gains.get(layer, 2**0.5))
                nn.init.zeros_(layer.bias)

    def policy(self, observations: torch.Tensor) -> torch.Tensor:
        """(n, observations) -> (n, outputs): what the distribution of actions is made from."""
        outputs: torch.Tensor = self.actor_head(self.actor(observations))
        return outputs

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        """(..., observations) -> (...)."""
        values: torch.Tensor = self.critic_head(self.critic(observations))
        return values.squeeze(-1)

    @abstractmethod
    def act(self, observations: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(n, observations) -> (n, ...): actions drawn from the policy, without gradients."""

    @abstractmethod
    def judge(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probability or -density of ``actions`` (n, ...), and entropy of the policy there: (n,) both."""


class CategoricalActorCritic(ActorCritic):
    """The policy gives each of ``outputs`` actions a probability; actions are (n,) integers."""

    @torch.no_grad()
    def act(self, observations: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The action whose exponential clock, of a rate that is its probability, runs out first."""
        rates = self.policy(observations).softmax(dim=-1)
        clocks = torch.empty(rates.shape).exponential_(generator=generator).to(rates.device)
        return (rates / clocks).argmax(dim=-1)

    def judge(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logarithms = self.policy(observations).log_softmax(dim=-1)
        chosen = logarithms.gather(-1, actions[:, None]).squeeze(-1)
        return chosen, -(logarithms.exp() * logarithms).sum(dim=-1)


Model = TypeVar("Model", bound=ActorCritic)


@dataclass(frozen=True)
class Experience:
    """Valid transitions, first axis n: what was seen and done, its advantage, and its return as now estimated."""

    observations: torch.Tensor
    actions: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def at(self, rows: torch.Tensor) -> Self:
        """The transitions ``rows`` (m,)."""
        return type(self)(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Rollout:
    """``length`` steps of ``copies`` environments.

    observations: (length + 1, copies, ...), the last ones after the last step. actions: (length, copies, ...). rewards,
    terminated, ended, valid: (length, copies). terminated: the episode ended by its own rules; ended: by these or by
    the time limit; not valid: a step that only resets.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    terminated: torch.Tensor
    ended: torch.Tensor
    valid: torch.Tensor

    def advantages(self, values: torch.Tensor, discount: float, smoothing: float) -> torch.Tensor:
        """(length, copies): generalised advantage estimates (Schulman et al. 2016, eq. 16; arXiv:1506.02438).

        values: (length + 1, copies), of ``observations``. smoothing: lambda. Where an episode terminated the future is
        worth nothing; where it was cut short, what the critic says of its last state. Neither passes advantages on.
        """
        errors = self.rewards + discount * values[1:] * ~self.terminated - values[:-1]
        kept = discount * smoothing * ~self.ended
        advantages = torch.empty_like(errors)
        following = torch.zeros_like(errors[0])
        for step in reversed(range(len(errors))):
            following = errors[step] + kept[step] * following
            advantages[step] = following
        return advantages

    @torch.no_grad()
    def experience(self, model: ActorCritic, discount: float, smoothing: float) -> Experience:
        """The valid transitions, with advantages and returns by the critic of ``model``."""
        values = model.value(self.observations)
        advantages = self.advantages(values, discount, smoothing)
        return Experience(
            self.observations[:-1][self.valid],
            self.actions[self.valid],
            advantages[self.valid],
            (advantages + values[:-1])[self.valid],
        )


class Actors:
    """Environments in the midst of their episodes, and the returns of the episodes that are over.

    curve: mean return of the episodes that ended in each fidelity step; where none did, that of the step before, and
    ``worst`` before the first. Rewards are multiplied by ``reward_scale`` for learning, but not in the curve.
    """

    def __init__(self, environments: Environments, seed: int, worst: float, reward_scale: float = 1.0) -> None:
        number = int(torch.randint(2**31, (), generator=stream(seed, "environments")))
        self._environments = environments
        self._observations, _ = environments.reset(seed=number)
        self._returns = np.zeros(environments.num_envs)
        self._finished: list[float] = []
        self._worst = worst
        self._reward_scale = reward_scale
        self.curve: list[float] = []

    def collect(self, model: ActorCritic, length: int, generator: torch.Generator, device: str) -> Rollout:
        """The next ``length`` steps of each environment, with actions of ``model`` drawn from ``generator``."""
        observations, actions, rewards, terminated, ended, valid = [], [], [], [], [], []
        for _ in range(length):
            observations.append(self._observations)
            valid.append(~self._environments.prev_done)
            action = model.act(torch.from_numpy(self._observations).to(device), generator)
            self._observations, reward, over, cut, _ = self._environments.step(action.cpu().numpy())
            actions.append(action)
            rewards.append(reward)
            terminated.append(over)
            ended.append(over | cut)
            self._count(reward, ended[-1])
        observations.append(self._observations)

        def stacked(arrays: list[np.ndarray]) -> torch.Tensor:
            return torch.from_numpy(np.stack(arrays)).to(device)

        return Rollout(
            observations=stacked(observations),
            actions=torch.stack(actions),
            rewards=stacked(rewards).float() * self._reward_scale,
            terminated=stacked(terminated),
            ended=stacked(ended),
            valid=stacked(valid),
        )

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> None:
        self._returns += reward
        if ended.any():
            self._finished += self._returns[ended].tolist()
            self._returns[ended] = 0.0

    def close_step(self) -> None:
        """A fidelity step is over: the mean return in it joins the curve."""
        last = self.curve[-1] if self.curve else self._worst
        self.curve.append(float(np.mean(self._finished)) if self._finished else last)
        self._finished = []

    def checkpoint(self, training: Training[Model], fidelity: int) -> Checkpoint:
        """The state of ``training`` at the end of a fidelity step, with what ``restore`` needs as ``actors``."""
        environments = self._environments
        actors = {
            "environments": torch.from_numpy(np.array(environments.state)),
            "steps": torch.from_numpy(environments.steps.copy()),
            "prev_done": torch.from_numpy(environments.prev_done.copy()),
            "random": environments.np_random.bit_generator.state,
            "observations": torch.from_numpy(self._observations.copy()),
            "returns": torch.from_numpy(self._returns.copy()),
            "curve": list(self.curve),
        }
        return Checkpoint(fidelity, {**training.checkpoint(fidelity).state, "actors": actors})

    def restore(self, start: Checkpoint) -> None:
        """Go back to ``start``, which stays as it is."""
        state = start.state["actors"]

        def array(name: str) -> np.ndarray:
            values: np.ndarray = state[name].cpu().numpy().copy()
            return values

        environments = self._environments
        environments.state = array("environments")
        environments.steps, environments.prev_done = array("steps"), array("prev_done")
        environments.np_random.bit_generator.state = state["random"]
        self._observations, self._returns = array("observations"), array("returns")
        self._finished, self.curve = [], list(state["curve"])


def mean_return(environments: Environments, model: ActorCritic, seed: int, device: torch.device) -> float:
    """Mean return over the first episode of every copy, with starts and actions drawn from ``seed``."""
    generator = stream(seed, "actions")
    observations, _ = environments.reset(seed=seed)
    returns, running = np.zeros(environments.num_envs), np.ones(environments.num_envs, dtype=bool)
    while running.any():
        action = model.act(torch.from_numpy(observations).to(device), generator)
        observations, reward, over, cut, _ = environments.step(action.cpu().numpy())
        returns += reward * running
        running &= ~(over | cut)
    return float(returns.mean())


def discount(configuration: Configuration) -> float:
    """The discount factor with which rewards weigh 1/e of their value after about ``effective_horizon`` steps."""
    return 1.0 - 1.0 / float(configuration["effective_horizon"])


def proximal_epochs(training: Training[Model], rollout: Rollout, batch: int, progress: float) -> torch.Tensor:
    """Learn from ``rollout`` by proximal policy optimisation (Schulman et al. 2017, algorithm 1); returns a loss.

    batch: about how many transitions there are to a gradient step. progress: in [0, 1], of the whole training.
    """
    configuration, model = training.configuration, training.model
    experience = rollout.experience(model, discount(configuration), float(configuration["gae_lambda"]))
    with torch.no_grad():
        before, _ = model.judge(experience.observations, experience.actions)
    loss = torch.zeros(())
    for _ in range(int(configuration["epochs"])):
        order = torch.randperm(len(before), generator=training.streams["order"]).to(before.device)
        for rows in order.chunk(max(1, round(len(order) / batch))):
            loss = proximal_loss(model, experience.at(rows), before[rows], configuration)
            descend(training.optimiser, loss, str(configuration["schedule"]), progress, LARGEST_GRADIENT_NORM)
    return loss.detach()


def proximal_loss(
    model: ActorCritic, experience: Experience, before: torch.Tensor, configuration: Configuration
) -> torch.Tensor:
    """Schulman et al. 2017, eq. 9 with the sign of a loss; ``before`` (n,): log-probabilities when acting."""
    clip = float(configuration["clip"])
    now, entropy = model.judge(experience.observations, experience.actions)
    ratio = (now - before).exp()
    advantages = (experience.advantages - experience.advantages.mean()) / (experience.advantages.std() + 1e-8)
    gain = torch.min(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages).mean()
    value_error = (model.value(experience.observations) - experience.returns).square().mean()
    value_weight = float(configuration.get("value_weight", VALUE_WEIGHT))
    return value_weight * value_error - gain - float(configuration.get("entropy_weight", 0.0)) * entropy.mean()


def physics_of(standard: Mapping[str, float], variant: int) -> np.ndarray:
    """``standard`` as an array; for a variant other than 0, every value times a factor between 4/5 and 5/4."""
    values = np.array(list(standard.values()))
    if variant == 0:
        return values
    exponents = np.random.Generator(np.random.PCG64(variant)).uniform(-1.0, 1.0, len(values))
    return values * 1.25**exponents
