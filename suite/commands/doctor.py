"""``carbon-suite doctor``: what is metered here, and whether it can be trusted."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from suite.commands.options import JSON, examples, metering, print_json, settings


@click.command(epilog=examples("carbon-suite doctor", "carbon-suite doctor --meter rapl --json"))
@metering
@click.option("--device", default="cpu", show_default=True, help="What the trainings would run on: cpu, cuda, cuda:1.")
@JSON
def doctor(as_json: bool, **options: Any) -> None:
    """What is metered on this machine, by which source and how well; a self-test; what a cut costs.

    Exit status 1 if a check of the self-test fails.
    """
    found = examine(settings(**options))
    if as_json:
        print_json(found)
    else:
        _say(found)
    sys.exit(0 if found["ok"] else 1)


def examine(given: Any) -> dict[str, Any]:
    """All that the doctor finds, for programs. ``given``: the settings of a board."""
    from suite.energy.doctor import RAPL_GUIDE, Chain, overhead_microseconds, self_test
    from suite.listing import meters
    from suite.runs.machine import machine_facts

    means = given.means()
    selection, tree = given.select_meters(means=means), means.processes
    checks = self_test(selection.meters, tree, Chain(charged), crosscheck=given.crosscheck)
    here = meters()
    return {
        "machine": machine_facts(),
        "tier": selection.tier,
        "metered": selection.records(),
        "unmetered": selection.unmetered,
        "sources": [
            {key: meter[key] for key in ("name", "component", "tier", "available", "reason")} for meter in here
        ],
        "rapl": [] if any(m["name"] == "rapl" and m["available"] for m in here) else list(RAPL_GUIDE),
        "checks": [asdict(check) for check in checks],
        "cut_microseconds": round(overhead_microseconds(selection.meters, tree), 2),
        "ok": all(check.ok is not False for check in checks),
    }


def charged(segments: Iterable[Any]) -> int:
    """What a run is charged for ``segments``, by the code that charges it."""
    from suite.runs.log import Charge

    charge = Charge()
    charge.add(segments)
    return charge.microjoules


def _say(found: dict[str, Any]) -> None:
    machine = found["machine"]
    below = {True: "a virtual machine", False: "bare metal", None: ""}[machine["virtual"]]
    click.echo(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']} {below}\n"
    )
    for meter in found["metered"]:
        click.echo(
            f"{meter['component']}: {meter['meter']}, {meter['tier']}, right within a factor of {meter['factor']:g}: "
            f"{meter['source']} ({meter['reason']})"
        )
    for component, reason in found["unmetered"].items():
        click.echo(f"{component}: not metered: {reason}")
    click.echo("\nSelf-test")
    for check in found["checks"]:
        mark = {True: "ok    ", False: "FAILED", None: "      "}[check["ok"]]
        click.echo(f"  {mark} {check['check']}: {check['detail']}")
    click.echo(f"\nOne cut of the ledger takes {found['cut_microseconds']:g} microseconds of CPU time.")
    if found["rapl"]:
        click.echo("\nThe processor's own counters (RAPL) are not in use here.")
        for line in found["rapl"]:
            click.echo(f"  {line}")
