"""codecarbon beside our ledger: one tracker over the whole run, an independent reading of its total.

Not our source, since its tasks lose what lies between them, and its short windows are coarse (docs/metering.md).
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any

from suite.energy.ledger import JOULES_PER_KWH


class CrossCheck:
    """Codecarbon's offline tracker from ``start`` to ``stop``. Whatever fails in it does not cost the run."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._tracker: Any = None
        self._reason = "switched off"

    def start(self) -> None:
        if not self._enabled:
            return
        try:
            with _quiet():
                from codecarbon import OfflineEmissionsTracker  # takes a while: only runs pay for it

                tracker = OfflineEmissionsTracker(
                    country_iso_code="FRA",  # required, though only its energy is read
                    tracking_mode="process",
                    measure_power_secs=15,
                    save_to_file=False,
                    allow_multiple_runs=True,
                    log_level="critical",
                )
                tracker.start()
                self._tracker = tracker
        except Exception as error:
            self._reason = f"codecarbon did not start: {type(error).__name__}: {error}"

    def stop(self, microjoules: int) -> dict[str, Any]:
        """Its energy in kWh by component beside our ``microjoules``, and the ratio of its CPU figure to ours.

        Its RAM figure is a constant power, and ours leaves RAM out; hence the ratio is of the CPU alone.
        """
        if self._tracker is None:
            return {"reason": self._reason}
        try:
            with _quiet():
                self._tracker.stop()
            data = self._tracker.final_emissions_data
        except Exception as error:
            return {"reason": f"codecarbon did not finish: {type(error).__name__}: {error}"}
        return {
            "codecarbon": data.codecarbon_version,
            "mode": data.tracking_mode,
            "cpu_model": data.cpu_model,
            "cpu_watts": data.cpu_power,
            "ram_watts": data.ram_power,
            "cpu_kwh": data.cpu_energy,
            "ram_kwh": data.ram_energy,
            "gpu_kwh": data.gpu_energy,
            "ledger_kwh": microjoules / 1e6 / JOULES_PER_KWH,
            "cpu_ratio": data.cpu_energy * JOULES_PER_KWH * 1e6 / microjoules if microjoules else None,
        }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """codecarbon prints notices before its own log level applies."""
    logger = logging.getLogger("codecarbon")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            yield
        finally:
            logger.setLevel(level)
