"""Evolutionary strategies: regularised evolution, differential evolution over fidelities, CatCMA, two of Optuna's."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import optuna
from cmaes import CatCMAwM
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from suite.search.bandits import bracket, hyperband_depths, loss
from suite.search.baselines import sample, seeded
from suite.search.bayesian import OptunaStrategy
from suite.search.cube import MIDDLE, Cube, placer
from suite.search.strategy import WAIT, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, complete
from suite.task import Fidelity

POPULATION: Final = 10
SAMPLE: Final = 4
DIFFERENTIAL_WEIGHT: Final = 0.5
CROSSOVER_RATE: Final = 0.5
MOST_LEVELS: Final = 1000  # integers of more values count as continuous


class RegularisedEvolution:
    """Ageing evolution: the best of a random sample of the population has a child, and the oldest member dies.

    A population of 10 and samples of 4 suit budgets of some forty trainings; the paper's hundreds do not. A child
    differs from its parent in one active hyper-parameter, drawn anew.
    """

    info: ClassVar = StrategyInfo(
        name="regularised-evolution",
        family="evolutionary",
        summary="ageing evolution: mutate the best of a sample, let the oldest die",
        capabilities=frozenset({"conditional", "asynchronous"}),
        paper="Real et al. 2019, Regularized evolution for image classifier architecture search, AAAI, "
        "arXiv:1802.01548",
    )

    def __init__(self, problem: Problem) -> None:
        self._goal = problem.goal
        self._fidelity = problem.fidelity.maximum
        self._space = seeded(problem.space, problem.seed)
        self._random = np.random.default_rng(problem.seed)
        self._population: deque[tuple[float, Configuration]] = deque(maxlen=POPULATION)
        self._asked = 0

    def ask(self) -> Proposal:
        self._asked += 1
        if self._asked < POPULATION or not self._population:
            return Proposal(sample(self._space), self._fidelity)
        return Proposal(mutated(self._parent(), self._space, self._random), self._fidelity)

    def tell(self, trial: Trial) -> None:
        """Trial 0 is a member like any other; the oldest leaves once the population is full."""
        self._population.append((loss(trial, self._goal), trial.proposal.configuration))

    def _parent(self) -> Configuration:
        drawn = self._random.choice(len(self._population), min(SAMPLE, len(self._population)), replace=False)
        return min((self._population[place] for place in drawn), key=lambda member: member[0])[1]


def mutated(parent: Configuration, space: ConfigurationSpace, random: np.random.Generator) -> Configuration:
    """``parent`` with one active hyper-parameter drawn anew; what that makes active comes from the same draw."""
    drawn = sample(space)
    names = sorted(set(parent) & set(drawn)) or sorted(drawn)
    name = names[int(random.integers(len(names)))]
    return complete(space, {**dict(space.get_default_configuration()), **drawn, **parent, name: drawn[name]})


class _Member(NamedTuple):
    """A point of the unit cube and the loss that was found there."""

    point: np.ndarray
    loss: float


class _Job(NamedTuple):
    """A training to ask for. target: the member of its population that it challenges; None where it joins.
    parent: the trial that it goes on from."""

    point: np.ndarray
    fidelity: int
    target: int | None = None
    parent: int | None = None


class Dehb:
    """Differential evolution over Hyperband's fidelities, with a population for each.

    The first bracket is Hyperband's own, promotions included, and fills the populations. From then on members are
    challenged by children: rand/1 mutation (F = .5) of parents from the best of the fidelity below, and binomial
    crossover (rate .5) with the member; a child that is not worse takes its place (Awad et al. 2021, section 3).
    """

    info: ClassVar = StrategyInfo(
        name="dehb",
        family="multi-fidelity",
        summary="DEHB: differential evolution over the fidelities of Hyperband",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        paper="Awad, Mallik & Hutter 2021, DEHB, IJCAI, arXiv:2105.09821",
    )

    def __init__(self, problem: Problem) -> None:
        self._space, self._cube = problem.space, Cube(problem.space)
        self._goal = problem.goal
        self._random = np.random.default_rng(problem.seed)
        self._rungs = _rungs(problem.fidelity)
        self._populations: dict[int, list[_Member]] = {}
        self._queue: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}
        self._told: list[tuple[float, int]] = []  # loss and trial number, on the rung in hand
        self._outstanding = 0

    def ask(self) -> Proposal | Signal:
        while not self._queue:
            if self._outstanding:
                return WAIT
            self._queue.extend(self._next_rung())
        job = self._queue.popleft()
        number = len(self._jobs) + 1
        self._jobs[number] = job
        self._outstanding += 1
        return Proposal(self._cube.configuration(job.point), job.fidelity, job.parent)

    def tell(self, trial: Trial) -> None:
        job = self._jobs.get(trial.number)
        if job is None:  # trial 0
            return
        self._outstanding -= 1
        member = _Member(job.point, loss(trial, self._goal))
        self._told.append((member.loss, trial.number))
        population = self._populations.setdefault(job.fidelity, [])
        if job.target is None:
            population.append(member)
        elif member.loss <= population[job.target].loss:
            population[job.target] = member

    def _next_rung(self) -> list[_Job]:
        """The trainings of the next rung; none where nothing is left to promote."""
        rung = next(self._rungs)
        best = [number for value, number in sorted(self._told) if math.isfinite(value)]
        self._told.clear()
        if rung.bracket:
            return [self._child(rung, slot) for slot in range(rung.size)]
        if rung.below is None:
            return [_Job(self._random.random(len(self._space)), rung.fidelity) for _ in range(rung.size)]
        return [_Job(self._jobs[number].point, rung.fidelity, parent=number) for number in best[: rung.size]]

    def _child(self, rung: "_Rung", slot: int) -> _Job:
        """A challenger of member ``slot`` of the rung's population, or a new member where there are not as many."""
        population = self._populations.get(rung.fidelity, [])
        target = slot if slot < len(population) else None
        dimensions = len(self._space)
        own = population[slot].point if target is not None else self._random.random(dimensions)
        one, two, three = self._parents(rung)
        mutant = one + DIFFERENTIAL_WEIGHT * (two - three)
        outside = (mutant < 0) | (mutant > 1)
        mutant = np.where(outside, self._random.random(dimensions), mutant)
        crossed = self._random.random(dimensions) < CROSSOVER_RATE
        crossed[self._random.integers(dimensions)] = True
        return _Job(np.where(crossed, mutant, own), rung.fidelity, target)

    def _parents(self, rung: "_Rung") -> list[np.ndarray]:
        """Three points: of the best below, of this population at the bottom, of all where these are too few."""
        source = self._populations.get(rung.fidelity if rung.below is None else rung.below, [])
        pool = sorted(source, key=lambda member: member.loss)
        pool = pool[: max(3, len(self._populations.get(rung.fidelity, [])))]
        if len(pool) < 3:
            pool = [member for population in self._populations.values() for member in population]
        if len(pool) < 3:
            return list(self._random.random((3, len(self._space))))
        return [pool[place].point for place in self._random.choice(len(pool), 3, replace=False)]


