"""A person's run: what is told is trained and charged as any strategy's proposals are, over days.

The run's log is the record: each session replays what was told, takes what is new, and leaves the run open.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from suite.catalog import PERSON, task_spec
from suite.energy.carbon import REFERENCE, REFERENCE_PUE, kg_co2e
from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.board import Board
from suite.runs.log import LOG_NAME, RunLog, TrialEnd, read_log, read_records
from suite.runs.memory import RunError, Trials
from suite.runs.plan import ByHand
from suite.runs.processes import Listener, Result
from suite.runs.session import BUSY, UNUSABLE
from suite.runs.trial import Outcome
from suite.score.curve import incumbents
from suite.search.baselines import sample, seeded
from suite.search.person import Person
from suite.search.strategy import Proposal
from suite.space import Configuration, canonical
from suite.task import TaskSpec

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class ManualError(ValueError):
    """A request that a person's run cannot follow; the message says why, and nothing was changed."""


class SessionFailed(RuntimeError):
    """A session that came to no end of its own; what its log holds is kept."""


def called(name: str | None) -> str:
    """What a person's run is called on a board, and its folder. Raises ``ManualError``."""
    if name is not None and not _NAME.fullmatch(name):
        raise ManualError(f"a name is made of letters, digits, - and _, got {name!r}")
    return PERSON if name is None else f"{PERSON}-{name}"


def start(board: Board, task: str, name: str | None, seed: int, calibrating: Listener, listener: Listener) -> "Run":
    """Begin a run on ``task``, of which nothing is asked yet. Raises ``ManualError`` and ``SessionFailed``."""
    strategy = called(name)
    directory = board.directory_of(task, strategy, seed)
    if (directory / LOG_NAME).exists() and read_records(directory / LOG_NAME)[0]:
        raise ManualError(f"{directory}: this run has been started; go on with `carbon-suite manual tell`")
    for result in board.calibrate([task], calibrating):
        _check(result)
    _check(board.by_hand(task, seed, ByHand(strategy), listener))
    return Run(board.directory, task, strategy, seed, read_log(directory))


