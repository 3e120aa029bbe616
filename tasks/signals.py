"""The signals of MNIST-1D, for every task that is made of them, and the changes that leave their class as it is.

Ten templates, shifted, scaled, sheared and buried in correlated noise (Greydanus & Kobak 2024, arXiv:2011.14439). The
library makes them on the spot; its Apache-2.0 licence covers them.
"""

import random

import numpy as np
import torch

from suite.task import Configuration, DataRef
from tasks import augmentation

LENGTH, CLASSES = 40, 10
NOISE_PLACES = 5  # over which the noise of a distorted signal is smooth
TRAIN = 3000  # of the 4,000 signals that the library calls its training part

DATA = DataRef(
    name="mnist1d",
    version="1",
    digest="ad4a884dbca22067de919c8b53252ece7af3e9b8be85a00c0f245b5ccad895d5",
    licence="Apache-2.0",
    source="mnist1d 0.0.2.post1 (PyPI), make_dataset(get_dataset_args())",
    splits="of the library's 4,000 training signals the first 3,000 and the last 1,000; its own 1,000 for testing",
)


def arrays(variant: int = 0) -> dict[str, np.ndarray]:
    """``x`` (n, 1, 40) float32 and ``y`` (n,) int64 of ``train``, ``validation`` and ``test``.

    Train and validation are of the library's training part, test is its own. A variant has another seed.
    """
    made = generated(variant)
    parts = {
        "train": (made["x"][:TRAIN], made["y"][:TRAIN]),
        "validation": (made["x"][TRAIN:], made["y"][TRAIN:]),
        "test": (made["x_test"], made["y_test"]),
    }
    split = {}
    for name, (x, y) in parts.items():
        split[f"{name}_x"] = x[:, None, :].astype(np.float32)
        split[f"{name}_y"] = y.astype(np.int64)
    return split


def generated(variant: int) -> dict[str, np.ndarray]:
    """The library's 4,000 + 1,000 signals: x (n, 40) float64, y (n,). Its reseeding of global generators is undone."""
    from mnist1d.data import get_dataset_args, make_dataset  # here, since it imports matplotlib and requests

    settings = get_dataset_args()
    settings.seed += variant
    python, legacy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        made = make_dataset(settings)
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
        torch.set_rng_state(torch_state)
    return {name: made[name] for name in ("x", "y", "x_test", "y_test")}


def augmented(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 40) -> the same, each signal changed at random as strongly as the configuration says."""
    x = augmentation.shift(x, int(configuration["shift"]), generator)
    x = augmentation.ramp(x, float(configuration["ramp"]), generator)
    return augmentation.noise(x, float(configuration["noise"]), generator)


def distorted(x: torch.Tensor, configuration: Configuration, generator: torch.Generator) -> torch.Tensor:
    """(batch, 1, 40) -> the same, ``augmented`` with smooth noise, which is what the signals themselves have."""
    x = augmentation.shift(x, int(configuration["shift"]), generator)
    x = augmentation.ramp(x, float(configuration["ramp"]), generator)
    return augmentation.smooth_noise(x, float(configuration["noise"]), generator, NOISE_PLACES)
