"""Functions of a configuration and a fidelity from 1 to 27, whose short trainings mislead; to be minimised.

They need numpy and ConfigSpace only, so that libraries which are installed elsewhere can be searched on them too.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ConfigSpace import Categorical, ConfigurationSpace, Float

MINIMUM, MAXIMUM = 1, 27
TOTAL = 2500  # fidelity that a search may use, each training from the beginning

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Synthetic:
    """value: what a training to a fidelity comes to, with noise from the generator. regret: how far a configuration is
    from the best, without noise, when trained in full."""

    space: Callable[[], ConfigurationSpace]
    value: Callable[[Point, float, np.random.Generator], float]
    regret: Callable[[Point], float]


def numbers(count: int) -> ConfigurationSpace:
    space = ConfigurationSpace()
    space.add([Float(f"x{place}", (0.0, 1.0), default=0.5) for place in range(count)])
    return space


def coins() -> ConfigurationSpace:
    space = numbers(4)
    space.add([Categorical(f"c{place}", [0, 1], default=0) for place in range(4)])
    return space


def coordinates(point: Point, count: int) -> np.ndarray:
    return np.array([float(point[f"x{place}"]) for place in range(count)])


def branin(point: Point, short: float) -> float:
    """Branin with a bias of fidelity ("augmented": Wu et al. 2020, arXiv:1903.04703); ``short`` is 0 in full."""
    x, y = coordinates(point, 2) * 15.0 - np.array([5.0, 0.0])
    bend = 5.1 / (4 * math.pi**2) - 0.1 * short
    return float((y - bend * x**2 + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(point: Point, short: float) -> float:
    """Hartmann in six dimensions with a bias of fidelity, as above."""
    weights = np.array([1.0 - 0.1 * short, 1.2, 3.0, 3.2])
    squares = (HARTMANN_A * (coordinates(point, 6) - HARTMANN_P) ** 2).sum(1)
    return float(-weights @ np.exp(-squares))


def ones(point: Point) -> float:
    """Counting ones (Falkner et al. 2018, section 5.1), here of four choices and four chances."""
    return -sum(float(point[f"c{place}"]) for place in range(4)) - float(coordinates(point, 4).sum())


def counted(point: Point, fidelity: float, random: np.random.Generator) -> float:
    """Each chance is estimated by 27 draws a unit of fidelity."""
    draws = round(27 * fidelity)
    chances = random.binomial(draws, coordinates(point, 4)) / draws
    return -sum(float(point[f"c{place}"]) for place in range(4)) - float(chances.sum())


def shortness(fidelity: float) -> float:
    return 1 - fidelity / MAXIMUM


FUNCTIONS: Mapping[str, Synthetic] = {
    "branin": Synthetic(
        lambda: numbers(2),
        lambda point, fidelity, random: branin(point, shortness(fidelity)) + random.normal(0.0, 0.1),
        lambda point: branin(point, 0.0) - 0.39788735772973816,
    ),
    "hartmann6": Synthetic(
        lambda: numbers(6),
        lambda point, fidelity, random: hartmann(point, shortness(fidelity)) + random.normal(0.0, 0.01),
        lambda point: hartmann(point, 0.0) + 3.32236801141551,
    ),
    "counting-ones": Synthetic(coins, counted, lambda point: 8.0 + ones(point)),
}


def final_regret(
    function: Synthetic, seed: int, ask: Callable[[], tuple[Point, float]], tell: Callable[[float], None]
) -> float:
    """Regret of the best of the full trainings, by their noisy values, once ``TOTAL`` is used up."""
    random = np.random.default_rng([seed, 1])
    best, incumbent, spent = math.inf, None, 0.0
    while True:
        point, fidelity = ask()
        spent += fidelity
        if spent > TOTAL:
            assert incumbent is not None, "no training was a full one"
            return function.regret(incumbent)
        found = function.value(point, fidelity, random)
        if fidelity == MAXIMUM and found < best:
            best, incumbent = found, point
        tell(found)
