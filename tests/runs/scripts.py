"""Strategies that follow a script, to put a run through given events."""

import importlib
import time
from typing import ClassVar

from suite.search.strategy import EXHAUSTED, WAIT, Problem, Proposal, Signal, StrategyInfo, Trial

ACTS = (
    "work",
    "raise",
    "nan",
    "diverge",
    "exit",
    "segfault",
    "short",
    "busy",
    "child",
    "orphan",
    "linger",
    "sleep",
    "work",
)


class Acts:
    """Proposes each act once, with rising x (of ninety acts)."""

    info: ClassVar = StrategyInfo("acts", family="tests", summary="every act once")
    acts = ACTS

    def __init__(self, problem: Problem) -> None:
        self.problem, self.asked = problem, 0
        self.told: list[Trial] = []

    def ask(self) -> Proposal | Signal:
        if self.asked == len(self.acts):
            return EXHAUSTED
        act, x = self.acts[self.asked], 0.1 + 0.01 * (self.asked % 90)
        self.asked += 1
        return Proposal({"act": act, "x": x}, self.problem.fidelity.maximum)

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)
        assert all(abs(value) < 1e6 for value in trial.objectives)


class Hangs(Acts):
    info: ClassVar = StrategyInfo("hangs", family="tests", summary="one trial that never ends, and one that does")
    acts = ("hang", "work")


class Fails(Acts):
    """Runs into limits of the machine, and goes on."""

    info: ClassVar = StrategyInfo("fails", family="tests", summary="what the machine does to a trial")
    acts = ("work", "allocate", "work", "killed", "freeze", "cuda", "work")


class Fills(Acts):
    info: ClassVar = StrategyInfo("fills", family="tests", summary="the second trial meets a full disk")
    acts = ("work", "full", "work")


class SlowTest(Acts):
    info: ClassVar = StrategyInfo(
        "slow-test",
        family="tests",
        summary="a trial whose test takes a second",
        capabilities=frozenset({"asynchronous"}),
    )
    acts = ("slow_test",)


class Pairs(Acts):
    """Two trials at a time: one that computes, and one that sleeps meanwhile."""

    info: ClassVar = StrategyInfo(
        "pairs", family="tests", summary="busy and idle trials", capabilities=frozenset({"asynchronous"})
    )
    acts = ("busy", "sleep") * 3


class Sleeps(Acts):
    info: ClassVar = StrategyInfo("sleeps", family="tests", summary="ten seconds of trials that sleep")
    acts = ("sleep",) * 30


class Works(Acts):
    info: ClassVar = StrategyInfo("works", family="tests", summary="many good trials")
    acts = ("work",) * 400


class Thinks(Acts):
    """Burns CPU time in ask and in tell."""

    info: ClassVar = StrategyInfo("thinks", family="tests", summary="spends more on thinking than on training")
    acts = ("work",) * 3

    def ask(self) -> Proposal | Signal:
        _burn(0.2)
        return super().ask()

    def tell(self, trial: Trial) -> None:
        _burn(0.1)


class DefaultForever(Acts):
    """Forty times the default: nobody earns by redrawing noise."""

    info: ClassVar = StrategyInfo("default-forever", family="tests", summary="the default, forty times")
    acts = ("work",) * 40

    def ask(self) -> Proposal | Signal:
        answer = super().ask()
        return answer if isinstance(answer, Signal) else Proposal(self.problem.default, 9)


class Waits(Acts):
    info: ClassVar = StrategyInfo("waits", family="tests", summary="waits for nothing")

    def ask(self) -> Signal:
        return WAIT


class Breaks(Acts):
    info: ClassVar = StrategyInfo("breaks", family="tests", summary="raises in its second tell")

    def tell(self, trial: Trial) -> None:
        if trial.number == 2:
            raise ZeroDivisionError("a bug in the strategy")


class Forgetful(Acts):
    """Not deterministic: proposes what the clock says."""

    info: ClassVar = StrategyInfo("forgetful", family="tests", summary="not deterministic")

    def ask(self) -> Proposal:
        return Proposal({"act": "work", "x": time.time_ns() % 1_000_000 / 1_000_000}, 9)


class Illegal(Acts):
    info: ClassVar = StrategyInfo("illegal", family="tests", summary="proposes what is not in the space")

    def ask(self) -> Proposal:
        return Proposal({"act": "dance", "x": 0.5}, 9)


class Climbs(Acts):
    """Promotes one configuration through all fidelities; a late parent is one that failed if told so."""

    info: ClassVar = StrategyInfo(
        "climbs", family="tests", summary="promotes step by step", capabilities=frozenset({"fidelity"})
    )

    def ask(self) -> Proposal | Signal:
        if self.asked == 9:
            return EXHAUSTED
        self.asked += 1
        return Proposal({"act": "work", "x": 0.3}, self.asked, self.asked - 1 if self.asked > 1 else None)


class FromNowhere(Acts):
    info: ClassVar = StrategyInfo(
        "from-nowhere", family="tests", summary="a parent that is none", capabilities=frozenset({"fidelity"})
    )

    def ask(self) -> Proposal:
        return Proposal({"act": "work", "x": 0.3}, 5, 17)


def _burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Optional(Acts):
    info: ClassVar = StrategyInfo("optional", family="tests", summary="needs what is not installed", extra="optional")

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        importlib.import_module("not_installed")