class _Rung(NamedTuple):
    """The trainings of bracket number ``bracket`` at one fidelity; ``below``: the fidelity of its rung before."""

    bracket: int
    fidelity: int
    size: int
    below: int | None


def _rungs(fidelity: Fidelity) -> Iterator[_Rung]:
    for number, depth in enumerate(hyperband_depths(fidelity)):
        below = None
        for amount, size in bracket(fidelity, depth):
            yield _Rung(number, amount, size, below)
            below = amount


class CmaEs(OptunaStrategy):
    """Covariance matrix adaptation over the numbers that are always active; the rest is drawn at random (Optuna)."""

    info: ClassVar = StrategyInfo(
        name="cma-es",
        family="evolutionary",
        summary="CMA-ES over the numbers that are always active, the rest at random (Optuna)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="optuna",
        paper="Hansen & Ostermeier 2001, Completely derandomized self-adaptation in evolution strategies, "
        "Evolutionary Computation 9",
    )

    def __init__(self, problem: Problem) -> None:
        sampler = optuna.samplers.CmaEsSampler(seed=problem.seed % 2**32, warn_independent_sampling=False)
        super().__init__(problem, sampler)


class Nsga2(OptunaStrategy):
    """Non-dominated sorting on the metric and on the energy of a training: a front of cheap and of good models."""

    info: ClassVar = StrategyInfo(
        name="nsga2",
        family="evolutionary",
        summary="NSGA-II on the metric and on the energy of a training (Optuna)",
        capabilities=frozenset({"conditional", "asynchronous", "objectives"}),
        library="optuna",
        paper="Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE TEC 6",
    )

    def __init__(self, problem: Problem) -> None:
        sampler = optuna.samplers.NSGAIISampler(seed=problem.seed % 2**32, population_size=POPULATION)
        super().__init__(problem, sampler)


