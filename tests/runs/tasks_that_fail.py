"""Tasks made to go wrong, or to spend energy where it must be seen. Each trial does what its configuration says."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ConfigSpace import Categorical, ConfigurationSpace, Float

from suite.space import Configuration
from suite.task import Checkpoint, Fidelity, Metric, Split, TaskSpec

BUSY_SECONDS = 0.5
_BURN = f"import time\nwhile time.process_time() < {BUSY_SECONDS}: pass"
_ORPHAN = f"""import os, time
left = {BUSY_SECONDS} - time.process_time()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while time.process_time() < left: pass
    os._exit(0)"""

SPACE = ConfigurationSpace()
SPACE.add(
    Categorical(
        "act",
        [
            "work",
            "raise",
            "nan",
            "diverge",
            "exit",
            "segfault",
            "hang",
            "sleep",
            "busy",
            "child",
            "orphan",
            "linger",
            "short",
            "slow_test",
            "allocate",
            "killed",
            "freeze",
            "cuda",
            "full",
        ],
        default="work",
    ),
    Float("x", (0.0, 1.0), default=0.5),
)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def act_out(act: str) -> None:
    match act:
        case "raise":
            raise RuntimeError("this trial was told to raise")
        case "diverge":
            raise FloatingPointError("the loss is inf")
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "hang":
            time.sleep(3600)
        case "sleep":
            time.sleep(0.3)
        case "busy":
            burn(BUSY_SECONDS)
        case "child":
            subprocess.run([sys.executable, "-S", "-c", _BURN], check=True)
        case "orphan":
            subprocess.run([sys.executable, "-S", "-c", _ORPHAN], check=True, stdout=subprocess.PIPE)  # till it ends
        case "allocate":
            np.ones(2**29)  # 4 GiB
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "cuda":
            raise RuntimeError("CUDA error: device-side assert triggered")
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/cache")
        case "linger":
            subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(3600)"], start_new_session=True)


@dataclass(frozen=True)
class Scripted:
    """Validation is ``x``, test ``x + 1``. Every training burns a little CPU time."""

    spec: TaskSpec = TaskSpec(
        name="toy/scripted",
        version="1",
        summary="does what its configuration says",
        paper="none",
        space=SPACE,
        fidelity=Fidelity("steps", minimum=1, maximum=9),
        validation=Metric("x", "minimize", worst=10.0),
        test=Metric("x + 1", "minimize", worst=10.0),
    )

    def load(self, variant: int = 0) -> None:
        """There are no data."""

    def train(
        self, data: None, configuration: Configuration, seed: int, device: str, start: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        act = str(configuration["act"])
        for step in range(start.fidelity if start else 0, 3 if act == "short" else 9):
            burn(0.002)
            if step == 1:
                act_out(act)
            yield Checkpoint(step + 1, dict(configuration))

    def evaluate(self, data: None, checkpoint: Checkpoint, split: Split) -> float:
        if checkpoint.state["act"] == "nan":
            return float("nan")
        if checkpoint.state["act"] == "slow_test" and split == "test":
            burn(1.0)
        return float(checkpoint.state["x"]) + (split == "test")


TASK = Scripted()
