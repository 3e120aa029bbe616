"""The order of a log's records: every proposal is legal and answered once, and the budget is kept.

What a run accepts is asked of its own memory (``suite.runs.memory.Trials``), so that there is one rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from suite.runs.log import Budget, Charge, proposal_from_record, segments_of
from suite.runs.memory import RunError, Trials
from suite.runs.program import as_asked
from suite.runs.trial import Outcome
from suite.search.strategy import EXHAUSTED, Proposal, StrategyInfo
from suite.task import TaskSpec

#: Takes rule, message and line.
Add = Callable[[str, str, int], None]


class Order:
    """Follows a run through its records. ``spec``, ``budget`` and ``workers``: as the header must say."""

    def __init__(self, header: Mapping[str, Any], spec: TaskSpec, budget: Budget, add: Add) -> None:
        self._add = add
        self._budget, self._workers = budget, header["workers"]
        self._ranked = header["role"] == "ranked"
        self._time_limit_seconds = header["time_limit_seconds"]
        spec, info = as_asked(spec, info_of(header["strategy"]))
        self._trials = Trials(spec, info, budget.v0, budget.default_microjoules / 1e6)
        self._charge = Charge()
        self._asked: dict[int, Proposal] = {}
        self._outstanding: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._resumed = self._exhausted = self._ended = False

    def follow(self, records: Sequence[Mapping[str, Any]]) -> None:
        for line, record in enumerate(records, 1):
            spent = self._charge.microjoules
            self._charge.add(segments_of(record))
            kind = record["record"]
            if self._ended:
                self._add("order", "nothing comes after the end", line)
            if (kind == "run") != (line == 1) or (line == 2 and kind != "session"):
                self._add("order", "a log begins with one record 'run' and then one 'session'", line)
            match kind:
                case "session":
                    self._session(record, line)
                case "ask":
                    self._ask(record, line, spent)
                case "trial":
                    self._trial(record, line)
                case "lost":
                    self._lost(record, line)
                case "end":
                    self._end(record, line)
        if not self._ended:
            self._add("order", "the run has not ended: go on with it before it is handed in", len(records))

    def _session(self, record: Mapping[str, Any], line: int) -> None:
        if record["resumed"] != (line > 2):
            self._add("order", "the first session of a run begins it, every other resumes it", line)
        self._resumed = self._resumed or record["resumed"]

    def _ask(self, record: Mapping[str, Any], line: int, spent: int) -> None:
        answer, number = proposal_from_record(record["answer"]), record["trial"]
        if self._is_spent(spent):
            self._add("budget", "the strategy was asked though the budget was used up", line)
        if self._exhausted:
            self._add("order", "the strategy was asked though it had nothing left", line)
        if not isinstance(answer, Proposal):
            self._exhausted = answer is EXHAUSTED
            if number is not None:
                self._add("order", "only a proposal is a trial", line)
            return
        if number != len(self._asked) + 1:
            self._add(
                "order", f"this is trial {len(self._asked) + 1}, got {number}: trials are all there, in order", line
            )
        if len(self._outstanding) >= self._workers:
            self._add("order", f"more than {self._workers} trial(s) at once", line)
        try:
            if self._trials.accept(answer) != answer:
                self._add(
                    "proposal", "the configuration is not as a run writes it: it has values that are not active", line
                )
        except (RunError, TypeError) as error:
            self._add("proposal", str(error), line)
            return
        self._asked[self._trials.asked] = answer
        self._outstanding.add(self._trials.asked)

    def _trial(self, record: Mapping[str, Any], line: int) -> None:
        number = record["trial"]
        if number not in self._outstanding:
            self._add("order", f"trial {number} is not outstanding: each that was asked for ends once", line)
            return
        self._outstanding.discard(number)
        if record["attempt"] != self._attempts.get(number, 0):
            self._add("order", f"this is attempt {self._attempts.get(number, 0)} of trial {number}", line)
        returned = self._trials.returns_trial_zero(self._asked[number])
        if record["returned"] != returned:
            self._add("order", "the default in full, and nothing else, is answered from trial 0", line)
        self._values(record, returned, line)
        joules = self._trials.zero_joules if returned else self._charge.of_trial(number) / 1e6
        if record["joules"] != joules:
            self._add(
                "energy", f"the trial was charged {joules} J by its segments, got joules {record['joules']}", line
            )
        self._trials.end(number, Outcome.from_record(record), record["joules"])

    def _values(self, record: Mapping[str, Any], returned: bool, line: int) -> None:
        ok, values = record["status"] == "ok", (record["validation"], record["test"])
        if returned:
            if not ok or values != (self._budget.v0, None) or record["seconds"] != 0:
                self._add(
                    "trial", f"trial 0 is answered with its frozen value {self._budget.v0} and no test value", line
                )
        elif ok != (None not in values) or (not ok and values != (None, None)):
            self._add("trial", "a trial that is ok, and no other, has a validation and a test value", line)
        if ok == bool(record["reason"]):
            self._add("trial", "a trial that is not ok, and no other, has a reason", line)
        if record["status"] != "timeout":
            return
        late = record["seconds"] >= self._time_limit_seconds
        if not late and not self._is_spent(self._charge.microjoules):
            self._add(
                "trial", "a trial is cut short where the budget is used up or its time is over, and neither was", line
            )

    def _lost(self, record: Mapping[str, Any], line: int) -> None:
        number = record["trial"]
        if not self._resumed or number not in self._outstanding:
            self._add("order", f"an attempt at trial {number} can be lost only where a session resumed the run", line)
        if record["attempt"] != self._attempts.get(number, 0):
            self._add("order", f"this is attempt {self._attempts.get(number, 0)} of trial {number}", line)
        self._attempts[number] = self._attempts.get(number, 0) + 1
        self._charge.lose(number)

    def _end(self, record: Mapping[str, Any], line: int) -> None:
        self._ended = True
        if self._outstanding:
            self._add("order", f"trials {sorted(self._outstanding)[:20]} have no end", line)
        reasons = {
            "budget": self._is_spent(self._charge.microjoules),
            "exhausted": self._exhausted,
            "trials": self._budget.trials is not None and len(self._asked) >= self._budget.trials,
        }
        if not reasons[record["reason"]]:
            self._add(
                "budget", f"the run ended by {record['reason']!r}, which the records before it do not bear out", line
            )

    def _is_spent(self, microjoules: int) -> bool:
        return self._budget.microjoules is not None and microjoules >= self._budget.microjoules


def info_of(strategy: Mapping[str, Any]) -> StrategyInfo:
    """A strategy as its log presents it."""
    return StrategyInfo(
        name=strategy["name"],
        family=strategy["family"],
        summary="",
        capabilities=frozenset(strategy["capabilities"]),
        version=strategy["version"],
    )
