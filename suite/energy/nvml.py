"""NVIDIA GPUs through NVML: their energy counter, or their power integrated over time.

Metered are the GPUs that the run may see (CUDA_VISIBLE_DEVICES), since it holds them reserved, and their energy is
added. The energy counter (Volta and later) is in millijoules since the driver was loaded. Where a GPU has none, its
power is read ten times a second and integrated; on recent ones that sees a quarter of the time
(Yang et al. 2024, arXiv:2312.02741).

    pip install 'carbon-suite[nvidia]'
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

from suite.energy.meter import COUNTER_FACTOR, SAMPLED_FACTOR, Means, MeterInfo, Unavailable
from suite.energy.sampler import Sampler

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
ORDER: Final = "CUDA_DEVICE_ORDER"
TICK_SECONDS: Final = 0.1  # how often the counter and the power reading are renewed
SAMPLE_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Gpu:
    """One GPU: NVML's handle, and what it is."""

    handle: Any
    uuid: str
    model: str


class Nvml:
    """Energy counters of the GPUs that the run may see."""

    info: ClassVar = MeterInfo(
        name="nvml",
        component="gpu",
        tier="measured",
        summary="the energy counters of the NVIDIA GPUs that the run may see",
        factor=COUNTER_FACTOR,
        tick_seconds=TICK_SECONDS,
        whole_machine=True,
    )

    def __init__(self, means: Means, nvml: Any = None) -> None:
        """``nvml``: stands in for the module pynvml."""
        self._nvml = nvml or _module()
        self._gpus = visible_gpus(self._nvml)
        self._last = [_ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, gpu) for gpu in self._gpus]
        self._millijoules = 0
        self.source = f"energy counter of {_names(self._gpus)}, driver {self._nvml.nvmlSystemGetDriverVersion()}"

    def microjoules(self) -> int:
        readings = [_ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, gpu) for gpu in self._gpus]
        gains = [now - before for now, before in zip(readings, self._last, strict=True)]
        self._last = readings
        self._millijoules += sum(gain for gain in gains if gain > 0)
        if min(gains) < 0:
            raise Unavailable("the energy counter of a GPU fell back: its driver was loaded anew")
        return self._millijoules * 1000


class NvmlPower:
    """Power of the GPUs that the run may see, integrated by trapezoids."""

    info: ClassVar = MeterInfo(
        name="nvml-power",
        component="gpu",
        tier="measured",
        summary="the power of the NVIDIA GPUs that the run may see, read ten times a second and integrated",
        factor=SAMPLED_FACTOR,
        tick_seconds=TICK_SECONDS,
        whole_machine=True,
    )

    def __init__(
        self, means: Means, nvml: Any = None, clock: Callable[[], int] = time.monotonic_ns, sampled: bool = True
    ) -> None:
        """``nvml``: stands in for the module pynvml. ``sampled``: read the power between the readings, too."""
        self._nvml = nvml or _module()
        self._gpus = visible_gpus(self._nvml)
        self._clock = clock
        self._lock = threading.Lock()
        self._doubled_picojoules = 0  # milliwatts x nanoseconds, of both ends of each trapezoid
        self._last: tuple[int, int] | None = (clock(), self._milliwatts())
        self._gap: str | None = None
        self._sampler = Sampler(self._sample, SAMPLE_SECONDS) if sampled else None
        self.source = f"power of {_names(self._gpus)}, integrated, driver {self._nvml.nvmlSystemGetDriverVersion()}"

    def microjoules(self) -> int:
        if self._sampler:
            self._sampler.start()
        with self._lock:
            self._advance()
            if self._gap:
                reason, self._gap = self._gap, None
                raise Unavailable(reason)
            return self._doubled_picojoules // 2_000_000

    def _sample(self) -> None:
        with self._lock:
            self._advance()

    def _advance(self) -> None:
        """A stretch that lacks the power at either end is not integrated: it is a gap."""
        try:
            now, milliwatts = self._clock(), self._milliwatts()
        except Unavailable as error:
            self._last, self._gap = None, str(error)
            return
        if self._last is None:
            self._gap = self._gap or "the power of a GPU could not be read"
        else:
            then, before = self._last
            self._doubled_picojoules += (before + milliwatts) * (now - then)
        self._last = (now, milliwatts)

    def _milliwatts(self) -> int:
        return sum(_ask(self._nvml.nvmlDeviceGetPowerUsage, gpu) for gpu in self._gpus)


def visible_gpus(nvml: Any) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES names (by number or UUID), or all. Raises ``Unavailable``."""
    gpus = [_gpu(nvml, number) for number in range(nvml.nvmlDeviceGetCount())]
    if not gpus:
        raise Unavailable("NVML knows of no GPU on this machine")
    named = os.environ.get(VISIBLE)
    chosen = gpus if named is None else [_named(gpus, name.strip()) for name in named.split(",")]
    if len({gpu.uuid for gpu in chosen}) < len(chosen):
        raise Unavailable(f"{VISIBLE} names a GPU twice: {named}")
    for gpu in chosen:
        _refuse_mig(nvml, gpu)
    return chosen


def _gpu(nvml: Any, number: int) -> Gpu:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        return Gpu(handle, str(nvml.nvmlDeviceGetUUID(handle)), str(nvml.nvmlDeviceGetName(handle)))
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML cannot open GPU {number}: {error}") from error


def _named(gpus: Sequence[Gpu], name: str) -> Gpu:
    if name.startswith("MIG"):
        raise Unavailable(_MIG.format(name))
    if name.isdigit() and int(name) < len(gpus):
        if len({gpu.model for gpu in gpus}) > 1 and os.environ.get(ORDER) != "PCI_BUS_ID":
            raise Unavailable(
                f"{VISIBLE} names GPU {name} by number, and CUDA may number GPUs of several models otherwise than NVML "
                f"does; set {ORDER}=PCI_BUS_ID, or name it by its UUID (nvidia-smi -L)"
            )
        return gpus[int(name)]
    found = [gpu for gpu in gpus if name and gpu.uuid.startswith(name)]
    if len(found) != 1:
        there = ", ".join(f"{number}: {gpu.uuid}" for number, gpu in enumerate(gpus))
        raise Unavailable(f"{VISIBLE} names the GPU {name!r}, which is none or not one of these: {there}")
    return found[0]


_MIG: Final = (
    "GPU {} is divided (MIG), and its energy counter is of the whole: it cannot be said what one part used; "
    "use the whole GPU (`nvidia-smi -mig 0`) or another"
)


def _refuse_mig(nvml: Any, gpu: Gpu) -> None:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(gpu.handle)
    except nvml.NVMLError:
        return  # a GPU that cannot be divided
    if current:
        raise Unavailable(_MIG.format(gpu.uuid))


def _ask(question: Callable[[Any], int], gpu: Gpu) -> int:
    try:
        return int(question(gpu.handle))
    except Exception as error:  # NVMLError has a class for each code, made at run time
        raise Unavailable(f"{gpu.model} ({gpu.uuid[:12]}): {question.__name__} says: {error}") from error


def _names(gpus: Sequence[Gpu]) -> str:
    return ", ".join(f"{gpu.model} ({gpu.uuid[:12]})" for gpu in gpus)


def _module() -> Any:
    """pynvml with NVML open, which stays so to the end of the process. Raises ``Unavailable``."""
    try:
        nvml = import_module("pynvml")
    except ImportError as error:
        raise Unavailable(f"{error}; install it: pip install 'carbon-suite[nvidia]'") from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML does not open: {error}; is an NVIDIA driver installed (nvidia-smi)?") from error
    return nvml
