"""Progress of a board on a terminal: runs, energy and kg so far. Quiet where there is no terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from suite.energy.carbon import Grid, kg_co2e
from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.jobs import Job, Result


class BoardProgress:
    """A ``Listener`` with one bar for the board and one for each run in hand."""

    def __init__(self, label: str, runs: int, grid: Grid, pue: float) -> None:
        self._grid, self._pue = grid, pue
        self._microjoules: dict[str, int] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not Console(stderr=True).is_terminal,
        )
        self._board = self._progress.add_task(label, total=runs, detail="")
        self._show()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def microjoules(self) -> int:
        """All energy that the runs heard of took, charged or not."""
        return sum(self._microjoules.values())

    def started(self, job: Job) -> None:
        limit = job.plan.budget.microjoules
        self._bars[job.name] = self._progress.add_task(f"  {job.name}", total=limit, detail="set-up")

    def advanced(self, job: Job, charged_microjoules: int, spent_microjoules: int) -> None:
        self._microjoules[job.name] = spent_microjoules
        self._progress.update(
            self._bars[job.name], completed=charged_microjoules, detail=self._energy(spent_microjoules)
        )
        self._show()

    def ended(self, result: Result) -> None:
        if result.job.name in self._bars:  # else it had ended before
            self._progress.remove_task(self._bars.pop(result.job.name))
        self._progress.advance(self._board)

    def _show(self) -> None:
        self._progress.update(self._board, detail=self._energy(self.microjoules))

    def _energy(self, microjoules: int) -> str:
        kwh = microjoules / 1e6 / JOULES_PER_KWH
        return f"{kwh * 1000:.3g} Wh, {kg_co2e(kwh, self._grid, self._pue) * 1000:.3g} g CO2e"
