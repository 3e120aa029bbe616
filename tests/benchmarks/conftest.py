"""What the table of the benchmarks says of the machine lies in their results."""

import os
from typing import Any

import pytest

from suite.runs.machine import machine_facts, package_version


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["facts"] = machine_facts() | {"load": round(os.getloadavg()[2], 1)}  # of the last fifteen minutes
    machine_info["facts"]["versions"]["pandas"] = package_version("pandas")