@dataclass(frozen=True)
class Run:
    """A person's run, as its log says that it stands. task: as it was given; strategy: what the run is called."""

    board: Path
    task: str
    strategy: str
    seed: int
    log: RunLog

    @classmethod
    def find(cls, board: Path, task: str, name: str | None, seed: int | None) -> Self:
        """The person's run on ``task`` below ``board``; of several, that of ``name`` and ``seed``.

        Raises ``ManualError``, ``CatalogError`` and ``LogError``.
        """
        wanted = None if name is None else called(name)
        found = [
            (strategy, number, path)
            for strategy, number, path in _runs(board / "runs" / task_spec(task).name)
            if wanted in (None, strategy) and seed in (None, number)
        ]
        if not found:
            which = "".join([f" called {name}" if name else "", f" with seed {seed}" if seed is not None else ""])
            raise ManualError(
                f"{board}: there is no run by hand on {task}{which}; "
                f"start one with `carbon-suite manual start {task} --out {board}`"
            )
        if len(found) > 1:
            listed = ", ".join(f"{strategy} with seed {number}" for strategy, number, _ in found)
            raise ManualError(f"{board} holds several runs by hand on {task} ({listed}): choose by --name and --seed")
        ((strategy, number, path),) = found
        return cls(board, task, strategy, number, read_log(path))

    @property
    def spec(self) -> TaskSpec:
        return self.log.header.task

    @property
    def left_microjoules(self) -> int:
        return max(0, (self.log.header.budget.microjoules or 0) - self.log.charged_microjoules)

    @property
    def fidelities(self) -> str:
        """What may be asked for, in words."""
        allowed = self.spec.fidelity
        steps = f" in steps of {allowed.step}" if allowed.step > 1 else ""
        return f"from {allowed.minimum} to {allowed.maximum} {allowed.unit}{steps}"

    @property
    def rest_watts(self) -> float:
        """Power of the machine at rest, about: what thinking is charged."""
        return sum(self.log.rest_watts.values())

    def incumbent(self) -> TrialEnd | None:
        """The best trial by validation, as the score sees it; None while that is trial 0."""
        budget = self.log.header.budget
        assert budget.v0 is not None  # of every run with a trial 0
        charges = [float(end.charged_microjoules) for end in self.log.trials]
        found = incumbents(self.log.trials, charges, self.spec.validation, budget.v0, budget.microjoules or 0)
        return found[-1][0] if found else None

    def best(self) -> Configuration:
        """The incumbent's configuration."""
        incumbent = self.incumbent()
        return incumbent.proposal.configuration if incumbent else self.spec.default

    def draw(self) -> Configuration:
        """A random configuration: another one after each tell."""
        return sample(seeded(self.spec.space, 1000 * self.seed + len(self.log.told)))

    def configuration_of(self, trial: int) -> Configuration:
        """Raises ``ManualError`` where there is no such trial to go on from."""
        end = next((end for end in self.log.trials if end.number == trial), None)
        if end is None or end.status != "ok":
            raise ManualError(f"trial {trial} cannot be gone on from: it is no completed trial of this run")
        return end.proposal.configuration

    @property
    def outstanding(self) -> dict[int, Proposal]:
        """What was told and has come to no end, since the session that was to make it was interrupted."""
        ended = {end.number for end in self.log.trials}
        return {number: proposal for number, proposal in enumerate(self.log.told, 1) if number not in ended}

    def checked(self, proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
        """``proposals`` as the run will take them; empty where they only repeat what is outstanding.

        Raises ``ManualError`` where one is illegal, or would come to what is known already.
        """
        if self.log.ended is not None:
            raise ManualError(f"{self.log.path}: this run has ended ({self.log.ended}); nothing more can be told to it")
        if not (proposals or self.outstanding):
            raise ManualError("there is nothing to train: set hyper-parameters (name=value), or give a file of them")
        if illegal := [each.fidelity for each in proposals if not self.spec.fidelity.allows(each.fidelity)]:
            raise ManualError(f"training must be {self.fidelities}, got fidelity {illegal[0]}")
        trials, known = self._trials()
        try:
            accepted = tuple(trials.accept(proposal) for proposal in proposals)
        except RunError as error:
            raise ManualError(str(error)) from error
        if self.outstanding and accepted == self.log.told[-len(accepted) :]:
            return ()
        for number, proposal in enumerate(accepted, len(self.log.told) + 1):
            same = known.setdefault(_key(proposal), number)
            if same != number:
                raise ManualError(
                    f"trial {same}{' (the default)' if same == 0 else ''} is this very training, which would come to "
                    f"the same value again: {canonical(proposal.configuration)}"
                )
        return accepted

    def tell(
        self, proposals: tuple[Proposal, ...], thinking_seconds: float, listener: Listener
    ) -> tuple["Run", list[TrialEnd]]:
        """Train what is outstanding, then ``proposals``, as ``checked``, and charge the thinking about these.

        Returns the run as it then stands, and the new trials. Raises ``ManualError``, ``SessionFailed``, ``BoardError``
        and ``LogError``.
        """
        if not 0 <= thinking_seconds < math.inf:
            raise ManualError(f"thinking time must be at least 0 and finite, got {thinking_seconds / 60:g} minutes")
        hand = ByHand(self.strategy, proposals, thinking_seconds if proposals else 0.0)
        _check(Board.reopen(self.board).by_hand(self.task, self.seed, hand, listener))
        after = replace(self, log=read_log(self.log.path))
        before = {end.number for end in self.log.trials}
        return after, [end for end in after.log.trials if end.number not in before]

    def record(self) -> dict[str, Any]:
        """The run for programs, without test values."""
        budget, incumbent = self.log.header.budget, self.incumbent()
        return {
            "task": self.spec.name,
            "strategy": self.strategy,
            "seed": self.seed,
            "ended": self.log.ended,
            "metric": asdict(self.spec.validation),
            "default_validation": budget.v0,
            "incumbent": None if incumbent is None else incumbent.number,
            "tier": self.log.header.tier,
            "budget": energy(budget.microjoules or 0),
            "charged": energy(self.log.charged_microjoules),
            "left": energy(self.left_microjoules),
            "thinking": {"minutes": self.log.thinking_seconds / 60, **energy(self.log.thinking_microjoules)},
            "phases": {phase: energy(amount) for phase, amount in self.log.microjoules_by_phase().items()},
            "trials": [trial_record(end) for end in self.log.trials],
            "outstanding": [{"trial": number, **asdict(proposal)} for number, proposal in self.outstanding.items()],
        }

    def _trials(self) -> tuple[Trials, dict[str, int]]:
        """The memory that the run will have, and the number of each training that needs no repeating."""
        budget = self.log.header.budget
        trials = Trials(self.spec, Person.info, budget.v0, budget.default_microjoules / 1e6)
        ends = {end.number: end for end in self.log.trials}
        known = {_key(Proposal(self.spec.default, self.spec.fidelity.maximum)): 0}
        for number, told in enumerate(self.log.told, 1):
            trials.accept(told)
            end = ends.get(number)
            if end:
                trials.end(number, Outcome(end.status, end.validation), end.microjoules / 1e6)
            if end is None or end.status == "ok":
                known[_key(told)] = number
        return trials, known


def _key(proposal: Proposal) -> str:
    """The one spelling of a training."""
    return f"{canonical(proposal.configuration)} {proposal.fidelity} {proposal.parent}"


def trial_record(end: TrialEnd) -> dict[str, Any]:
    """A trial for programs, without its test value, which nobody who searches may see."""
    return {
        "trial": end.number,
        **asdict(end.proposal),
        "status": end.status,
        "reason": end.reason,
        "validation": end.validation,
        **energy(end.microjoules),
    }


def energy(microjoules: int) -> Mapping[str, float]:
    """In joules, and in kg CO2e at the frozen reference site."""
    joules = microjoules / 1e6
    return {"joules": joules, "kg_co2e": kg_co2e(joules / JOULES_PER_KWH, REFERENCE, REFERENCE_PUE)}


def _runs(folder: Path) -> list[tuple[str, int, Path]]:
    """Runs by hand of one task: what each is called, its seed, its log."""
    logs = sorted(folder.glob(f"{PERSON}*/seed-*/{LOG_NAME}"))
    named = [(path.parent.parent.name, int(path.parent.name.removeprefix("seed-")), path) for path in logs]
    return [each for each in named if each[0] == PERSON or each[0].startswith(f"{PERSON}-")]


def _check(result: Result) -> None:
    if result.ok:
        return
    if result.status in (UNUSABLE, BUSY):
        raise ManualError(result.message)
    raise SessionFailed(
        f"{result.job.name}: {result.message or f'the run ended by signal {-result.status}'}; "
        "what was completed is kept, and the same command goes on"
    )
