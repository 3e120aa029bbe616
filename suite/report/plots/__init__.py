"""Pictures of a board, each as PNG, PDF and SVG: of all of it, of one task, of one strategy."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from matplotlib.figure import Figure

from suite.report import wording
from suite.report.plots import carbon, energy, fronts, ranking
from suite.report.plots.canvas import Picture, picture
from suite.score.board import Board
from suite.score.details import PROFILE_TARGET, Details

__all__ = ["Picture", "of_strategy", "of_task", "pictures"]

_PI: Final = "Pi with its interval, best on top, after the rank or the range of ranks that a strategy shares"
_S: Final = (
    "Normalised test performance of the incumbent (0: the default configuration, 1: best known) against the carbon "
    "charged so far, at the frozen reference; it ends at the budget, which is dotted."
)
_REGRET: Final = (
    "Normalised regret, 1 - s, of the incumbent on a logarithmic scale against the carbon charged so far. What is "
    f"below {carbon.LEAST_REGRET:g} is drawn there."
)
_ECDF: Final = (
    "Share of all (task, target, seed) that were reached for so much carbon: targets are s = 0.1, 0.2, ..., 0.9, and "
    "runs that are missing reach none."
)
_PROFILE: Final = (
    f"Share of runs that came to s = {PROFILE_TARGET:g} for at most so many times the carbon that random search needs "
    "on average; tasks weighted as in Pi. The further up and left, the better."
)
_FRONT: Final = (
    "Grey line: the best test performance that half of the runs of some strategy have attained by so much carbon, the "
    "Pareto front of performance and carbon; band: the same for 25 % and 75 % of the runs (empirical attainment). "
    "Large marks: strategies on the front; small ones: behind it."
)
_GAP: Final = (
    "How much more validation promised than test gave for the final incumbents, in units of a1 - a0: a mark a task, a "
    "bar at the median. Tasks whose validation and test are different quantities are left out."
)
_HEAT: Final = "pi of each strategy in each paradigm: 0 does nothing, 1/2 is random search, 1 the limit."
_IMPROVEMENT: Final = (
    "Probability that a run of the strategy in the row does better than one of that in the column, tasks weighted as "
    "in Pi. The page of details has all figures."
)
_CD: Final = (
    "Mean rank over tasks, 1 is best. Grey bars join strategies that Nemenyi's test at 5 % does not separate. It looks "
    "at ranks alone, not at seeds: the ranking rests on the intervals of Pi."
)
_ENERGY: Final = "Hatched: not charged to the strategy, since setup, test evaluations and resuming are off the clock. "


def pictures(board: Board, found: Details) -> Iterator[Picture]:
    """Every picture of the whole of ``board``, with its details ``found``. The same board gives the same bytes."""
    known, seeds = wording.energy_sentence(board.tier), carbon.seeds_sentence(board)
    drawn: Sequence[tuple[str, str, str, Callable[[Board], Figure]]] = (
        ("overview", "Overview", f"{_PI}; H beside it. {_S} {seeds} {known}", ranking.overview),
        ("ranking", "Ranking", f"{_PI}; beside it, the ranks. Dotted: random search. {known}", ranking.forest),
        ("regret", "Regret against carbon", f"{_REGRET} {seeds} {known}", carbon.regret),
        ("ecdf", "Targets reached", f"{_ECDF} {known}", carbon.ecdf),
        ("profile", "Profile against random search", _PROFILE, lambda board: fronts.profile(board, found)),
        ("front", "Pareto front", f"{_FRONT} {known}", fronts.front),
        ("paradigms", "Paradigms", f"{_HEAT} {known}", ranking.heat_map),
        ("improvement", "Pair by pair", f"{_IMPROVEMENT} {known}", ranking.improvement),
        ("gap", "Validation-test gap", _GAP, ranking.gap),
        ("energy", "Energy by phase", f"Energy of all runs of a strategy. {_ENERGY}{known}", energy.by_strategy),
        ("critical-difference", "Critical differences", f"{_CD} {known}", ranking.critical_difference),
    )
    for name, title, caption, draw in drawn:
        yield picture(name, title, caption, partial(draw, board))


def of_task(board: Board, task: str, name: str) -> Picture:
    """Performance and regret on ``task``, called ``name``."""
    caption = f"{_S} Below it, regret (1 - s). {carbon.seeds_sentence(board)} {wording.energy_sentence(board.tier)}"
    return picture(name, f"Performance on {task}", caption, lambda: carbon.task(board, task))


def of_strategy(board: Board, strategy: str, name: str) -> tuple[Picture, Picture]:
    """Every run of ``strategy`` and its energy by phase, both called after ``name``."""
    known = wording.energy_sentence(board.tier)
    runs = f"{carbon.runs_sentence(board, strategy)} {known}"
    by_phase = f"Energy of one run, mean over seeds, by task. {_ENERGY}{known}"
    return (
        picture(f"{name}-runs", f"Runs of {strategy}", runs, lambda: carbon.strategy(board, strategy)),
        picture(f"{name}-energy", f"Energy of {strategy}", by_phase, lambda: energy.of_strategy(board, strategy)),
    )
