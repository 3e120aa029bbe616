"""The signals of MNIST-1D, for every task that is made of them, and the changes that leave their class as it is.

Ten templates, shifted, scaled, sheared and buried in correlated noise (Greydanus & Kobak 2024, arXiv:2011.14439), as
the authors' library mnist1d makes them; its Apache-2.0 licence covers them.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from suite.task import Configuration, DataRef
from tasks import augmentation

LENGTH, CLASSES = 40, 10
NOISE_PLACES = 5  # over which the noise of a distorted signal is smooth
SIGNALS, LEARNED = 5000, 4000  # what the library makes, and what it calls its training part
TRAIN = 3000  # of that part

# the library's settings
SEED = 42
PADDING, SHIFTS = (36, 60), 48
SCALE, SHEAR, SMOOTH_NOISE, WHITE_NOISE = 0.4, 0.75, 0.25, 0.02
TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)

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
    """4,000 + 1,000 signals, number for number what the library's ``make_dataset`` makes: x (n, 40) float64, y (n,).

    Made here, since the library takes many times as long, reseeds global generators and imports matplotlib.
    """
    rng = np.random.RandomState(SEED + variant)  # the published data set is a sequence of this generator
    y = np.repeat(np.arange(CLASSES), SIGNALS // CLASSES)
    x = _signals(y, rng)
    order = rng.permutation(SIGNALS)
    x, y = x[order], y[order]
    x = (x - x.mean()) / x.std()
    return {"x": x[:LEARNED], "y": y[:LEARNED], "x_test": x[LEARNED:], "y_test": y[LEARNED:]}


def _signals(labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """(n, 40): templates padded, stretched, scaled, moved along, made noisy and sheared, in the order of the paper."""
    low, high = PADDING
    stretched = _stretched_templates()
    length = stretched.shape[-1]
    x, smooth, white = (np.empty((len(labels), length)) for _ in range(3))
    shears = np.empty(len(labels))
    for i, label in enumerate(labels):  # one signal after the other, as the library draws them
        x[i] = stretched[label, int(rng.rand() * (high - low + 1))]
        x[i] *= 1 + SCALE * (rng.rand() - 0.5)
        x[i] = np.roll(x[i], rng.randint(SHIFTS))
        smooth[i], white[i] = rng.randn(length), rng.randn(length)
        shears[i] = SHEAR * (rng.rand() - 0.5)
    x = np.where(x != 0, x, gaussian_filter1d(SMOOTH_NOISE * smooth, 2)) + WHITE_NOISE * white
    x -= shears[:, None] * np.linspace(-0.5, 0.5, length)
    here, there = np.linspace(0, 1, length), np.linspace(0, 1, LENGTH)
    return np.stack([np.interp(there, here, row) for row in x])


def _stretched_templates() -> np.ndarray:
    """(10, 25, 72): what each class looks like behind each amount of padding, beginning at 0."""
    x = np.array(TEMPLATES)
    x -= x.mean(axis=1, keepdims=True)
    x /= x.std(axis=1, keepdims=True)
    x = (x - x[:, :1]) / 6.0 + 1e-8
    low, high = PADDING
    points = x.shape[1] + high
    padded = [[np.concatenate([row, np.zeros(amount)]) for amount in range(low, high + 1)] for row in x]
    return np.array([[_resampled(row, points) for row in rows] for rows in padded])


def _resampled(x: np.ndarray, points: int) -> np.ndarray:
    resampled: np.ndarray = np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(x)), x)
    return resampled


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
