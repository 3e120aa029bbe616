"""Regrets of the ``dehb`` package on the synthetic functions, for ``test_dehb.py``.

It pins numpy < 2 and therefore needs an environment of its own, from the root of the repository:

    python3.11 -m venv ELSEWHERE && ELSEWHERE/bin/pip install dehb==0.1.2
    ELSEWHERE/bin/python -m tests.search.dehb_package
"""

import json
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.search.synthetic import FUNCTIONS, MAXIMUM, MINIMUM, TOTAL, Point, Synthetic, final_regret

SEEDS = 32
RESULTS = Path(__file__).with_suffix(".json")


def regret(function: Synthetic, seed: int, folder: str) -> float:
    from dehb import DEHB

    library = DEHB(
        cs=function.space(),
        min_fidelity=MINIMUM,
        max_fidelity=MAXIMUM,
        n_workers=1,
        seed=seed,
        output_path=folder,
        save_freq="end",
        log_level="ERROR",
    )
    asked: list[Any] = []

    def ask() -> tuple[Point, float]:
        asked.append(library.ask())
        return dict(asked[-1]["config"]), float(asked[-1]["fidelity"])

    return final_regret(
        function, seed, ask, lambda found: library.tell(asked[-1], {"fitness": found, "cost": asked[-1]["fidelity"]})
    )


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{models[0]} x {len(models)}" if models else platform.processor()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        regrets = {
            name: [regret(function, seed, folder) for seed in range(SEEDS)] for name, function in FUNCTIONS.items()
        }
    facts = {
        "command": "python -m tests.search.dehb_package",
        "machine": f"{platform.system()} {platform.machine()}, {cpu()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("dehb", "numpy")}},
        "seeds": SEEDS,
        "total_fidelity": TOTAL,
        "regrets": regrets,
    }
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
