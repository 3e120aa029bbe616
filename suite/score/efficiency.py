"""From curves to figures of merit: u, pi, Pi and the headline H (docs/scoring.md, sections 2 and 3).

Arrays have the axes that the docstrings name; leading ones may be methods or resamples.
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def efficiency(final_s: Array, areas: Array) -> Array:
    """u = eta * B = max(0, sum of s(B)) / sum of D / B, over the last axis, that is over seeds. Without unit."""
    reached: Array = np.maximum(0.0, np.sum(final_s, axis=-1))
    return np.asarray(reached / np.sum(areas, axis=-1))


def against_reference(u: Array, kappa: Array) -> Array:
    """pi = u / (u + kappa): 0 for doing nothing, 1/2 for random search, 1 in the limit; 1/2 where both are 0."""
    total = np.asarray(u + kappa, dtype=float)
    return np.asarray(np.divide(u, total, out=np.full(total.shape, 0.5), where=total > 0))


def weights(tasks: Sequence[str]) -> Array:
    """What each task counts in Pi: paradigms count alike, and tasks alike within a paradigm. They sum to 1."""
    paradigms = [task.split("/")[0] for task in tasks]
    return np.array([1 / (len(set(paradigms)) * paradigms.count(paradigm)) for paradigm in paradigms])


def headline(pi: float, kappa: Sequence[float], budget_kg: Sequence[float]) -> float | None:
    """H = Pi / (1 - Pi) * exp(mean over tasks of ln(kappa_t / B_ref,t)), in 1/kg. None where it is not defined."""
    if pi >= 1 or any(value <= 0 for value in kappa):
        return None
    factor = float(np.exp(np.mean(np.log(np.array(kappa) / np.array(budget_kg)))))
    return pi / (1 - pi) * factor
