"""Our own entry: asynchronous successive halving, half of whose new configurations are those of the greatest expected
improvement per joule.

The ladder of ASHA says how far each is trained: short trainings, the best third of which go on and pay for the rest
alone. Which configuration is to begin, a Gaussian process over configurations and fidelity says every other time: by
what a full training may improve on the best expected value so far (as in freeze-thaw search, Swersky et al. 2014,
arXiv:1406.3896, with a stationary kernel over the fidelity), over the joules that it would take by a linear model of
their logarithm (cost-cooled search, Lee et al. 2020, arXiv:2003.10870). The others are spread evenly: a model that is
wrong costs no more than a second ladder. Both models learn from the trials of this run alone. Once something was
trained in full, it ends where the best candidate's expected gain is worth its joules no more.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc, rankdata

from suite.search.bandits import Ladder, loss
from suite.search.cube import Cube
from suite.search.process import Encoder, Kernel, Process, fit
from suite.search.strategy import EXHAUSTED, Problem, Proposal, Signal, StrategyInfo, Trial
from suite.space import Configuration

Array = np.ndarray
FIRST: Final = 12  # results before there is a model
EVEN: Final = 32  # candidates from all over the space, and as many near the best
NEAR_SD: Final = 0.12
PARENTS: Final = 8
GROWTH: Final = 1.5  # the kernel is fitted anew whenever there are so many more results
MOST_FITTED: Final = 150  # results that it is fitted on
MOST_RESULTS: Final = 300  # of the latest and the best, that the model is made of
WORTHLESS: Final = 1e-2  # expected gain over all that is left, in standard deviations of the results


@dataclass(frozen=True)
class _Result:
    """row: the configuration, encoded. place: of the fidelity, from 0 to 1. joules: per unit of fidelity."""

    configuration: Configuration
    row: Array
    place: float
    loss: float
    joules: float


class CarbonAware:
    """Short trainings of what promises most per joule; the best third goes on."""

    info: ClassVar = StrategyInfo(
        name="carbon-aware",
        family="carbon-aware",
        summary="ASHA whose every other configuration is of the greatest expected improvement per joule",
        capabilities=frozenset({"conditional", "fidelity", "asynchronous"}),
        version="3",
        paper="after Li et al. 2020, A system for massively parallel hyperparameter tuning, arXiv:1810.05934; Swersky "
        "et al. 2014, Freeze-thaw Bayesian optimization, arXiv:1406.3896; Lee et al. 2020, Cost-aware Bayesian "
        "optimization, arXiv:2003.10870",
    )

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._encode, self._cube = Encoder(problem.space), Cube(problem.space)
        self._random = np.random.default_rng(problem.seed)
        self._sobol = qmc.Sobol(d=len(problem.space), scramble=True, rng=np.random.default_rng(problem.seed))
        self._ladder = Ladder(problem, self._new)
        self._ended = False
        self._drawn = 0
        self._results: list[_Result] = []
        self._left = problem.budget_joules
        self._kernel: Kernel | None = None
        self._fitted_to = 0

    def ask(self) -> Proposal | Signal:
        answer = EXHAUSTED if self._ended else self._ladder.ask()
        self._ended = answer is EXHAUSTED
        return answer

    def tell(self, trial: Trial) -> None:
        self._ladder.tell(trial)
        proposal = trial.proposal
        begun = self._ladder.proposals[proposal.parent].fidelity if proposal.parent else 0
        (row,) = self._encode([proposal.configuration])
        joules = max(trial.joules, 1e-9) / max(1, proposal.fidelity - begun)
        value = loss(trial, self._problem.goal)
        self._results.append(_Result(proposal.configuration, row, self._place(proposal.fidelity), value, joules))
        if trial.number > 0:  # trial 0 was given
            self._left -= trial.joules

    def _new(self) -> Configuration | None:
        """What to begin with next; None where nothing is worth it."""
        self._drawn += 1
        if self._drawn % 2 or len(self._results) < FIRST:
            return self._evenly(1)[0]
        return self._worthiest()

    def _worthiest(self) -> Configuration | None:
        """The candidate of the greatest expected improvement per joule."""
        scores = _normal_scores(np.array([result.loss for result in self._results]))
        best_first = np.argsort(scores, kind="stable")
        chosen = _remembered(best_first)
        rows = np.array([result.row for result in self._results])
        points = np.column_stack([rows, [result.place for result in self._results]])[chosen]
        targets = scores[chosen]
        if len(targets) >= GROWTH * self._fitted_to:
            self._kernel = fit(points, targets, self._kernel, iterations=20, most=MOST_FITTED)
            self._fitted_to = len(targets)
        assert self._kernel is not None  # fitted on the first results
        candidates = self._evenly(EVEN) + self._near(best_first[:PARENTS])
        at = self._encode(candidates)
        process = Process(self._kernel, points, targets[:, None])
        mean, deviation = process.posterior(np.column_stack([at, np.ones(len(at))]))
        known, _ = process.posterior(points)
        gain = expected_improvement(mean[:, 0], deviation[:, 0], float(known.min()))
        worth = gain / self._joules(rows, at)
        best = int(np.argmax(worth))
        trained_in_full = bool(self._ladder.results[-1])  # nobody knows before what that brings
        if trained_in_full and math.isfinite(self._left) and worth[best] * max(self._left, 0.0) < WORTHLESS:
            return None
        return candidates[best]

    def _evenly(self, count: int) -> list[Configuration]:
        return [self._cube.configuration(point) for point in self._sobol.random(count)]

    def _near(self, places: Array) -> list[Configuration]:
        """Configurations near those at ``places`` among the results."""
        found = []
        for n in range(EVEN):
            point = self._cube.point(self._results[int(places[n % len(places)])].configuration)
            moved = np.clip(point + self._random.normal(0.0, NEAR_SD, len(point)), 0.0, 1.0)
            redrawn = np.where(self._random.random(len(point)) < 0.1, self._random.random(len(point)), moved)
            keep = self._random.random(len(point)) < 0.6
            found.append(self._cube.configuration(np.where(keep, point, redrawn)))
        return found

    def _place(self, fidelity: int) -> float:
        """A fidelity on a logarithmic scale from 0 to 1."""
        given = self._problem.fidelity
        if given.maximum == given.minimum:
            return 1.0
        return math.log(fidelity / given.minimum) / math.log(given.maximum / given.minimum)

    def _joules(self, rows: Array, at: Array) -> Array:
        """Expected joules of full trainings of the configurations ``at``: a ridge regression of the logarithm per unit
        of fidelity over all results, ``rows``."""
        logs = np.log([result.joules for result in self._results])
        mean, centre = logs.mean(), rows.mean(0)
        moved = rows - centre
        slope = np.linalg.solve(moved.T @ moved + np.eye(moved.shape[1]), moved.T @ (logs - mean))
        return np.asarray(np.exp(mean + (at - centre) @ slope) * self._problem.fidelity.maximum)


def _normal_scores(losses: Array) -> Array:
    """Of their ranks: what is infinite is as bad as the worst."""
    finite = losses[np.isfinite(losses)]
    losses = np.where(np.isfinite(losses), losses, finite.max() if len(finite) else 0.0)
    return np.asarray(ndtri((rankdata(losses) - 0.5) / len(losses)))


def _remembered(best_first: Array) -> Array:
    """Which results the model is made of: all, or the best half and the latest half of so many."""
    if len(best_first) <= MOST_RESULTS:
        return np.arange(len(best_first))
    best = best_first[: MOST_RESULTS // 2]
    latest = np.setdiff1d(np.arange(len(best_first)), best)[-(MOST_RESULTS // 2) :]
    return np.sort(np.concatenate([best, latest]))


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """How far below ``best`` a normal value is expected to fall (Jones et al. 1998, equation 15)."""
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray(deviation * (z * ndtr(z) + density))
