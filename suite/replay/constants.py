"""A task's constants from its recorded table (docs/scoring.md, section 1)."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from suite.replay.recorded import Recorded
from suite.replay.session import Loaded
from suite.score.constants import BUDGET, Made, curve_of, mean_efficiency, measured_on
from suite.search.baselines import Random
from suite.search.strategy import Problem
from suite.space import canonical, training_seed
from suite.task import Constants, TaskSpec

SEARCHES: Final = 200  # replayed random searches that kappa is measured with
DRAWN_AT_ONCE: Final = 32


def recorded_constants(table: Loaded, provisional: bool = False) -> Constants:
    """Anchors are medians over all seeds of the default and of the other configuration with the most seeds, which is
    the best. m_t is over the Sobol configurations, each with one validation; kappa is of random searches replayed.

    Raises ``ValueError`` where the default or the best failed under a seed.
    """
    spec, recorded = table.spec, table.recorded
    trainings = _trainings(table.rows)
    default = trainings[trainings["configuration"] == canonical(spec.default)]
    seeds = trainings.groupby("configuration", sort=False).size().drop(canonical(spec.default))
    best = trainings[trainings["configuration"] == seeds.index[int(np.argmax(seeds))]]
    for each in (default, best):
        if each["test"].isna().any():
            raise ValueError(
                f"{spec.name}: {each['configuration'].iloc[0]} fails under some seeds: no anchor rests on it"
            )
    pool = trainings[(trainings["origin"] == "sobol") & (trainings["seed"] == 0)]
    joules = float(default["microjoules"].mean()) / 1e6
    m_t = float(pool["microjoules"].mean()) / 1e6 / joules
    a0, a1, v0 = (float(values.median()) for values in (default["test"], best["test"], default["validation"]))
    return Constants(
        a0=a0,
        a1=a1,
        v0=v0,
        m_t=m_t,
        kappa_t=random_search(spec, recorded, a0, a1, v0, BUDGET * m_t * joules * 1e6),
        sigma_seed=float(default["test"].std()),
        default_joules=joules,
        default_cpu_seconds=float(default["cpu_ns"].mean()) / 1e9,
        longest_over_default=float(pool["microjoules"].max()) / 1e6 / joules,
        median_test=float(pool["test"].median()),
        failed_configurations=int(pool["test"].isna().sum()),
        seeds=len(default),
        configurations=len(pool),
        provisional=provisional,
        tier=table.facts.tier,
        measured_on=measured_on(table.facts.machine),
    )


def _trainings(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a training: its last values, and what it would have taken with one validation, at its end."""
    grouped = rows.groupby(["configuration", "seed"], sort=False)
    found = grouped.last().reset_index()  # the last that is not missing
    ended = grouped["validation"].apply(lambda values: bool(values.notna().iloc[-1])).to_numpy()
    found.loc[~ended, ["validation", "test"]] = np.nan
    for unit in ("microjoules", "cpu_ns"):
        validations = grouped[f"validate_{unit}"].mean().to_numpy() * ended
        found[unit] = grouped[f"train_{unit}"].sum().to_numpy() + validations
    return found


def random_search(spec: TaskSpec, recorded: Recorded, a0: float, a1: float, v0: float, budget: float) -> float:
    """u of random search over ``SEARCHES`` seeds, replayed without a log."""
    return mean_efficiency(
        [curve_of(spec, _drawn(spec, recorded, seed), a0, a1, v0, budget) for seed in range(SEARCHES)]
    )


def _drawn(spec: TaskSpec, recorded: Recorded, seed: int) -> Iterator[Made]:
    """Full trainings of the configurations that random search asks for, which never ends."""
    strategy = Random(Problem(spec.space, spec.default, spec.fidelity, spec.validation.goal, seed, float("inf")))
    last = spec.fidelity.maximum
    while True:
        asked = [strategy.ask().configuration for _ in range(DRAWN_AT_ONCE)]
        answers = recorded.look_up(asked, [training_seed(seed, each) for each in asked], last)
        for n, (train, validate, _) in enumerate(recorded.energies(asked)):
            if answers.reached[n] < len(recorded.levels):
                failed = recorded.energy(asked[n], 0, int(recorded.levels[answers.reached[n]]))
                yield Made(failed.train_microjoules, None, None)
            else:
                yield Made(train + validate, float(answers.validation[n]), float(answers.test[n]))