class CatCma:
    """CatCMA with margin: one Gaussian over all numbers, one distribution over each choice, kept from collapsing.

    It moves in the unit cube of all hyper-parameters; inactive ones are dropped from what is proposed. Choices and what
    has two values are categories to it, ordered values are steps. A generation is complete before the next is drawn. A
    failed trial counts with its penalty. Where the library says that it has converged, it starts anew.
    """

    info: ClassVar = StrategyInfo(
        name="catcma",
        family="evolutionary",
        summary="CatCMA with margin: CMA-ES over numbers and choices together (cmaes)",
        capabilities=frozenset({"conditional", "asynchronous"}),
        library="cmaes",
        paper="Hamano et al. 2025, CatCMA with margin for single- and multi-objective mixed-variable black-box "
        "optimization, arXiv:2504.07884",
    )

    def __init__(self, problem: Problem) -> None:
        self._cube = Cube(problem.space)
        self._fidelity = problem.fidelity.maximum
        self._sign = 1.0 if problem.goal == "minimize" else -1.0
        self._seed = problem.seed % 2**32
        self._axes = Axes(problem.space)
        self._optimizer = self._axes.optimizer(self._seed)
        self._number = self._asked = 0  # in all, and of the generation in hand
        self._open: dict[int, CatCMAwM.Solution] = {}
        self._generation: list[tuple[CatCMAwM.Solution, float]] = []

    def ask(self) -> Proposal | Signal:
        if self._asked == self._optimizer.population_size:
            return WAIT
        self._asked += 1
        self._number += 1
        solution = self._open[self._number] = self._optimizer.ask()
        return Proposal(self._cube.configuration(self._axes.point(solution)), self._fidelity)

    def tell(self, trial: Trial) -> None:
        solution = self._open.pop(trial.number, None)
        if solution is None:  # trial 0
            return
        self._generation.append((solution, self._sign * trial.objectives[0]))
        if len(self._generation) == self._optimizer.population_size:
            self._advance()

    def _advance(self) -> None:
        generation, self._generation, self._asked = self._generation, [], 0
        if self._optimizer.generation == 0 and _middle_half_is_flat([value for _, value in generation]):
            return  # mostly failures: the library scales its penalties by the spread, and the first must have one
        self._optimizer.tell(generation)
        if self._axes.numbers and self._optimizer.should_stop():  # it has no such rule for choices alone
            self._seed = (self._seed + 1) % 2**32
            self._optimizer = self._axes.optimizer(self._seed)


def _middle_half_is_flat(values: Sequence[float]) -> bool:
    ranked, count = sorted(values), len(values)
    return ranked[count // 4] == ranked[3 * count // 4]


class Axes:
    """How CatCMA sees a space: which coordinates of the unit cube are continuous, which go in steps, which are choices.

    Constants are none of these and stay in the middle.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self._size = len(space)
        self._continuous: list[int] = []
        self._steps: dict[int, list[float]] = {}  # by axis: where its values stand
        self._choices: dict[int, list[float]] = {}
        for axis, name in enumerate(space):
            places = _places(space[name])
            if places is None:
                self._continuous.append(axis)
            elif len(places) == 2 or (places and isinstance(space[name], CategoricalHyperparameter)):
                self._choices[axis] = places
            elif places:
                self._steps[axis] = places

    @property
    def numbers(self) -> int:
        """How many axes the Gaussian has."""
        return len(self._continuous) + len(self._steps)

    def optimizer(self, seed: int) -> CatCMAwM:
        return CatCMAwM(
            x_space=[[0.0, 1.0]] * len(self._continuous) or None,
            z_space=list(self._steps.values()) or None,
            c_space=[len(places) for places in self._choices.values()] or None,
            seed=seed,
        )

    def point(self, solution: CatCMAwM.Solution) -> np.ndarray:
        """The point of the unit cube, (hyper-parameters,), that ``solution`` stands for."""
        point = np.full(self._size, MIDDLE)
        if solution.x is not None:
            point[self._continuous] = solution.x
        if solution.z is not None:
            point[list(self._steps)] = solution.z
        if solution.c is not None:
            for (axis, places), row in zip(self._choices.items(), solution.c, strict=True):
                point[axis] = places[int(np.argmax(row))]
        return point


def _places(hyperparameter: Hyperparameter[Any, Any]) -> list[float] | None:
    """Coordinates of the values of ``hyperparameter``; none of a constant, None where they are not to be listed."""
    values: Sequence[Any]
    match hyperparameter:
        case Constant():
            values = ()
        case CategoricalHyperparameter():
            values = hyperparameter.choices
        case OrdinalHyperparameter():
            values = hyperparameter.sequence
        case UniformIntegerHyperparameter():
            values = range(hyperparameter.lower, hyperparameter.upper + 1)
            if len(values) > MOST_LEVELS:
                return None
        case _:
            return None
    return [*map(placer(hyperparameter), values)] if len(values) > 1 else []
