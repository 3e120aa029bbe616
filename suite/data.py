"""Versioned data sets: what a task was trained on, provable by a digest."""

import hashlib
from collections.abc import Mapping

import numpy as np

from suite.task import DataRef


class DataMismatch(ValueError):
    """The arrays made here are not those that the task was published with."""


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes, types and bytes of ``arrays``, in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def verified(ref: DataRef, arrays: Mapping[str, np.ndarray], variant: int = 0) -> Mapping[str, np.ndarray]:
    """``arrays``, once their digest is that of ``ref``, which is of variant 0; raises ``DataMismatch`` otherwise."""
    if variant == 0 and (found := digest(arrays)) != ref.digest:
        raise DataMismatch(
            f"data set {ref.name} {ref.version} must have digest {ref.digest}, but the arrays made here have {found}; "
            f"install the releases of its source that this version names ({ref.source}), or publish a new task version"
        )
    return arrays
