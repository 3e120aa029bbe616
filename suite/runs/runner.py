"""The loop of a run: keep the workers busy with what the strategy asks for, every step metered and logged."""

import gc
import json
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from suite.energy.ledger import Label, Phase
from suite.runs.book import Book
from suite.runs.engine import Engine, Event
from suite.runs.log import proposal_to_record
from suite.runs.memory import RunError, TaskUnavailable, Trials
from suite.runs.plan import RunPlan
from suite.runs.trial import Order, Outcome
from suite.search.strategy import WAIT, Proposal, Signal, Strategy, StrategyInfo
from suite.space import training_seed
from suite.task import TaskSpec

POLL_SECONDS = 0.25  # how far a run may overshoot its budget


class _Attempt(NamedTuple):
    number: int
    attempt: int
    proposal: Proposal


class Runner:
    """Keeps the workers busy with what the strategy asks for until the budget is used up or nothing is left to ask."""

    def __init__(
        self,
        plan: RunPlan,
        spec: TaskSpec,
        strategy: Strategy,
        trials: Trials,
        engine: Engine,
        book: Book,
        directory: Path,
    ) -> None:
        self._plan = plan
        self._spec = spec
        self._strategy = strategy
        self._trials = trials
        self._engine = engine
        self._book = book
        self._checkpoints = directory / "checkpoints"
        self._keeps = keeps_checkpoints(strategy.info)
        self._ready: set[int] = set()
        self._running: dict[int, _Attempt] = {}
        self._queue: deque[_Attempt] = deque()
        self._may_ask = True
        self._nothing_left: str | None = None

    def resume(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Ask and tell the strategy in the logged order; every proposal must be the logged one. Raises ``RunError``."""
        attempts: dict[int, int] = {}
        with self._book.ledger.window("resume"):
            for record in records:
                if record["record"] == "ask":
                    self._re_ask(record)
                elif record["record"] == "trial":
                    self._may_ask = True
                    self._strategy.tell(
                        self._trials.end(record["trial"], Outcome.from_record(record), record["joules"])
                    )
                elif record["record"] == "lost":
                    attempts[record["trial"]] = attempts.get(record["trial"], 0) + 1
        for number, proposal in list(self._trials.outstanding()):
            attempts[number] = attempts.get(number, 0) + 1
            self._book.lose(number)
            self._book.write("lost", trial=number, attempt=attempts[number] - 1)
            self._queue.append(_Attempt(number, attempts[number], proposal))

    def open(self, phase: Phase) -> None:
        """Start the workers, under ``phase``, and wait until one is ready."""
        if self._keeps:
            self._checkpoints.mkdir(exist_ok=True)
        for _ in range(self._plan.workers):
            self._start_worker(phase)
        while not self._ready:
            self._listen()
        gc.freeze()  # what is loaded by now stays: collections need not walk through it again

    def close(self, phase: Phase) -> None:
        """End the workers, under ``phase``. Each leaves the ledger as it ends, or its time would count twice."""
        for pid in self._engine.pids():
            self._book.ledger.assign(pid, Label(phase))
            self._remove(pid)

    def search(self) -> str:
        """Run to the end. Returns why it ended: "budget", "trials" or "exhausted"."""
        while True:
            reason = self.turn()
            if reason:
                return reason

    def turn(self) -> str | None:
        """Give free workers something to do, then listen. Returns why the run has ended, once it has."""
        if self._spent():
            for pid in list(self._running):
                self._cut_short(pid, "the budget was used up")
            return "budget"
        self._nothing_left = self._nothing_left or self._fill()
        if self._nothing_left and not self._running:
            return self._nothing_left
        self._listen()
        return None

    def _fill(self) -> str | None:
        """Give every free worker an order. Returns why no more is to be asked, if so."""
        while self._ready - set(self._running):
            if self._queue:
                self._train(self._queue.popleft())
                continue
            if self._plan.budget.trials is not None and self._trials.asked >= self._plan.budget.trials:
                return "trials"
            if not self._may_ask:
                return None
            answer = self._ask()
            if isinstance(answer, Proposal):
                self._take(answer)
            elif answer is WAIT:
                self._may_ask = False
                if not self._running:
                    raise RunError(f"strategy {self._strategy.info.name} answered WAIT though nothing is outstanding")
            else:
                return "exhausted"
            if self._spent():
                return None
        return None

    def _ask(self) -> Proposal | Signal:
        """The strategy's answer, checked and logged. All of that is the phase ``ask``."""
        with self._book.ledger.window("ask"):
            answer: Proposal | Signal = _call(self._strategy, "ask")
            number = None
            if isinstance(answer, Proposal):
                answer = self._trials.accept(answer)
                number = self._trials.asked
            elif self._plan.by_hand:
                return answer  # which is no part of the log: a person may have more to tell tomorrow
            self._book.write("ask", trial=number, answer=proposal_to_record(answer))
        return answer

    def _re_ask(self, record: Mapping[str, Any]) -> None:
        answer = _call(self._strategy, "ask")
        answer = answer if isinstance(answer, Signal) else self._trials.accept(answer)
        self._may_ask = answer is not WAIT
        found, logged = proposal_to_record(answer), record["answer"]
        if found != logged:
            raise RunError(
                f"strategy {self._strategy.info.name} is not deterministic, or has changed: asked again, it answers "
                f"{json.dumps(found)} where the log has {json.dumps(logged)}. The log is left as it is; "
                "run with the versions that its header names, or start in a new directory"
            )

    def _take(self, proposal: Proposal) -> None:
        number = self._trials.asked
        if self._trials.returns_trial_zero(proposal):
            outcome = Outcome("ok", self._plan.budget.v0)
            self._end(_Attempt(number, 0, proposal), outcome, self._trials.zero_joules, 0.0, returned=True)
        else:
            self._train(_Attempt(number, 0, proposal))

    def _train(self, attempt: _Attempt) -> None:
        pid = min(self._ready - set(self._running))
        proposal = attempt.proposal
        self._running[pid] = attempt
        self._book.ledger.assign(pid, Label("train", attempt.number))
        self._engine.submit(
            pid,
            Order(
                trial=attempt.number,
                configuration=proposal.configuration,
                fidelity=proposal.fidelity,
                seed=training_seed(self._plan.seed, proposal.configuration),
                start=str(self._checkpoint(proposal.parent)) if proposal.parent is not None else None,
                save=str(self._checkpoint(attempt.number)) if self._is_kept(proposal) else None,
                record=bool(self._plan.configurations),
            ),
        )

    def _is_kept(self, proposal: Proposal) -> bool:
        """A full training can only be the parent of a mutation."""
        full = proposal.fidelity == self._spec.fidelity.maximum
        return self._keeps and (not full or "mutation" in self._strategy.info.capabilities)

    def _checkpoint(self, number: int) -> Path:
        return self._checkpoints / f"{number}.pt"

    def _listen(self) -> None:
        """Wait for the workers and take in what they say; look after the time limit and the heartbeat."""
        events = self._engine.wait(POLL_SECONDS)
        for event in events:
            if event.pid in self._engine.pids():
                self._hear(event)
        if not events:
            self._book.heartbeat()
        for pid in self._engine.overdue(self._plan.time_limit_seconds):
            self._cut_short(pid, f"took more than {self._plan.time_limit_seconds:g} s")
            self._start_worker()

    def _hear(self, event: Event) -> None:
        ledger, attempt = self._book.ledger, self._running.get(event.pid)
        match event.kind:
            case "outcome" if attempt:
                ledger.relabel(event.pid, Label("idle"), event.cpu_ns)
                del self._running[event.pid]
                self._conclude(attempt, Outcome.from_record(event.message), self._engine.finish(event.pid))
            case "ready":
                ledger.relabel(event.pid, Label("idle"), event.cpu_ns)
                self._ready.add(event.pid)
            case "error":
                raise RunError(event.message)
            case "unavailable":
                raise TaskUnavailable(event.message)
            case "died":
                self._bury(event.pid, attempt)

    def _conclude(self, attempt: _Attempt, outcome: Outcome, seconds: float) -> None:
        self._end(attempt, outcome, self._book.of_trial(attempt.number) / 1e6, seconds)

    def _end(self, attempt: _Attempt, outcome: Outcome, joules: float, seconds: float, returned: bool = False) -> None:
        """Log the end of a trial, then tell the strategy: what was told is always in the log."""
        with self._book.ledger.window("tell"):
            self._book.write(
                "trial",
                sync=True,
                trial=attempt.number,
                attempt=attempt.attempt,
                **outcome.to_record(),
                seconds=round(seconds, 6),
                joules=joules,
                returned=returned,
            )
            _call(self._strategy, "tell", self._trials.end(attempt.number, outcome, joules))
        self._may_ask = True

    def _bury(self, pid: int, attempt: _Attempt | None) -> None:
        """A worker died: its trial failed and is charged; another worker takes its place."""
        ending = self._remove(pid, died=True)
        if attempt is None:
            raise RunError(
                f"a worker ended by {ending} while it was set up; "
                f"its output is in {self._checkpoints.parent / 'worker.log'}"
            )
        self._start_worker()
        self._conclude(attempt, Outcome("failed", reason=f"the worker ended by {ending}"), 0.0)

    def _cut_short(self, pid: int, reason: str) -> None:
        attempt = self._running[pid]
        seconds = self._engine.finish(pid)
        self._remove(pid)
        self._conclude(attempt, Outcome("timeout", reason=reason), seconds)

    def _remove(self, pid: int, died: bool = False) -> str:
        self._book.ledger.cut()
        ending = self._engine.kill(pid, died)
        self._book.ledger.close_lane(pid)
        self._ready.discard(pid)
        self._running.pop(pid, None)
        return ending

    def _start_worker(self, phase: Phase = "idle") -> None:
        """A worker that takes the place of a dead one starts under ``idle``, which is charged, unlike ``setup``."""
        pid = self._engine.start()
        self._book.ledger.open_lane(pid, Label(phase), self._engine.marks_of(pid))

    def _spent(self) -> bool:
        limit = self._plan.budget.microjoules
        return limit is not None and self._book.charged() >= limit


def keeps_checkpoints(info: StrategyInfo) -> bool:
    """Whether a strategy may go on from an earlier trial."""
    return bool(info.capabilities & {"fidelity", "mutation", "program"})


def _call(strategy: Strategy, method: str, *arguments: Any) -> Any:
    """``method`` of ``strategy``. Whatever it raises becomes a ``RunError`` that names it."""
    try:
        return getattr(strategy, method)(*arguments)
    except Exception as error:
        raise RunError(f"strategy {strategy.info.name} broke in {method}: {type(error).__name__}: {error}") from error
