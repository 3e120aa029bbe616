"""Verifies a submission by doing some of it again: trials drawn at random, and every search asked anew.

Trials made again show forged values and costs. A strategy that is asked again, and told what the log says it was told,
must propose what the log says it proposed: chosen, dropped or reordered trials show, and so does a strategy that saw
more than it was told. Random search is always asked again; the submitted strategy, where it is the suite's own or its
code is given.
"""

import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from suite.runs.jobs import absolute_reference
from suite.runs.lineage import lineage
from suite.runs.log import LOG_NAME, RunHeader, RunLog, TrialEnd, read_log, read_records
from suite.runs.machine import machine_facts, package_version
from suite.runs.plan import RunPlan
from suite.runs.runner import keeps_checkpoints
from suite.runs.trial import Order
from suite.score.board import RANDOM
from suite.search.strategy import is_program
from suite.space import training_seed
from suite.submit.compare import (
    COST_FACTOR,
    COST_SLACK,
    EXACT,
    MEAN_COST_FACTOR,
    Made,
    cost_problem,
    is_same_machine,
    mean_cost,
    mean_cost_problem,
    value_problems,
)
from suite.submit.confine import Limits, OutOfTime, has_namespaces
from suite.submit.draw import draw, power
from suite.submit.findings import Findings, Report
from suite.submit.header import Installed
from suite.submit.layout import SUBMISSION, Metadata
from suite.submit.line import HungUp, Line
from suite.submit.order import info_of
from suite.submit.reading import parse

DRAWN: Final = 30
SEARCH_FACTOR: Final = 3.0  # between a search's CPU time in the log and when it is asked again
SEARCH_SECONDS: Final = 0.5
_DEFAULT_TRAININGS: Final = 3  # of each task, for what a training costs on this machine
_GIB: Final = 2**30


@dataclass(frozen=True)
class Drawn:
    """A trial that is made again, and the file that it is from."""

    file: str
    log: RunLog
    end: TrialEnd


