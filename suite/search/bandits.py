"""Multi-fidelity strategies: many short trainings, of which the best go on.

A configuration that is promoted goes on from its checkpoint and pays only for the rest. eta = 3 throughout.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np

from suite.search.baselines import sample, seeded
from suite.search.strategy import EXHAUSTED, WAIT, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration
from suite.task import Fidelity

ETA: Final = 3


@dataclass
class _Rung:
    """Trainings of one bracket at one fidelity. ``results`` are (loss, trial number), lower is better."""

    fidelity: int
    size: int
    asked: int = 0
    results: list[tuple[float, int]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.results) == self.size

    def best(self, count: int) -> list[int]:
        """Trial numbers of the ``count`` best; failed trials (infinite loss) are never among them."""
        ranked = sorted(result for result in self.results if math.isfinite(result[0]))
        return [number for _, number in ranked[:count]]


class Brackets:
    """Synchronous brackets of successive halving: a rung is complete before its best are promoted.

    depths: how many halvings each bracket has. draw: a configuration for a bracket's lowest rung.
    """

    def __init__(self, problem: Problem, depths: Iterator[int], draw: Callable[[], Configuration]) -> None:
        self._fidelity = problem.fidelity
        self._goal = problem.goal
        self._depths = depths
        self._draw = draw
        self._rungs = self._bracket()
        self._proposals: dict[int, Proposal] = {}
        self._promotions: list[int] = []
        self._number = 0

    def ask(self) -> Proposal | Signal:
        if self._rungs[0].asked == self._rungs[0].size and not self._advance():
            return WAIT
        rung = self._rungs[0]
        rung.asked += 1
        self._number += 1
        proposal = self._next(rung.fidelity)
        self._proposals[self._number] = proposal
        return proposal

    def tell(self, trial: Trial) -> None:
        if trial.number in self._proposals:  # all but trial 0
            self._rungs[0].results.append((loss(trial, self._goal), trial.number))

    def _next(self, fidelity: int) -> Proposal:
        if not self._promotions:
            return Proposal(self._draw(), fidelity)
        parent = self._promotions.pop(0)
        return Proposal(self._proposals[parent].configuration, fidelity, parent)

    def _advance(self) -> bool:
        """Go on to the next rung, or the next bracket. False while the rung in hand is not complete."""
        rung = self._rungs[0]
        if not rung.complete:
            return False
        self._rungs.pop(0)
        if self._rungs:
            self._promotions = rung.best(self._rungs[0].size)
            self._rungs[0].size = len(self._promotions)
        if not self._rungs or not self._promotions:  # the bracket is done, or nothing in it survived
            self._rungs = self._bracket()
        return True

    def _bracket(self) -> list[_Rung]:
        return [_Rung(amount, size) for amount, size in bracket(self._fidelity, next(self._depths))]


def bracket(fidelity: Fidelity, depth: int) -> list[tuple[int, int]]:
    """Fidelity r_i and size n_i of the rungs of a bracket with ``depth`` halvings (Li et al. 2018, algorithm 1)."""
    size = math.ceil((halvings(fidelity) + 1) / (depth + 1) * ETA**depth)
    return [(fidelity.clamp(fidelity.maximum / ETA ** (depth - i)), max(1, size // ETA**i)) for i in range(depth + 1)]


class Hyperband:
    """Brackets of successive halving, from the shortest trainings to full ones, and again while the budget lasts."""

    info: ClassVar = StrategyInfo(
        name="hyperband",
        family="multi-fidelity",
        summary="Hyperband: brackets of successive halving, promotions resume their checkpoints",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Li et al. 2018, Hyperband, JMLR 18",
    )

    def __init__(self, problem: Problem) -> None:
        space = seeded(problem.space, problem.seed)
        self._brackets = Brackets(problem, hyperband_depths(problem.fidelity), lambda: sample(space))

    def ask(self) -> Proposal | Signal:
        return self._brackets.ask()

    def tell(self, trial: Trial) -> None:
        self._brackets.tell(trial)


class SuccessiveHalving:
    """The deepest bracket of Hyperband, again and again: most configurations get the least training."""

    info: ClassVar = StrategyInfo(
        name="successive-halving",
        family="multi-fidelity",
        summary="successive halving from the shortest trainings, promotions resume their checkpoints",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Jamieson & Talwalkar 2016, Non-stochastic best arm identification, AISTATS",
    )

    def __init__(self, problem: Problem) -> None:
        space = seeded(problem.space, problem.seed)
        self._brackets = Brackets(problem, itertools.repeat(halvings(problem.fidelity)), lambda: sample(space))

    def ask(self) -> Proposal | Signal:
        return self._brackets.ask()

    def tell(self, trial: Trial) -> None:
        self._brackets.tell(trial)


class Ladder:
    """Asynchronous successive halving (Li et al. 2020, algorithm 2): whoever is among the best third of a rung goes up.

    Nobody waits for a rung to be complete. draw: what to begin with next, or None where it is to end. ``highest``: the
    index of the highest rung that promotions lead to.
    """

    def __init__(self, problem: Problem, draw: Callable[[], Configuration | None]) -> None:
        self._goal = problem.goal
        self._draw = draw
        depth = halvings(problem.fidelity)
        self.fidelities = [problem.fidelity.clamp(problem.fidelity.maximum / ETA**k) for k in range(depth, -1, -1)]
        self.results: list[dict[int, float]] = [{} for _ in self.fidelities]  # by rung: loss by trial number
        self.highest = depth
        self._promoted: list[set[int]] = [set() for _ in self.fidelities]
        self._rung_of: dict[int, int] = {}
        self.proposals: dict[int, Proposal] = {}

    def ask(self) -> Proposal | Signal:
        found = self._promotion() or self._beginning()
        if found is None:
            return EXHAUSTED
        proposal, rung = found
        number = len(self.proposals) + 1
        self.proposals[number], self._rung_of[number] = proposal, rung
        return proposal

    def tell(self, trial: Trial) -> int | None:
        """Returns the rung that the trial stood on; None for trial 0."""
        rung = self._rung_of.get(trial.number)
        if rung is not None:
            self.results[rung][trial.number] = loss(trial, self._goal)
        return rung

    def _beginning(self) -> tuple[Proposal, int] | None:
        configuration = self._draw()
        return None if configuration is None else (Proposal(configuration, self.fidelities[0]), 0)

    def _promotion(self) -> tuple[Proposal, int] | None:
        for rung in range(self.highest - 1, -1, -1):
            results = self.results[rung]
            best = sorted(results, key=lambda number: (results[number], number))[: len(results) // ETA]
            for number in best:
                if number not in self._promoted[rung] and math.isfinite(results[number]):
                    self._promoted[rung].add(number)
                    return Proposal(self.proposals[number].configuration, self.fidelities[rung + 1], number), rung + 1
        return None


class Asha:
    """Asynchronous successive halving over random configurations."""

    info: ClassVar = StrategyInfo(
        name="asha",
        family="multi-fidelity",
        summary="ASHA: asynchronous successive halving, promotions resume their checkpoints",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Li et al. 2020, A system for massively parallel hyperparameter tuning, MLSys, arXiv:1810.05934",
    )

    def __init__(self, problem: Problem) -> None:
        space = seeded(problem.space, problem.seed)
        self._ladder = Ladder(problem, lambda: sample(space))

    def ask(self) -> Proposal | Signal:
        return self._ladder.ask()

    def tell(self, trial: Trial) -> None:
        self._ladder.tell(trial)


class Pasha:
    """ASHA that trains longer only while the order of the best still changes.

    The ladder starts with two rungs. After each result on its highest rung the configurations there are ranked by
    that rung and by the one below; where two change places and differ by more than epsilon, the ladder grows by one
    rung. Epsilon is the 90th percentile of the differences between configurations whose losses cross twice on the way
    up, which must be noise (Bohdal et al. 2023, section 4).
    """

    info: ClassVar = StrategyInfo(
        name="pasha",
        family="multi-fidelity",
        summary="PASHA: ASHA whose longest training grows only while the order of the best changes",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Bohdal et al. 2023, PASHA: efficient HPO and NAS with progressive resource allocation, ICLR, "
        "arXiv:2207.06940",
    )

    def __init__(self, problem: Problem) -> None:
        space = seeded(problem.space, problem.seed)
        self._ladder = Ladder(problem, lambda: sample(space))
        self._ladder.highest = min(1, self._ladder.highest)

    def ask(self) -> Proposal | Signal:
        return self._ladder.ask()

    def tell(self, trial: Trial) -> None:
        rung = self._ladder.tell(trial)
        last = len(self._ladder.fidelities) - 1
        if rung is not None and rung == self._ladder.highest and 0 < rung < last and not self._stable(rung):
            self._ladder.highest += 1

    def _stable(self, rung: int) -> bool:
        """Whether those on ``rung`` stand in the same order on the rung below, up to epsilon (soft ranking)."""
        paths = [self._path(number) for number in self._ladder.results[rung]]
        finite = [path for path in paths if all(map(math.isfinite, path))]
        epsilon = noise_level(finite)
        above = sorted(finite, key=lambda path: path[-1])
        below = sorted(finite, key=lambda path: path[-2])
        return all(abs(one[-2] - other[-2]) <= epsilon for one, other in zip(above, below, strict=True))

    def _path(self, number: int) -> tuple[float, ...]:
        """Losses of trial ``number`` and of those that it came from, from the lowest rung up."""
        path, step = [], number
        for results in reversed(self._ladder.results):
            if step in results:
                path.append(results[step])
                step = self._ladder.proposals[step].parent or 0
        return tuple(reversed(path))


def noise_level(paths: list[tuple[float, ...]]) -> float:
    """The 90th percentile of final differences between paths of equal length that cross twice at least, or 0."""
    differences = []
    for one, other in itertools.combinations(paths, 2):
        signs = np.sign(np.subtract(one, other))
        signs = signs[signs != 0]
        if np.count_nonzero(np.diff(signs)) >= 2:
            differences.append(abs(one[-1] - other[-1]))
    return float(np.quantile(differences, 0.9)) if differences else 0.0


def loss(trial: Trial, goal: str) -> float:
    """What is minimised; infinite where the trial came to no value."""
    if trial.status != "ok":
        return math.inf
    return trial.objectives[0] if goal == "minimize" else -trial.objectives[0]


def hyperband_depths(fidelity: Fidelity) -> Iterator[int]:
    return itertools.cycle(range(halvings(fidelity), -1, -1))


def halvings(fidelity: Fidelity) -> int:
    """How often the fidelity range can be divided by eta: floor(log_eta(maximum / minimum))."""
    depth = 0
    while fidelity.minimum * ETA ** (depth + 1) <= fidelity.maximum:
        depth += 1
    return depth
