"""Population strategies: many trainings side by side, of which the bad take over the weights of the good."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter, UniformIntegerHyperparameter
from ConfigSpace.hyperparameters import Hyperparameter

from suite.search.bandits import loss
from suite.search.baselines import sample, seeded
from suite.search.strategy import WAIT, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, complete

POPULATION: Final = 8
INTERVALS: Final = 8  # of a full training, at whose ends members may change
QUANTILE: Final = 0.2
FACTORS: Final = (0.8, 1.2)
RESAMPLE_RATE: Final = 0.25


@dataclass
class _Member:
    """What a member trains, up to where it got (``trial``, None before its first interval) and how well it did."""

    configuration: Configuration
    trial: int | None = None
    fidelity: int = 0
    loss: float = math.inf


class Pbt:
    """Population-based training: at the end of an interval a member of the worst fifth takes over the weights of one of
    the best fifth, and its hyper-parameters, perturbed.

    Only hyper-parameters that may change in mid-training are perturbed, by a factor of .8 or 1.2, or drawn anew with a
    probability of .25 (Jaderberg et al. 2017, section 4.1); all others are taken over as they are. A member that is
    fully trained makes room for a new one.
    """

    info: ClassVar = StrategyInfo(
        name="pbt",
        family="population",
        summary="population-based training: copy the weights of the better, perturb what may change",
        version="2",
        capabilities=frozenset({"conditional", "fidelity", "mutation", "asynchronous"}),
        paper="Jaderberg et al. 2017, Population based training of neural networks, arXiv:1711.09846",
    )

    def __init__(self, problem: Problem) -> None:
        self._goal = problem.goal
        self._fidelity = problem.fidelity
        self._mutable = problem.mutable
        self._space = seeded(problem.space, problem.seed)
        self._random = np.random.default_rng(problem.seed)
        self._members = [_Member(sample(self._space)) for _ in range(POPULATION)]
        self._ready = deque(range(POPULATION))
        self._training: dict[int, int] = {}  # member by trial
        self._asked = 0

    def ask(self) -> Proposal | Signal:
        if not self._ready:
            return WAIT
        place = self._ready.popleft()
        member = self._members[place]
        if member.trial is not None and member.fidelity >= self._fidelity.maximum:
            member = self._members[place] = _Member(sample(self._space))
        elif member.trial is not None:
            self._exploit(member)
        self._asked += 1
        self._training[self._asked] = place
        return Proposal(member.configuration, self._after(member.fidelity), member.trial)

    def tell(self, trial: Trial) -> None:
        place = self._training.pop(trial.number, None)
        if place is None:  # trial 0
            return
        if trial.status == "ok":
            configuration, fidelity = trial.proposal.configuration, trial.proposal.fidelity
            self._members[place] = _Member(configuration, trial.number, fidelity, loss(trial, self._goal))
        else:
            self._members[place] = _Member(sample(self._space))
        self._ready.append(place)

    def _after(self, fidelity: int) -> int:
        """The end of the next interval; each ends at the allowed fidelity nearest to its eighth."""
        ends = (self._fidelity.clamp(self._fidelity.maximum * k / INTERVALS) for k in range(1, INTERVALS + 1))
        return next((end for end in ends if end > fidelity), self._fidelity.maximum)

    def _exploit(self, member: _Member) -> None:
        """Where ``member`` is one of the worst, make it a perturbed copy of one of the best."""
        ranked = sorted((each for each in self._members if each.trial is not None), key=lambda each: each.loss)
        few = max(1, round(QUANTILE * len(ranked)))
        donors = [each for each in ranked[:few] if each.fidelity < self._fidelity.maximum]
        if len(ranked) < 2 * few or all(each is not member for each in ranked[-few:]) or not donors:
            return
        donor = donors[int(self._random.integers(len(donors)))]
        member.configuration = perturbed(donor.configuration, self._space, self._mutable, self._random)
        member.trial, member.fidelity = donor.trial, donor.fidelity


def perturbed(
    configuration: Configuration, space: ConfigurationSpace, mutable: frozenset[str], random: np.random.Generator
) -> Configuration:
    """``configuration`` with its ``mutable`` hyper-parameters perturbed or drawn anew."""
    drawn = sample(space)
    changed = dict(configuration)
    for name in sorted(mutable & set(configuration)):
        if random.random() < RESAMPLE_RATE:
            changed[name] = drawn.get(name, changed[name])
        else:
            changed[name] = _scaled(space[name], changed[name], FACTORS[int(random.integers(2))])
    return complete(space, {**dict(space.get_default_configuration()), **drawn, **changed})


def _scaled(hyperparameter: Hyperparameter[Any, Any], value: Any, factor: float) -> Any:
    """A number times ``factor``, kept in its range; other values as they are."""
    match hyperparameter:
        case UniformFloatHyperparameter():
            return float(min(max(value * factor, hyperparameter.lower), hyperparameter.upper))
        case UniformIntegerHyperparameter():
            return int(min(max(round(value * factor), hyperparameter.lower), hyperparameter.upper))
        case _:
            return value