class Verification:
    """One verification of the submission in ``root``, which ``validate`` accepts.

    reference: the strategy by name or as FILE.py:CLASS, where its code is at hand. key: what the draw follows from;
    fresh where it is empty.
    """

    def __init__(self, root: Path, count: int = DRAWN, reference: str | None = None, key: str = "") -> None:
        self.root = root
        self.metadata = Metadata.from_record(parse((root / SUBMISSION).read_bytes()))
        self.key = key or secrets.token_hex(8)
        self.findings = Findings()
        self.notes: list[str] = []
        self.figures: dict[str, Any] = {"strategy": f"{self.metadata.strategy} {self.metadata.version}"}
        self._count = count
        self.reference = absolute_reference(reference) if reference else self._own_reference()
        paths = sorted((root / "runs").rglob(LOG_NAME))
        self._logs = {path.relative_to(root).as_posix(): read_log(path) for path in paths}
        self._same = is_same_machine(self.metadata.environment, machine_facts())
        self._speed: dict[str, float] = {}  # CPU seconds of a training of the default here, by task
        self._logged_speed: dict[str, float] = {}  # the same by the submission's logs

    def report(self) -> Report:
        return Report(str(self.root), tuple(self.findings.kept), self.findings.dropped, tuple(self.notes), self.figures)

    @property
    def logs(self) -> list[RunLog]:
        return list(self._logs.values())

    @property
    def header(self) -> RunHeader:
        """Of any run: what all have in common."""
        return self.logs[0].header

    def pool(self) -> list[Drawn]:
        """Every trial that was trained to its end, in order."""
        return [
            Drawn(file, log, end)
            for file, log in self._logs.items()
            for end in log.trials
            if not end.returned and end.status in ("ok", "failed")
        ]

    def make_trials_again(self) -> None:
        everything = self.pool()
        pool = [each for each in everything if self._poser(each.log) is not None]
        drawn = draw(pool, self._count, f"{self.key}|{self.metadata.path}")
        ratios: dict[tuple[str, str], list[float]] = {}
        made = 0
        for task in self.metadata.tasks:
            own = [each for each in drawn if each.log.header.task.name == task]
            if not own:
                continue
            try:
                made += self._of_task(task, own, ratios)
            except (HungUp, OutOfTime) as error:
                self.findings.add("verify", f"runs/{task}", f"trials could not be made again: {error}")
        for (task, strategy), several in ratios.items():
            if problem := mean_cost_problem(several):
                self.findings.add("verify", f"runs/{task}/{strategy}", problem)
        self.figures |= {"trials": len(pool), "made again": made, "draw": self.key}
        self.figures["a forgery is caught with probability"] = power(len(pool), made)
        if len(pool) < len(everything):
            self.notes.append(
                "no trial of the submitted program was made again, since its code is not at hand (--strategy)"
            )
        self.notes += [
            "tolerance of values: "
            + (
                f"{EXACT:g} of the value, since this machine and its versions are those of the submission"
                if self._same
                else "the tasks' seed noise, since machine or versions differ; what is smaller is not seen"
            ),
            f"tolerance of costs, in trainings of the default: of one trial, a factor of {COST_FACTOR:g} and "
            f"{COST_SLACK:g} trainings either way; of the mean of a strategy's on a task, a factor of "
            f"{MEAN_COST_FACTOR:g}, or more where the costs scatter; of a search, a factor of {SEARCH_FACTOR:g} and "
            f"{SEARCH_SECONDS:g} CPU s",
        ]
        for (task, strategy), several in ratios.items():
            self.figures[f"cost of {strategy} on {task}, logged over made again"] = mean_cost(several)

    def _of_task(self, task: str, drawn: Sequence[Drawn], ratios: dict[tuple[str, str], list[float]]) -> int:
        made = 0
        with tempfile.TemporaryDirectory(prefix="carbon-suite-") as folder:
            for run, own in self._by_plan(drawn).items():
                with self._worker(task, own[0].log, run, Path(folder)) as line:
                    line.answer()
                    self._measure_speed(task, line)
                    for each in own:
                        again = make_again(line, each.log, each.end, Path(folder))
                        self._compare(each, again, ratios)
                        made += 1
        return made

    def _by_plan(self, drawn: Sequence[Drawn]) -> dict[str, list[Drawn]]:
        """On a program board the task is posed by a run's plan; elsewhere one process serves all runs of a task."""
        groups: dict[str, list[Drawn]] = {}
        for each in drawn:
            poser = self._poser(each.log)
            plan = _plan(each.log, poser).to_json() if each.log.header.program and poser else ""
            groups.setdefault(plan, []).append(each)
        return groups

    def _poser(self, log: RunLog) -> str | None:
        """Which strategy's plan poses the task of a program board: a program its own, for all others any other."""
        return self.reference if is_program(info_of(log.header.strategy)) else RANDOM

    def _worker(self, task: str, log: RunLog, run: str, folder: Path) -> Line:
        keep = "keep" if keeps_checkpoints(info_of(log.header.strategy)) else ""
        command = [sys.executable, "-P", "-m", "suite.submit.again", task, log.header.device, keep, run]
        return Line(command, folder, Limits(memory_bytes=16 * _GIB, seconds=30 + 2 * log.header.time_limit_seconds))

    def _measure_speed(self, task: str, line: Line) -> None:
        """What a training of the default takes here: costs are compared in these units."""
        spec = Installed().spec(task, program=False)
        if task in self._speed or self.header.program:
            return
        orders = [
            Order(0, spec.default, spec.fidelity.maximum, training_seed(seed, spec.default))
            for seed in range(_DEFAULT_TRAININGS)
        ]
        self._speed[task] = sum(_cpu_seconds(line.ask(order._asdict())) for order in orders) / len(orders)

    def _compare(self, drawn: Drawn, made: Made, ratios: dict[tuple[str, str], list[float]]) -> None:
        header, end = drawn.log.header, drawn.end
        for each in value_problems(header.task, end, made, self._same):
            self.findings.add("verify", drawn.file, f"trial {end.number}: {each}")
        if header.task.name not in self._speed or end.status != "ok" or made.status != "ok":
            return
        logged = cpu_seconds_of(drawn.log, lineage(drawn.log, end)) / self._logged_default(header.task.name)
        again = made.cpu_seconds / self._speed[header.task.name]
        if problem := cost_problem(logged, again):
            self.findings.add("verify", drawn.file, f"trial {end.number}: {problem}")
        if min(logged, again) > COST_SLACK:
            ratios.setdefault((header.task.name, str(header.strategy["name"])), []).append(logged / again)

    def _logged_default(self, task: str) -> float:
        """CPU seconds of a training of the default on the submission's machine."""
        if task not in self._logged_speed:
            logs = [read_log(path) for path in sorted((self.root / "calibration" / task).rglob(LOG_NAME))]
            self._logged_speed[task] = sum(cpu_seconds_of(log, log.trials) for log in logs) / len(logs)
        return self._logged_speed[task]

    def ask_strategies_again(self) -> None:
        """Ask random search, and the submitted strategy where it can be, what their logs say they were asked."""
        asked = 0
        for file, log in self._logs.items():
            name = str(log.header.strategy["name"])
            reference = RANDOM if name == RANDOM else self.reference
            if reference is None:
                continue
            asked += self._ask_again(file, log, reference)
        self.figures["searches asked again"] = f"{asked} of {len(self._logs)}"
        if self.reference is None:
            self.notes.append(
                "the submitted strategy was not asked again, since its code is not at hand (--strategy): trials that "
                "were left out, and search energy that was moved, would not show"
            )
        elif not has_namespaces():
            self.notes.append("the strategy had a network: this system gives ordinary users no namespaces")

    def _own_reference(self) -> str | None:
        return self.metadata.strategy if Installed().strategy(self.metadata.strategy) else None

    def _ask_again(self, file: str, log: RunLog, reference: str) -> int:
        if other := _other_library(log):
            self.notes.append(f"{file}: not asked again: {other}")
            return 0
        records, _ = read_records(self.root / file)
        with tempfile.TemporaryDirectory(prefix="carbon-suite-") as folder:
            problem = Path(folder) / "problem.json"
            task = replace(log.header.task, constants=None).to_record()
            problem.write_bytes(orjson.dumps({"plan": _plan(log, reference).to_json(), "task": task}))
            command = [sys.executable, "-P", "-m", "suite.submit.asking", reference, str(problem)]
            try:
                with Line(command, Path(folder), Limits(memory_bytes=8 * _GIB, seconds=600)) as line:
                    found, cpu_ns = first_difference(line, records)
            except (HungUp, OutOfTime) as error:
                self.findings.add("verify", file, f"the strategy could not be asked again: {error}")
                return 0
        if found:
            self.findings.add("verify", file, found[1], found[0])
        else:
            self._check_search(file, log, cpu_ns / 1e9)
        return 1

    def _check_search(self, file: str, log: RunLog, seconds: float) -> None:
        """The log charges for searching no less than searching takes, by a wide factor."""
        task = log.header.task.name
        charged = sum(each.cpu_ns for each in log.segments if each.phase in ("ask", "tell")) / 1e9
        here = self._speed.get(task)
        expected = seconds * (self._logged_default(task) / here if here else 1.0)
        if SEARCH_FACTOR * charged + SEARCH_SECONDS < expected:
            self.findings.add(
                "verify",
                file,
                f"searching takes {expected:.3g} CPU s when asked again, and the log charges {charged:.3g}: "
                f"less than a factor of {SEARCH_FACTOR:g} and {SEARCH_SECONDS:g} s allow",
            )


