"""The figures of RULES.md that a machine can check, and how much of a submission is read at all."""

from typing import Final

from suite import __version__

#: Results are comparable within one Major.Minor of code and rules.
RELEASE: Final = ".".join(__version__.split(".")[:2])

FULL_BUDGET: Final = 40.0  # random trainings
LEAST_SEEDS: Final = 10
LEAST_DEFAULT_TRAININGS: Final = 3
PRACTICE: Final = "practice"  # a board of any size, checked alike and never published
#: The tasks of program boards: those that are also posed as differentiable problems.
PROGRAM_TASKS: Final = (
    "few_shot/sinusoid",
    "physics_informed/helmholtz",
    "semi_supervised/mean-teacher-digits",
    "supervised/cells-mnist1d",
    "supervised/mnist1d",
)

# What is read: a real submission of sixteen tasks and ten seeds has some 800 files and 60 MiB.
MOST_FILES: Final = 8_000
DEEPEST: Final = 10  # folders
LARGEST_DOCUMENT: Final = 2**20
LARGEST_LOG: Final = 16 * 2**20
LARGEST_IN_ALL: Final = 192 * 2**20
LONGEST_LINE: Final = 4 * 2**20
MOST_TRIALS: Final = 100_000  # in all runs together
MOST_FINDINGS: Final = 2_000

# What a validation may take (a real one takes seconds).
MEMORY_BYTES: Final = 2**30
SECONDS: Final = 60

# Plausibility. Wide: they are for what no machine does; re-execution is for the rest.
WATTS_PER_CORE: Final = 40.0  # beyond which no package is believed
MOST_COMPONENT_WATTS: Final = {"ram": 300.0, "gpu": 1500.0}
SLIP_SECONDS: Final = 0.1  # between the clock of an estimate and that of the ledger, where a process was kept waiting
SLIP_MICROJOULES: Final = 5_000
UNREAD_SHARE: Final = 0.01  # of the time, in which a meter gave no reading
FREE_FACTOR: Final = 3.0  # uncharged energy (setup, test), over that of random search
FREE_SECONDS: Final = 5.0  # of CPU time of setup, beside the factor
FREE_TEST_SECONDS: Final = 0.02  # of CPU time of a test, beside the factor and a tenth of a training of the default
REFERENCE_FACTOR: Final = 3.0  # energy of random trainings over m_t x default, either way
REFERENCE_TRAININGS: Final = 16  # below which that is not judged
TRIAL_SECONDS_SLACK: Final = 1.0
OVERLAP_SECONDS: Final = 5.0
