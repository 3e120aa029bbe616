"""A strategy that writes down all that it can reach from what it is given."""

from pathlib import Path
from typing import Any, ClassVar

from suite.search.baselines import sample, seeded
from suite.search.strategy import Problem, Proposal, StrategyInfo, Trial

SEEN = Path("WHERE")


def reachable(value: Any, known: set[int]) -> list[str]:
    """Type and spelling of ``value`` and of all that its attributes and items lead to."""
    if id(value) in known or isinstance(value, type) or callable(value):
        return []
    known.add(id(value))
    found = [f"{type(value).__module__}.{type(value).__name__} {value!r}"]
    if isinstance(value, str | bytes | int | float | bool | type(None)):
        return found
    inner: list[Any] = list(getattr(value, "__dict__", {}).values())
    inner += [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    if isinstance(value, dict):
        inner += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner += list(value)
    return found + [line for each in inner for line in reachable(each, known)]


class Spy:
    info: ClassVar = StrategyInfo("spy", "tests", "writes down what it sees", frozenset({"conditional", "fidelity"}))

    def __init__(self, problem: Problem) -> None:
        self._problem, self._space = problem, seeded(problem.space, problem.seed)
        self._write(problem)

    def ask(self) -> Proposal:
        return Proposal(sample(self._space), self._problem.fidelity.minimum)

    def tell(self, trial: Trial) -> None:
        self._write(trial)

    def _write(self, value: Any) -> None:
        with SEEN.open("a") as file:
            file.write("\n".join(reachable(value, set())) + "\n")