def first_difference(line: Line, records: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, str] | None, int]:
    """The first line of the log whose proposal is not what the strategy proposes, and the CPU time (ns) up to there."""
    cpu_ns = int(line.answer()["cpu_ns"])
    for number, record in enumerate(records, 1):
        if record["record"] == "ask":
            answer = line.ask({})
            if answer["answer"] != record["answer"]:
                proposed = orjson.dumps(answer["answer"]).decode()
                return (
                    number,
                    f"asked again, the strategy answers {proposed}: trials were chosen, or left out",
                ), cpu_ns
        elif record["record"] == "trial":
            told = {name: record[name] for name in ("trial", "status", "validation", "joules")}
            answer = line.ask(told)
        else:
            continue
        cpu_ns = int(answer["cpu_ns"])
    return None, cpu_ns


def make_again(line: Line, log: RunLog, end: TrialEnd, folder: Path) -> Made:
    """``end`` with all that it goes on from. Raises ``HungUp`` and ``OutOfTime``."""
    stages = lineage(log, end)
    seconds, start = 0.0, None
    for number, stage in enumerate(stages):
        save = str(folder / f"{number % 2}.pt") if stage is not end else None
        proposal = stage.proposal
        seed = training_seed(log.header.seed, proposal.configuration)
        order = Order(stage.number, proposal.configuration, proposal.fidelity, seed, start, save)
        answer = line.ask(order._asdict())
        seconds, start = seconds + _cpu_seconds(answer), save
    outcome = answer["outcome"]
    return Made(outcome["status"], outcome["validation"], outcome["test"], seconds)


def cpu_seconds_of(log: RunLog, ends: Sequence[TrialEnd]) -> float:
    """CPU seconds of training and validation of ``ends``, by the log."""
    numbers = {end.number for end in ends}
    return (
        sum(each.cpu_ns for each in log.segments if each.trial in numbers and each.phase in ("train", "validate")) / 1e9
    )


def _cpu_seconds(answer: Mapping[str, Any]) -> float:
    return float(sum(answer["cpu_ns"].get(phase, 0) for phase in ("train", "validate"))) / 1e9


def _plan(log: RunLog, reference: str) -> RunPlan:
    """The plan that the run of ``log`` was made by, as far as a strategy is told of it."""
    header = log.header
    return RunPlan(
        task=header.task.name,
        strategy=reference,
        seed=header.seed,
        budget=header.budget,
        workers=header.workers,
        device=header.device,
        program=header.program,
    )


def _other_library(log: RunLog) -> str | None:
    """Why a strategy may rightly answer otherwise here: what draws its proposals has another version."""
    strategy, theirs = log.header.strategy, log.header.machine.get("versions", {})
    pairs = {name: (theirs.get(name), package_version(name)) for name in ("ConfigSpace", "numpy")}
    if library := strategy.get("library"):
        pairs[library] = (strategy.get("library_version"), package_version(library))
    wrong = [f"{name} is {ours} here and {their} there" for name, (their, ours) in pairs.items() if their != ours]
    return "; ".join(wrong) or None
