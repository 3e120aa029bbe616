"""Pictures of a board, each as PNG, PDF and SVG: of all of it, of one task, of one strategy."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from matplotlib.figure import Figure

from suite.report import wording
from suite.report.plots import carbon, energy, ranking
from suite.report.plots.canvas import Picture, picture, task_label
from suite.score.board import Board

__all__ = ["Picture", "of_strategy", "of_task", "pictures"]

_PI: Final = "Pi with its interval, best on top, after the rank or the range of ranks that a strategy shares"
_S: Final = (
    "Normalised test performance of the incumbent (0: the default configuration, 1: best known) against the carbon "
    "charged so far, at the frozen reference; it ends at the budget, which is dotted."
)
_REGRET: Final = (
    "Normalised regret, 1 - s, of the incumbent on a logarithmic scale against the carbon charged so far. What is below "
    f"{carbon.LEAST_REGRET:g} is drawn there."
)
_ECDF: Final = (
    "Share of all (task, target, seed) that were reached for so much carbon: targets are s = .1, .2, ..., .9, and runs "
    "that are missing reach none."
)
_HEAT: Final = "pi of each strategy in each paradigm: 0 does nothing, 1/2 is random search, 1 the limit."
_IMPROVEMENT: Final = (
    "Probability that a run of the strategy in the row does better than one of that in the column, tasks weighted as in "
    "Pi. The table beside it has all figures."
)
_CD: Final = (
    "Mean rank over tasks, 1 is best. Grey bars join strategies that Nemenyi's test at 5 % does not separate. It looks "
    "at ranks alone, not at seeds: the ranking rests on the intervals of Pi."
)
_ENERGY: Final = (
    "Hatched: not charged to the strategy, since setup, test evaluations and resuming are off the clock. "
)


def pictures(board: Board) -> Iterator[Picture]:
    """Every picture of the whole of ``board``. The same board gives the same bytes."""
    known, seeds = wording.energy_sentence(board.tier), carbon.seeds_sentence(board)
    drawn: Sequence[tuple[str, str, str, Callable[[Board], Figure]]] = (
        ("overview", "Overview", f"{_PI}; H beside it. {_S} {seeds} {known}", ranking.overview),
        ("ranking", "Ranking", f"{_PI}; beside it, the ranks. Dotted: random search. {known}", ranking.forest),
        ("regret", "Regret against carbon", f"{_REGRET} {seeds} {known}", carbon.regret),
        ("ecdf", "Targets reached", f"{_ECDF} {known}", carbon.ecdf),
        ("paradigms", "Paradigms", f"{_HEAT} {known}", ranking.heat_map),
        ("improvement", "Pair by pair", f"{_IMPROVEMENT} {known}", ranking.improvement),
        ("energy", "Energy by phase", f"Energy of all runs of a strategy. {_ENERGY}{known}", energy.by_strategy),
        ("critical-difference", "Critical differences", f"{_CD} {known}", ranking.critical_difference),
    )
    for name, title, caption, draw in drawn:
        yield picture(name, title, caption, lambda draw=draw: draw(board))


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
