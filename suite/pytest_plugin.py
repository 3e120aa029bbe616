"""A fixture for other projects' tests: energy and carbon of what pytest-benchmark times.

    def test_training_step(carbon_benchmark):
        carbon_benchmark(step, batch)
        assert carbon_benchmark.joules_per_call < 2.0

It is pytest-benchmark's ``benchmark`` with joules and kg CO2e beside the seconds, in ``extra_info`` and so in its JSON.
A call counts the CPU time of its threads and of its ended children, or what the machine's counters say; GPU work is
waited for. Nothing is imported before a test asks for the fixture.
"""

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from suite.energy.carbon import Place
    from suite.energy.selection import Selection
    from suite.energy.uncertainty import Energy


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("carbon", "energy and carbon of benchmarks (carbon-suite)")
    group.addoption("--carbon-meter", action="append", metavar="NAME", help="Meter to use, one a component, or auto.")
    group.addoption("--carbon-device", default="cpu", metavar="DEVICE", help="What is metered: cpu (default), cuda.")
    group.addoption("--carbon-grid", metavar="ZONE|G|CSV", help="Zone or grams per kWh; default: frozen reference.")
    group.addoption("--carbon-pue", type=float, metavar="PUE", help="Of the site; default: the frozen reference.")


@pytest.fixture
def carbon_benchmark(request: pytest.FixtureRequest) -> "CarbonBenchmark":
    """pytest-benchmark's ``benchmark``, metered. An error where pytest-benchmark is not installed."""
    if not request.config.pluginmanager.hasplugin("benchmark"):
        pytest.fail("the fixture carbon_benchmark needs pytest-benchmark: pip install pytest-benchmark", pytrace=False)
    return CarbonBenchmark(request.getfixturevalue("benchmark"), request.config)


class CarbonBenchmark:
    """Calls ``benchmark`` and meters it. The figures are of the last call, per call of the function, warm-up included.

    joules_per_call, kg_co2e_per_call: None before the first. interval: of the joules, by the meters' prior errors.
    """

    def __init__(self, benchmark: Any, config: pytest.Config) -> None:
        from suite.energy.carbon import REFERENCE, REFERENCE_PUE
        from suite.energy.places import place
        from suite.runs.board import Settings

        grid, pue = config.getoption("--carbon-grid"), config.getoption("--carbon-pue")
        given = Settings(device=config.getoption("--carbon-device"))
        means = given.means()
        self._benchmark = benchmark
        self._device = given.device
        self._processes = means.processes
        self._selection: Selection = given.select_meters(config.getoption("--carbon-meter") or (), means=means)
        self._place: Place = place(grid) if grid else REFERENCE
        self._pue = REFERENCE_PUE if pue is None else pue
        self.joules_per_call: float | None = None
        self.kg_co2e_per_call: float | None = None
        self.interval: tuple[float, float] | None = None

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """As ``benchmark(function, *arguments, **named)``."""
        return self._metered(lambda counted: self._benchmark(counted, *arguments, **named), function)

    def pedantic(self, target: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """As ``benchmark.pedantic(target, ...)``."""
        return self._metered(lambda counted: self._benchmark.pedantic(counted, *arguments, **named), target)

    def _metered(self, run: Callable[[Callable[..., Any]], Any], function: Callable[..., Any]) -> Any:
        from suite.energy.ledger import Ledger

        calls = 0

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            return function(*arguments, **named)

        self._synchronize()
        ledger = Ledger(self._selection.meters, self._processes)
        with ledger.window("train", 1):
            result = run(counted)
            self._synchronize()
        spent = next((segment for segment in ledger.drain() if segment.trial == 1), None)
        if spent and calls:
            self._record(self._energy(spent.microjoules, spent.wall_ns, ledger.drain_gaps().uncovered_ns), calls)
        return result

    def _energy(self, microjoules: Any, wall_ns: int, uncovered_ns: Any) -> "Energy":
        from suite.energy.uncertainty import Worth, coverage, energy, total

        parts = []
        for info in (meter.info for meter in self._selection.meters):
            worth = Worth(info.factor, info.tick_seconds, coverage(uncovered_ns, wall_ns, info.component))
            amount = microjoules.get(info.component, 0)
            parts.append(energy(amount, worth, amount * 1e3 / wall_ns, stretches=1))
        return total(parts)

    def _record(self, spent: "Energy", calls: int) -> None:
        from suite.energy.carbon import kg_co2e
        from suite.energy.ledger import JOULES_PER_KWH

        each = {name: joules and joules / calls for name, joules in spent.to_record().items()}
        self.joules_per_call = each["joules"]
        self.interval = (spent.low / 1e6 / calls, spent.high / 1e6 / calls)
        self.kg_co2e_per_call = kg_co2e(spent.microjoules / 1e6 / JOULES_PER_KWH, self._place, self._pue) / calls
        self._benchmark.extra_info.update(
            joules_per_call=self.joules_per_call,
            joules_low=each["low"],
            joules_high=each["high"],
            kg_co2e_per_call=self.kg_co2e_per_call,
            grid=self._place.describe(),
            pue=self._pue,
            tier=self._selection.tier,
            meters=self._selection.records(),
            unmetered=self._selection.unmetered,
            calls=calls,
        )

    def _synchronize(self) -> None:
        torch = sys.modules.get("torch")
        if torch is not None and self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
