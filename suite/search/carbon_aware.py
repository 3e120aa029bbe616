"""Our own entry: expected improvement per joule, over new configurations and promotions alike.

What is compared are plans: a configuration, known or new, and a fidelity to train it to. Each is worth its expected
improvement on the best validation value so far, at whatever fidelity, over the joules that it is expected to take: for
a promotion those of the rest alone. Of the best plan the first step is taken. One Gaussian process over configurations
and fidelity says what a plan may come to (as in freeze-thaw search, Swersky et al. 2014, arXiv:1406.3896, with a
stationary kernel over the fidelity), a linear model of the logarithm what it will take (cost-cooled search, Lee et al.
2020, arXiv:2003.10870). Both learn from the trials of this run alone. It ends where no plan's expected gain is worth
its joules any more.

A model that is wrong about what longer trainings bring would train shortly for ever, since that is cheap, and never
hear of it: no rung may take more than half of what has been spent.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc, rankdata

from suite.search.bandits import ETA, halvings, loss
from suite.search.cube import Cube
from suite.search.process import Encoder, Kernel, Process, fit
from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration, canonical

Array = np.ndarray
MOST_HALVINGS: Final = 3  # from full trainings down to the shortest
FIRST: Final = 12  # short trainings before there is a model
CANDIDATES: Final = 96  # that are compared, of which each ask brings new ones
NEW: Final = 8  # of them from all over the space, and as many near the best
NEAR_SD: Final = 0.12
PARENTS: Final = 5
GROWTH: Final = 1.5  # the kernel is fitted anew whenever there are so many more results
MOST_FITTED: Final = 150  # results that it is fitted on
MOST_RESULTS: Final = 300  # of the latest and the best, that the model is made of
MOST_OF_A_RUNG: Final = 0.5  # of the joules so far, for trainings that end on the same rung
WORTHLESS: Final = 1e-7  # expected gain over all that is left, in standard deviations of the results


@dataclass(frozen=True)
class _Step:
    """A configuration, as it stands and encoded, how far it was trained, by which trial, and how far it may be trained
    next."""

    configuration: Configuration
    row: Array
    fidelity: int
    start: int = 0
    parent: int | None = None


class CarbonAware:
    """Takes the step of the greatest expected improvement per joule."""

    info: ClassVar = StrategyInfo(
        name="carbon-aware",
        family="carbon-aware",
        summary="expected improvement per joule over new configurations and promotions; ends when it no longer pays",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        version="2",
        paper="after Swersky et al. 2014, Freeze-thaw Bayesian optimization, arXiv:1406.3896; Lee et al. 2020, "
        "Cost-aware Bayesian optimization, arXiv:2003.10870",
    )

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._encode, self._cube = Encoder(problem.space), Cube(problem.space)
        self._random = np.random.default_rng(problem.seed)
        self._sobol = qmc.Sobol(d=len(problem.space), scramble=True, rng=np.random.default_rng(problem.seed))
        maximum, clamp = problem.fidelity.maximum, problem.fidelity.clamp
        depth = min(halvings(problem.fidelity), MOST_HALVINGS)
        self._rungs = sorted({clamp(maximum / ETA**k) for k in range(depth + 1)})
        self._number = 0
        self._outstanding: dict[int, _Step] = {}
        self._candidates: deque[tuple[str, Configuration, Array]] = deque(maxlen=CANDIDATES)  # spelt, and encoded
        self._best_of: dict[str, _Step] = {}  # by configuration: the furthest that it was trained, without failure
        self._configurations: list[Configuration] = []  # of the results, as the four lists below
        self._rows: list[Array] = []
        self._places: list[float] = []  # of the fidelities
        self._losses: list[float] = []
        self._joules_per_step: list[float] = []
        self._spent: dict[int, float] = defaultdict(float)  # joules, by the fidelity that they led to
        self._kernel: Kernel | None = None
        self._fitted_to = 0

    def ask(self) -> Proposal | Signal:
        step = self._first() if self._number < FIRST or len(self._losses) < FIRST // 2 else self._worthiest()
        if step is None:
            return EXHAUSTED
        self._number += 1
        self._outstanding[self._number] = step
        return Proposal(step.configuration, step.fidelity, step.parent)

    def tell(self, trial: Trial) -> None:
        proposal = trial.proposal
        step = self._outstanding.pop(trial.number, None)
        if step is None:  # trial 0
            step = _Step(proposal.configuration, self._encode([proposal.configuration])[0], proposal.fidelity)
        self._configurations.append(step.configuration)
        self._rows.append(step.row)
        self._places.append(self._place(step.fidelity))
        self._losses.append(loss(trial, self._problem.goal))
        self._joules_per_step.append(math.log(max(trial.joules, 1e-9) / max(1, step.fidelity - step.start)))
        if trial.number > 0:
            self._spent[step.fidelity] += trial.joules
        if trial.status == "ok" and trial.number > 0:
            reached = _Step(step.configuration, step.row, step.fidelity, step.fidelity, trial.number)
            self._best_of[canonical(step.configuration)] = reached

    def _first(self) -> _Step:
        """Short trainings, all over the space."""
        (configuration,) = self._from_sobol(1)
        return _Step(configuration, self._encode([configuration])[0], self._rungs[0])

    def _worthiest(self) -> _Step | None:
        """The step of the greatest expected improvement per joule; None where none is worth it."""
        scores = self._scores()
        chosen, rows = self._remembered(scores), np.array(self._rows)
        points, targets = np.column_stack([rows, self._places])[chosen], scores[chosen]
        if len(targets) >= GROWTH * self._fitted_to:
            self._kernel = fit(points, targets, self._kernel, iterations=20, most=MOST_FITTED)
            self._fitted_to = len(targets)
        assert self._kernel is not None  # fitted on the first results
        steps = self._steps(scores)
        which, rungs = self._plans(steps)
        at = np.array([step.row for step in steps])
        process = Process(self._kernel, points, targets[:, None])
        mean, deviation = process.posterior(np.column_stack([at[which], [self._place(rung) for rung in rungs]]))
        known, _ = process.posterior(points)
        gain = expected_improvement(mean[:, 0], deviation[:, 0], float(known.min()))
        amounts = np.array([rung - steps[n].start for n, rung in zip(which, rungs, strict=True)])
        worth = gain / (self._joules_per_unit(rows, at)[which] * amounts)
        best = int(np.argmax(worth))
        left = self._problem.budget_joules - sum(self._spent.values())
        trained_in_full = self._spent[self._rungs[-1]] > 0  # nobody knows before what that brings
        if trained_in_full and math.isfinite(left) and worth[best] * max(left, 0.0) < WORTHLESS:
            return None
        return steps[int(which[best])]

    def _plans(self, steps: list[_Step]) -> tuple[Array, list[int]]:
        """Every way to go on: a step, by its number, and one of the rungs that it may lead to."""
        plans = [(n, rung) for n, step in enumerate(steps) for rung in self._rungs if rung >= step.fidelity]
        return np.array([n for n, _ in plans]), [rung for _, rung in plans]

    def _scores(self) -> Array:
        """Losses as normal scores of their ranks: what is infinite is as bad as the worst."""
        losses = np.array(self._losses)
        finite = losses[np.isfinite(losses)]
        losses = np.where(np.isfinite(losses), losses, finite.max() if len(finite) else 0.0)
        return np.asarray(ndtri((rankdata(losses) - 0.5) / len(losses)))

    def _remembered(self, scores: Array) -> Array:
        """Which results the model is made of: all, or the best half and the latest half of so many."""
        if len(scores) <= MOST_RESULTS:
            return np.arange(len(scores))
        best = np.argsort(scores, kind="stable")[: MOST_RESULTS // 2]
        latest = np.setdiff1d(np.arange(len(scores)), best)[-(MOST_RESULTS // 2) :]
        return np.sort(np.concatenate([best, latest]))

    def _steps(self, scores: Array) -> list[_Step]:
        """Candidates at the lowest rung, and the next rung of what is known."""
        order = np.argsort(scores, kind="stable")
        fresh = self._from_sobol(NEW if self._candidates else CANDIDATES // 2) + self._near(order[:PARENTS])
        self._candidates.extend(zip(map(canonical, fresh), fresh, self._encode(fresh), strict=True))
        busy = {canonical(step.configuration) for step in self._outstanding.values()}
        known = self._best_of.keys() | busy
        steps = [
            _Step(configuration, row, self._rungs[0])
            for spelt, configuration, row in self._candidates
            if spelt not in known
        ]
        for spelt, step in self._best_of.items():
            higher = [rung for rung in self._rungs if rung > step.fidelity]
            if spelt not in busy and higher:
                steps.append(_Step(step.configuration, step.row, higher[0], step.fidelity, step.parent))
        return [step for step in steps if self._may_lead_to(step.fidelity)] or steps

    def _may_lead_to(self, rung: int) -> bool:
        return self._spent[rung] <= MOST_OF_A_RUNG * sum(self._spent.values())

    def _from_sobol(self, count: int) -> list[Configuration]:
        return [self._cube.configuration(point) for point in self._sobol.random(count)]

    def _near(self, places: Array) -> list[Configuration]:
        """Configurations near those at ``places`` among the results."""
        found = []
        for n in range(NEW):
            point = self._cube.point(self._configurations[int(places[n % len(places)])])
            moved = np.clip(point + self._random.normal(0.0, NEAR_SD, len(point)), 0.0, 1.0)
            redrawn = np.where(self._random.random(len(point)) < 0.1, self._random.random(len(point)), moved)
            keep = self._random.random(len(point)) < 0.6
            found.append(self._cube.configuration(np.where(keep, point, redrawn)))
        return found

    def _place(self, fidelity: int) -> float:
        """A fidelity on a logarithmic scale from 0 to 1."""
        given = self._problem.fidelity
        span = math.log(given.maximum / given.minimum) or 1.0
        return math.log(fidelity / given.minimum) / span if given.maximum > given.minimum else 1.0

    def _joules_per_unit(self, points: Array, at: Array) -> Array:
        """Expected joules per unit of fidelity of the configurations ``at``: a ridge regression of the logarithm over
        all results, ``points``."""
        logs = np.array(self._joules_per_step)
        mean, centre = logs.mean(), points.mean(0)
        moved = points - centre
        slope = np.linalg.solve(moved.T @ moved + np.eye(moved.shape[1]), moved.T @ (logs - mean))
        return np.asarray(np.exp(mean + (at - centre) @ slope))


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """How far below ``best`` a normal value is expected to fall (Jones et al. 1998, equation 15)."""
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray(deviation * (z * ndtr(z) + density))
