"""The valley with constants, so that it can be ranked."""

from dataclasses import replace

from suite.task import Constants
from tests.examples.valley import Valley

CONSTANTS = Constants(
    a0=7.0,
    a1=0.0,
    v0=7.1,
    m_t=1.0,
    kappa_t=1.0,
    sigma_seed=0.1,
    default_joules=0.01,
    default_cpu_seconds=0.001,
    longest_over_default=3.0,
    median_test=0.5,
    failed_configurations=0,
    seeds=3,
    configurations=8,
    provisional=True,
    tier="estimated",
)
TASK = Valley(replace(Valley().spec, constants=CONSTANTS))
