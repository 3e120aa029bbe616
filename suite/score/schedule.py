"""Searches on a grid whose carbon intensity changes by the hour: what pausing and shifting them is worth.

A strategy does not see the clock, so that a run is the same work whenever it is made: a policy says in which hours it
goes on, and the work's energy falls into these. Policies after Wiesner et al. 2021, Let's wait awhile, Middleware '21:
"later" and "pause" know the intensities until the deadline, "wait" knows those of the past day. Pure functions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.log import RunLog
from suite.score.curve import curve

PAST: Final = 24  # hours that "wait" looks back on
STARTS: Final = 48  # hours that a run is begun at, evenly over the trace

Array = np.ndarray


class ScheduleError(ValueError):
    """Runs and trace do not go together; the message says what to do."""


class Work(NamedTuple):
    """A run as work to be done: the energy used (kWh) by the hours that it has been going on. Both rise from 0."""

    hours: Array
    kwh: Array

    @property
    def length(self) -> float:
        return float(self.hours[-1])


@dataclass(frozen=True)
class Outcome:
    """Of a strategy under a policy, means over its runs and over when they begin.

    s: test performance at the end. kg_co2e: of one run. of_at_once: that over what the same runs emit at once. hours:
    from begin to end, pauses included.
    """

    strategy: str
    policy: str
    s: float
    kg_co2e: float
    of_at_once: float
    hours: float
    runs: int

    @property
    def s_per_kg(self) -> float:
        return self.s / self.kg_co2e if self.kg_co2e else math.inf


def work_of(log: RunLog, stretch: float) -> Work:
    """The run, ``stretch`` times as long and dear, as a larger task of the same kind would be."""
    seconds = np.cumsum([0.0, *(trial.seconds for trial in log.trials)]) / max(1, log.header.workers)
    charged = np.array([0, *(trial.charged_microjoules for trial in log.trials)], float)
    if not seconds[-1] > 0:
        raise ScheduleError(f"{log.path}: a run without trials cannot be scheduled")
    whole = charged * (log.charged_microjoules / charged[-1])  # what came after the last trial goes with all
    return Work(seconds * stretch / 3600, whole * stretch / 1e6 / JOULES_PER_KWH)


def at_once(ahead: Array, past: Array, length: float) -> Array:
    """Begin now, never pause."""
    return _from(0, length)


def later(ahead: Array, past: Array, length: float) -> Array:
    """Begin at the hour for which the mean over the run is least, never pause."""
    whole = _from(0, length)
    means = [float(whole @ ahead[start : start + len(whole)]) for start in range(len(ahead) - len(whole) + 1)]
    return _from(int(np.argmin(means)), length)


def pause(ahead: Array, past: Array, length: float) -> Array:
    """Go on in the cleanest hours before the deadline, as many as it takes."""
    going, left = np.zeros(len(ahead)), length
    for hour in np.argsort(ahead, kind="stable"):
        going[hour] = min(1.0, left)
        left -= going[hour]
        if left <= 0:
            break
    return np.trim_zeros(going, "b")


def wait(ahead: Array, past: Array, length: float) -> Array:
    """Go on in hours below the median of the day before, and in all once there is no more time to lose."""
    seen, going, left = list(past[-PAST:]), [], length
    for hour, intensity in enumerate(ahead):
        pressed = len(ahead) - hour - 1 < left  # later hours would not do
        going.append(min(1.0, left) if pressed or intensity <= np.median(seen[-PAST:]) else 0.0)
        left -= going[-1]
        seen.append(intensity)
        if left <= 1e-9:
            break
    return np.array(going)


Policy = Callable[[Array, Array, float], Array]
#: By name. A policy is given the intensities of the hours until the deadline, those of the hours before, and how many
#: hours the run takes; it answers with the share of each hour in which the run goes on.
POLICIES: Final[Mapping[str, Policy]] = {"at once": at_once, "later": later, "pause": pause, "wait": wait}


def emissions(work: Work, going: Array, intensities: Array, idle_watts: float) -> float:
    """kg CO2e of ``work`` that goes on for shares ``going`` of hours with ``intensities`` (kg/kWh); in the rest of the
    hours until its end the machine idles."""
    done = np.concatenate([[0.0], np.cumsum(going)])
    kwh = np.diff(np.interp(done, work.hours, work.kwh))
    idle_hours = 1.0 - going
    idle_hours[-1] = 0.0  # it has ended
    return float((kwh + idle_hours * idle_watts / 1000) @ intensities[: len(going)])


def schedule(
    logs: Sequence[RunLog], intensities: Sequence[float], within_hours: float, stretch: float, idle_watts: float = 0.0
) -> list[Outcome]:
    """Every strategy under every policy, the best performance per kg first.

    intensities: kg CO2e per kWh, hour after hour. within_hours: how much later than at once a run may end. Raises
    ``ScheduleError`` where the trace is too short for the longest run with a day before it, or strategies were not run
    on the same tasks and seeds. What trained nothing, as the default does, is left out.
    """
    idle = {str(log.header.strategy["name"]) for log in logs if not any(trial.seconds for trial in log.trials)}
    logs = [log for log in logs if str(log.header.strategy["name"]) not in idle] or list(logs)
    _require_alike(logs)
    trace = np.asarray(intensities, float)
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for log in logs:
        work, strategy, s = work_of(log, stretch), str(log.header.strategy["name"]), curve(log).final_s
        for start, horizon in _starts(work, len(trace), within_hours):
            ahead, past = trace[start : start + horizon], trace[start - PAST : start]
            for name, policy in POLICIES.items():
                going = policy(ahead, past, work.length)
                kg, hours = emissions(work, going, ahead, idle_watts), len(going) - 1 + float(going[-1])
                found.setdefault((strategy, name), []).append((s, kg, hours))
    means = {key: np.mean(rows, axis=0) for key, rows in found.items()}
    outcomes = []
    for (strategy, policy_name), (s, kg, hours) in means.items():
        at_once_kg = float(means[strategy, "at once"][1])
        share = float(kg) / at_once_kg if at_once_kg else 1.0
        runs = sum(str(log.header.strategy["name"]) == strategy for log in logs)
        outcomes.append(Outcome(strategy, policy_name, float(s), float(kg), share, float(hours), runs))
    return sorted(outcomes, key=lambda outcome: -outcome.s_per_kg)


def _require_alike(logs: Sequence[RunLog]) -> None:
    """Means over different tasks or seeds say nothing of strategies."""
    made: dict[str, set[tuple[str, int]]] = {}
    for log in logs:
        made.setdefault(str(log.header.strategy["name"]), set()).add((log.header.task.name, log.header.seed))
    everything = set().union(*made.values())
    for strategy, runs in made.items():
        for task, seed in sorted(everything - runs)[:1]:
            raise ScheduleError(
                f"strategies are compared on the same tasks and seeds: {strategy} has no run on {task} with seed {seed}"
            )


def _starts(work: Work, hours: int, within_hours: float) -> list[tuple[int, int]]:
    """Hours to begin at, each with the hours until the deadline."""
    horizon = int(np.ceil(work.length + within_hours - 1e-9))
    last = hours - horizon
    if last < PAST:
        raise ScheduleError(
            f"the trace has {hours} hours; {PAST} before a run, {work.length:.1f} that the longest takes and "
            f"{within_hours:g} to shift it within are {PAST + horizon}: give a longer trace, or a smaller --stretch"
        )
    starts = np.unique(np.linspace(PAST, last, STARTS).round().astype(int))
    return [(int(start), horizon) for start in starts]


def _from(start: int, length: float) -> Array:
    """Going on without a pause from the hour ``start`` on."""
    full = int(np.ceil(length - 1e-9))
    going = np.concatenate([np.zeros(start), np.ones(full)])
    going[-1] = length - (full - 1)
    return going
