"""A task whose trainings are cheap and noisy, with constants: what a recording is tried on."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float

from suite.task import Checkpoint, Configuration, Constants, Fidelity, Metric, Split, TaskSpec

NOISE = 0.05


def space() -> ConfigurationSpace:
    made = ConfigurationSpace()
    kind = Categorical("kind", ["plain", "bent"], default="plain")
    bend = Float("bend", (0.0, 1.0), default=0.5)
    made.add(Float("rate", (1e-3, 1.0), log=True, default=1e-2), Float("shift", (-1.0, 1.0), default=0.8), kind, bend)
    made.add(EqualsCondition(bend, kind, "bent"))
    return made


def truth(configuration: Configuration) -> float:
    """The loss at the end of training, without noise."""
    bend = float(configuration.get("bend", 0.0))
    return 0.2 + float(configuration["shift"]) ** 2 + (0.3 - bend) ** 2 + 0.3 * abs(float(configuration["rate"]) - 0.1)


def drawn(seed: int, split: Split) -> float:
    """Noise in [-1, 1); that of validation and of test have half in common."""
    common, own = (sha256(f"{seed} {part}".encode()).digest()[0] / 128 - 1 for part in ("both", split))
    return 0.5 * common + 0.5 * own


@dataclass(frozen=True)
class Noisy:
    spec: TaskSpec = TaskSpec(
        name="toy/noisy",
        version="1",
        summary="a noisy bowl",
        paper="none: an example",
        space=space(),
        fidelity=Fidelity("steps", minimum=2, maximum=20, step=2),
        validation=Metric("loss", "minimize", worst=100.0),
        test=Metric("loss", "minimize", worst=100.0),
        constants=Constants(
            a0=0.95,
            a1=0.21,
            v0=0.95,
            m_t=1.0,
            kappa_t=3.0,
            sigma_seed=0.03,
            default_joules=1.0,
            default_cpu_seconds=0.1,
            seeds=20,
            configurations=64,
            provisional=True,
            tier="estimated",
        ),
    )

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        for step in range(2, 21, 2):
            if float(configuration["rate"]) > 0.8 and step >= 10:
                raise FloatingPointError(f"diverged by step {step}")
            for work in range(2000):
                _ = work**2
            yield Checkpoint(step, {"step": step, "seed": seed, **configuration})

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        state = checkpoint.state
        return truth(state) + 1.0 / state["step"] + NOISE * drawn(int(state["seed"]), split)


TASK = Noisy()
