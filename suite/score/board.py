"""A board: runs with one budget, one tier and one kind of machine, scored and ranked. A pure function of trial logs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Final

import numpy as np

from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
from suite.energy.ledger import JOULES_PER_KWH
from suite.energy.uncertainty import total
from suite.runs.log import RunLog
from suite.score.admission import ScoreError, check_one_board, key, not_admitted
from suite.score.curve import NO_ERRORS, Curve, curve, kwh
from suite.score.efficiency import Array, against_reference, efficiency, headline, weights
from suite.score.errors import corners, factors_of, widened
from suite.score.ranks import TaskSeeds, Uncertainty, improvement, uncertainty
from suite.task import Constants, TaskSpec

FULL_BUDGET: Final = 40.0  # random trainings; frozen kappas hold for this one alone
RANDOM: Final = "random"
FEW_SEEDS: Final = 10
FULL_COVERAGE: Final = 0.999
HIGH: Final = 0.9  # of s: the target that the main table counts


@dataclass(frozen=True)
class Cell:
    """One strategy on one task, over its seeds. missing: seeds that others have and it has not.

    validation_gap: by how much more validation promised than test gave, both as gains over the default in units of
    a1 - a0, mean over runs that found something; None where nothing was found, or the two are different quantities.
    """

    task: str
    strategy: str
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    u: float
    kappa: float
    pi: float
    final_s: float
    test_median: float | None
    validation_gap: float | None
    kwh: float
    microjoules_by_phase: dict[str, int]
    lost_microjoules: int
    trials: int
    failed: int


@dataclass(frozen=True)
class Entry:
    """One strategy on the board. Energies (kWh) are sums over its runs; headline is None where it is not defined.

    pi_interval is over seeds, task_interval over seeds and over tasks within their paradigms. final_s: s at B, weighted
    as Pi. reached: how many of its runs came to s = .9, of ``runs`` and ``missing``. whole: all of its runs are there,
    have ended, and their segments sum to what the ledger counted.

    kwh: charged. kwh_total: all that was spent; kwh_interval: between which the truth of it lies, by the errors of the
    meters alone; kwh_net: without the power at rest, None where that was not measured; hours: the total by the hour
    since the epoch (UTC). seconds: that the runs took.
    """

    strategy: str
    family: str
    headline: float | None
    headline_interval: tuple[float, float] | None
    pi: float
    pi_interval: tuple[float, float] | None
    task_interval: tuple[float, float] | None
    pi_by_paradigm: dict[str, float]
    rank_interval: tuple[int, int]
    final_s: float
    reached: int
    missing: int
    whole: bool
    kwh: float
    kwh_total: float
    kwh_interval: tuple[float, float]
    kwh_net: float | None
    hours: dict[int, float]
    runs: int
    seconds: float


@dataclass(frozen=True)
class Board:
    """What a board says. Entries are sorted by Pi, best first; improvement[a, b] is the probability that a beats b."""

    entries: tuple[Entry, ...]
    cells: tuple[Cell, ...]
    curves: tuple[Curve, ...]
    tasks: tuple[str, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    tier: str
    budget_multiple: float
    reference: str
    improvement: dict[tuple[str, str], float]
    notes: tuple[str, ...]


def score(logs: Sequence[RunLog]) -> Board:
    """Score and rank the runs in ``logs``, in whatever order they come. Raises ``ScoreError``."""
    ranked = sorted((log for log in logs if log.header.role == "ranked"), key=key)
    check_one_board(ranked)
    runs = _Runs(ranked)
    matrices = [runs.matrix(task) for task in runs.tasks]
    cells = [cell for task, matrix in zip(runs.tasks, matrices, strict=True) for cell in runs.cells(task, matrix)]
    counts = weights(runs.tasks)
    intervals = _whatever_the_meters(ranked, uncertainty(matrices, counts), counts)
    beats = improvement(matrices, counts)
    names = runs.strategies
    entries = [_entry(runs, name, cells, intervals, m) for m, name in enumerate(names)]
    return Board(
        entries=tuple(sorted(entries, key=lambda entry: (-entry.pi, entry.strategy))),
        cells=tuple(cells),
        curves=tuple(runs.curves.values()),
        tasks=runs.tasks,
        strategies=names,
        seeds=tuple(sorted({log.header.seed for log in ranked})),
        tier=ranked[0].header.tier,
        budget_multiple=runs.multiple,
        reference="frozen" if runs.frozen else "local random search",
        improvement={(names[a], names[b]): probability for (a, b), probability in beats.items()},
        notes=tuple(_notes(runs, cells, intervals.pi_intervals)),
    )


def _whatever_the_meters(logs: Sequence[RunLog], found: Uncertainty, counts: Array) -> Uncertainty:
    """Intervals that hold whatever the errors of the meters are, within their priors."""
    others = []
    for factors in corners(logs):
        runs = _Runs(logs, factors)
        others.append(uncertainty([runs.matrix(task) for task in runs.tasks], counts))
    return widened(found, others)


class _Runs:
    """The runs of a board by task, strategy and seed. Tasks and strategies are in the order of their names.

    factors: errors of the meters by component, that the curves are corrected by.
    """

    def __init__(self, logs: Sequence[RunLog], factors: Mapping[str, float] = NO_ERRORS) -> None:
        self.logs = {key(log): log for log in logs}
        self.curves = {key: curve(log, factors) for key, log in self.logs.items()}
        self.tasks = tuple(sorted({task for task, _, _ in self.logs}))
        self.strategies = tuple(sorted({strategy for _, strategy, _ in self.logs}))
        self._by_cell: dict[tuple[str, str], dict[int, RunLog]] = defaultdict(dict)
        for (task, strategy, seed), log in self.logs.items():
            self._by_cell[task, strategy][seed] = log
        self._seeds = {
            task: sorted({seed for t, strategy in self._by_cell if t == task for seed in self._by_cell[t, strategy]})
            for task in self.tasks
        }
        self._specs = {task: log.header.task for (task, _, _), log in self.logs.items()}
        self.multiple = float(logs[0].header.budget.multiple or 0)
        constants = [self.constants(task) for task in self.tasks]
        self.provisional = any(each.provisional for each in constants)
        self.program = logs[0].header.program
        self.frozen = self.multiple == FULL_BUDGET and not self.provisional and not self.program
        if not self.frozen:
            self._check_reference()

    def of(self, task: str, strategy: str) -> dict[int, RunLog]:
        """The runs of ``strategy`` on ``task`` by seed."""
        return self._by_cell.get((task, strategy), {})

    def seeds(self, task: str) -> list[int]:
        return self._seeds[task]

    def spec(self, task: str) -> TaskSpec:
        return self._specs[task]

    def constants(self, task: str) -> Constants:
        constants = self.spec(task).constants
        assert constants is not None  # checked before
        return constants

    def budget_kg(self, task: str) -> float:
        """B_ref: the budget in kg of the reference grid and site, on the machine that the constants come from."""
        constants = self.constants(task)
        joules = self.multiple * constants.m_t * constants.default_joules
        return kg_co2e(joules / JOULES_PER_KWH, REFERENCE, REFERENCE_PUE)

    def matrix(self, task: str) -> TaskSeeds:
        """s(B) and D / B of every strategy with every seed of ``task``; a missing run stands at the worst s seen."""
        worst = min(0.0, *(min(each.s) for (t, _, _), each in self.curves.items() if t == task))
        final_s, areas = [], []
        for strategy in self.strategies:
            found = [self.curves.get((task, strategy, seed)) for seed in self.seeds(task)]
            final_s.append([each.final_s if each else worst for each in found])
            areas.append([each.area if each else 1 - worst for each in found])
        ran = np.array([bool(self.of(task, strategy)) for strategy in self.strategies])
        kappa = self.constants(task).kappa_t if self.frozen else None
        reference = None if self.frozen else self.strategies.index(RANDOM)
        return TaskSeeds(task, np.array(final_s), np.array(areas), ran, kappa, reference)

    def cells(self, task: str, matrix: TaskSeeds) -> list[Cell]:
        """One cell for each strategy that ran ``task``."""
        u = efficiency(matrix.final_s, matrix.areas)
        kappa = matrix.kappa if matrix.reference is None else float(u[matrix.reference])
        assert kappa is not None
        pi = against_reference(u, np.asarray(kappa))
        return [
            self._cell(task, strategy, float(u[m]), kappa, float(pi[m]), matrix.final_s[m])
            for m, strategy in enumerate(self.strategies)
            if matrix.ran[m]
        ]

    def _cell(self, task: str, strategy: str, u: float, kappa: float, pi: float, final_s: Array) -> Cell:
        logs = self.of(task, strategy)
        trials = [trial for log in logs.values() for trial in log.trials if not trial.returned]
        a0 = self.constants(task).a0
        tests = [self.curves[task, strategy, seed].test[-1] for seed in logs]
        phases: dict[str, int] = defaultdict(int)
        for log in logs.values():
            for phase, microjoules in log.microjoules_by_phase().items():
                phases[phase] += microjoules
        return Cell(
            task=task,
            strategy=strategy,
            seeds=tuple(logs),
            missing=tuple(seed for seed in self.seeds(task) if seed not in logs),
            u=u,
            kappa=kappa,
            pi=pi,
            final_s=float(final_s.mean()),
            test_median=median(a0 if test is None else test for test in tests),
            validation_gap=self._gap(task, strategy),
            kwh=mean(kwh(log.charged_microjoules) for log in logs.values()),
            microjoules_by_phase=dict(phases),
            lost_microjoules=sum(log.lost_microjoules for log in logs.values()),
            trials=len(trials),
            failed=sum(trial.status == "failed" for trial in trials),
        )

    def _gap(self, task: str, strategy: str) -> float | None:
        spec = self.spec(task)
        a0, a1 = self.constants(task).a0, self.constants(task).a1
        own = [self.curves[task, strategy, seed] for seed in self.of(task, strategy)]
        gains = [
            (each.validation[-1] - each.validation[0] - (each.test[-1] - a0)) / (a1 - a0)
            for each in own
            if each.test[-1] is not None
        ]
        return mean(gains) if gains and spec.validation.is_the_quantity_of(spec.test) else None

    def _check_reference(self) -> None:
        for task in self.tasks:
            if not self.of(task, RANDOM):
                why = "while constants are provisional" if self.provisional else f"at a budget of {self.multiple:g}"
                why = "on a program board" if self.program else why
                raise ScoreError(
                    f"task {task} has no runs of random search, which stands in for the frozen reference {why}: "
                    "run it with `--strategy random` and the same seeds"
                )


def _entry(runs: _Runs, name: str, cells: Sequence[Cell], intervals: Uncertainty, number: int) -> Entry:
    """The entry of the strategy called ``name``, the ``number``-th in ``intervals``."""
    interval = intervals.pi_intervals[number]
    own_cells = {cell.task: cell for cell in cells if cell.strategy == name}
    pi_of = {task: cell.pi for task, cell in own_cells.items()}
    kappas = {cell.task: cell.kappa for cell in cells}
    paradigms: dict[str, list[float]] = defaultdict(list)
    for task in runs.tasks:
        paradigms[task.split("/")[0]].append(pi_of.get(task, 0.0))
    by_paradigm = {paradigm: mean(values) for paradigm, values in paradigms.items()}

    def to_headline(pi: float) -> float | None:
        return headline(pi, [kappas[task] for task in runs.tasks], [runs.budget_kg(task) for task in runs.tasks])

    pi = mean(by_paradigm.values())
    ends = [to_headline(end) for end in interval] if interval else [None, None]
    own = [log for (_, strategy, _), log in runs.logs.items() if strategy == name]
    missing = sum(len(runs.seeds(task)) for task in runs.tasks) - len(own)
    return Entry(
        strategy=name,
        family=str(own[0].header.strategy.get("family", "")),
        headline=to_headline(pi),
        headline_interval=(ends[0], ends[1]) if ends[0] is not None and ends[1] is not None else None,
        pi=pi,
        pi_interval=interval,
        task_interval=intervals.task_intervals[number],
        pi_by_paradigm=by_paradigm,
        rank_interval=intervals.rank_intervals[number],
        final_s=_mean_s(runs.tasks, own_cells),
        reached=sum(max(each.s) >= HIGH for (_, strategy, _), each in runs.curves.items() if strategy == name),
        missing=missing,
        whole=not missing and all(_is_whole(log) for log in own),
        kwh=sum(kwh(log.charged_microjoules) for log in own),
        kwh_total=sum(kwh(log.total_microjoules) for log in own),
        kwh_interval=_interval(own),
        kwh_net=_net(own),
        hours=_hours(own),
        runs=len(own),
        seconds=sum(log.elapsed_ns for log in own) / 1e9,
    )


def _mean_s(tasks: Sequence[str], cells: Mapping[str, Cell]) -> float:
    """s at B as Pi weighs tasks; 0, as of doing nothing, where the strategy did not run."""
    final = [cells[task].final_s if task in cells else 0.0 for task in tasks]
    return float(np.dot(weights(tasks), final))


def _is_whole(log: RunLog) -> bool:
    return log.ended is not None and not log.torn and log.total_microjoules == log.recorded_total_microjoules


def _interval(logs: Sequence[RunLog]) -> tuple[float, float]:
    spent = total(energy for log in logs for energy in log.energy().values())
    return kwh(spent.low), kwh(spent.high)


def _net(logs: Sequence[RunLog]) -> float | None:
    nets = [log.net_microjoules() for log in logs]
    return None if None in nets else sum(kwh(net) for net in nets if net is not None)


def _hours(logs: Sequence[RunLog]) -> dict[int, float]:
    """kWh by the hour since the epoch."""
    hours: dict[int, float] = defaultdict(float)
    for log in logs:
        for hour, microjoules in log.hours.items():
            hours[hour] += kwh(microjoules)
    return dict(sorted(hours.items()))


def _notes(runs: _Runs, cells: Sequence[Cell], intervals: Iterable[object]) -> list[str]:
    """Plain sentences that the table must carry."""
    notes = []
    if runs.multiple != FULL_BUDGET:
        trainings = "training" if runs.multiple == 1 else "trainings"
        notes.append(
            f"The budget is {runs.multiple:g} random {trainings} a run; a ranked board has {FULL_BUDGET:g}. "
            "Orders at small budgets can differ from those at the full one."
        )
    if runs.program:
        notes.append(
            "A program board: all search the space that is declared for gradient-based programs, which is another one "
            "than on black-box boards; budgets and anchors are the tasks' own."
        )
    provisional = [task for task in runs.tasks if runs.constants(task).provisional]
    if provisional:
        notes.append(f"The constants of {', '.join(provisional)} are provisional: measured with few seeds.")
    for task in runs.tasks:
        if not runs.constants(task).provisional and (why := not_admitted(runs.spec(task))):
            notes.append(f"{task} is not of the ranked set: {why}.")
    if not runs.frozen:
        notes.append("The runs of random search on this board stand in for the frozen reference: its pi is 1/2.")
    seeds = min(len(runs.seeds(task)) for task in runs.tasks)
    if any(interval is None for interval in intervals):
        notes.append("With one seed there are no intervals, and nobody is separated from anybody.")
    elif seeds < FEW_SEEDS:
        notes.append(f"With {seeds} seeds the intervals are rough; a ranked board has at least {FEW_SEEDS}.")
    no_gain = [cell.task for cell in cells if cell.strategy == RANDOM and cell.kappa == 0]
    if no_gain:
        notes.append(f"Random search gained nothing on {', '.join(no_gain)}: H is not defined.")
    for cell in cells:
        if cell.missing:
            listed = ", ".join(map(str, cell.missing))
            notes.append(
                f"{cell.strategy} has no run on {cell.task} with seed {listed}, which counts the worst s seen."
            )
    return notes + _partial(runs, cells) + _unfinished(runs) + _metering(list(runs.logs.values()))


def _partial(runs: _Runs, cells: Sequence[Cell]) -> list[str]:
    """Strategies that did not run all tasks, and how all compare on the tasks that all of them ran."""
    ran = {name: {cell.task for cell in cells if cell.strategy == name} for name in runs.strategies}
    notes = [
        f"{name} did not run {', '.join(sorted(set(runs.tasks) - tasks))}, which counts pi = 0 there."
        for name, tasks in ran.items()
        if tasks != set(runs.tasks)
    ]
    common = sorted(set.intersection(*ran.values()))
    if notes and common:
        pi = {(cell.task, cell.strategy): cell.pi for cell in cells}
        counts = weights(common)
        means = {
            name: sum(w * pi[task, name] for w, task in zip(counts, common, strict=True)) for name in runs.strategies
        }
        order = sorted(means, key=lambda name: -means[name])
        notes.append(
            f"Pi on {', '.join(common)} alone: " + ", ".join(f"{name} {means[name]:.3f}" for name in order) + "."
        )
    return notes


def _unfinished(runs: _Runs) -> list[str]:
    notes = []
    for (task, strategy, seed), log in runs.logs.items():
        if log.ended is None:
            notes.append(f"{strategy} on {task} with seed {seed} has not ended: it is scored as it stands.")
        if log.thinking_microjoules:
            notes.append(
                f"{strategy} on {task} with seed {seed} is a person: {log.thinking_microjoules / 1e6:.4g} J of its "
                "charge are declared thinking time at the machine's power at rest (estimated)."
            )
        if log.torn:
            notes.append(f"{log.path} ends in {log.torn} bytes of an unfinished record, which were left out.")
    return notes


def _metering(logs: Sequence[RunLog]) -> list[str]:
    """What the counters did not see, and what their errors mean for the ranks."""
    notes = []
    if any(corners(logs)):
        errors = " and ".join(f"{part} within a factor of {factor:g}" for part, factor in factors_of(logs).items())
        notes.append(f"Energy is known of {errors}: who is separated is so whatever these errors are.")
    coverages = [log.coverage() for log in logs]
    for component in dict.fromkeys(part for coverage in coverages for part in coverage):
        covered = [coverage[component] for coverage in coverages if component in coverage]
        if min(covered) < FULL_COVERAGE:
            notes.append(
                f"The {component} was read for {min(covered):.1%} of the time only in one run, and for "
                f"{mean(covered):.1%} on average: what is missing is in the intervals of energy."
            )
    asleep = sum(log.suspended_ns > 0 for log in logs)
    if asleep:
        notes.append(f"The machine was suspended during {asleep} of {len(logs)} runs.")
    if any("gpu" in log.header.unmetered and log.header.device.startswith("cuda") for log in logs):
        notes.append("Trainings ran on a GPU, and its energy is not in these figures: nothing metered it.")
    return notes
