"""What one run is to do, as the process that makes it is told."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from suite.runs.log import Budget
from suite.space import Configuration


@dataclass(frozen=True)
class ByHand:
    """A session of a person's run: it trains one answer, if there is one, and leaves the run open for the next.

    name: what the person is called on the board. answer: a proposal as a log holds it
    (``suite.runs.log.proposal_to_record``). thinking_seconds: for how long the machine stood idle while the person
    thought about it, as the person declares.
    """

    name: str
    answer: Mapping[str, Any] | None = None
    thinking_seconds: float = 0.0

    @property
    def asks(self) -> int:
        """How often this session asks."""
        return 0 if self.answer is None else 1


@dataclass(frozen=True)
class RunPlan:
    """One run: a strategy on a task with a seed, and the means it has.

    task, strategy: names in the catalogue. role: "ranked" or "calibration". jobs: runs side by side on this machine,
    which share its declared idle power. default: what the strategy is given as the default, where not the task's own
    (to retrain a configuration in a calibration). time_limit_seconds: what one trial may take.
    meters: by name, or "auto" for the best here; reasons: why these, by component, where they were chosen before.
    ram_watts: declared power of the memory, this run's share, or None. default_mix: see ``RunHeader``.
    share: where this run finds its share of counters that see the whole machine (``suite.energy.node``), as descriptor,
    slot, and sources by meter; None where it reads them itself.
    crosscheck: run codecarbon too. variant: of the task's data, 0 for the boards. by_hand: for a person's run.
    """

    task: str
    strategy: str
    seed: int
    budget: Budget
    role: str = "ranked"
    workers: int = 1
    jobs: int = 1
    device: str = "cpu"
    time_limit_seconds: float = 3600.0
    meters: tuple[str, ...] = ("cpu-time",)
    watts_per_core: float = 10.0
    idle_watts: float = 2.0
    ram_watts: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    default_mix: Mapping[str, float] = field(default_factory=dict)
    share: Mapping[str, Any] | None = None
    crosscheck: bool = True
    default: Configuration | None = None
    variant: int = 0
    by_hand: ByHand | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        record: Mapping[str, Any] = json.loads(text)
        hand = record["by_hand"]
        typed = {
            "budget": Budget(**record["budget"]),
            "meters": tuple(record["meters"]),
            "by_hand": ByHand(**hand) if hand else None,
        }
        return cls(**{**record, **typed})
