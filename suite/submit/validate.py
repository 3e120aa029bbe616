"""Checks a submission and recomputes its score from the logs. Reads; runs nothing.

Run as ``python -P -m suite.submit.validate SUBMISSION [REGISTER]``, it prints the report as JSON: that is how the
command calls it, in a process with limits on memory and time (``suite.submit.confine``).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.catalog import task_names, task_spec
from suite.energy.meter import Unavailable
from suite.runs.board import Reference, Settings
from suite.runs.log import Budget, LogError, RunLog, read_log
from suite.score.admission import ScoreError, not_admitted
from suite.submit import register, schema, whole
from suite.submit.findings import Findings, Report, plain
from suite.submit.header import (
    METERS,
    BoardFile,
    Installed,
    differences,
    is_this_release,
    of_a_calibration,
    of_a_run,
    strategy_problems,
)
from suite.submit.layout import BOARD, CODE, MANIFEST, SUBMISSION, Metadata, SubmissionError, is_log, is_task, problems
from suite.submit.order import Order
from suite.submit.power import Power
from suite.submit.reading import Found, Unreadable, parse, read_bytes, records, sha256, walk
from suite.submit.rules import (
    FULL_BUDGET,
    LEAST_DEFAULT_TRAININGS,
    LEAST_SEEDS,
    MOST_TRIALS,
    PROGRAM_TASKS,
    RELEASE,
    WATTS_PER_CORE,
)
from suite.submit.scored import figures_of, reference_problems, with_transfer
from suite.submit.whole import Checked


def validate(root: Path, register_file: Path | None = None) -> Report:
    """Check the submission in ``root``. Raises ``SubmissionError`` where there is none to look at, and ``OSError``."""
    if root.is_symlink() or not root.is_dir():
        raise SubmissionError(f"{root} is no folder; a submission is a folder of files (docs/submissions.md)")
    return Validation(root, register_file).report()


class Validation:
    """One look at a submission; every check adds to the same findings."""

    def __init__(self, root: Path, register_file: Path | None = None, installed: Installed | None = None) -> None:
        self.root = root
        self.findings = Findings()
        self.notes: list[str] = []
        self.figures: dict[str, Any] = {}
        self.files = walk(root, self.findings)
        self.installed = installed or Installed()
        self.digests: dict[str, str] = {}
        self.runs: list[Checked] = []
        self.calibrations: list[Checked] = []
        self.metadata: Metadata | None = None
        self.board: BoardFile | None = None
        self._register_file = register_file
        self._look()

    def report(self) -> Report:
        return Report(str(self.root), tuple(self.findings.kept), self.findings.dropped, tuple(self.notes), self.figures)

    def _look(self) -> None:
        self.metadata = self._metadata()
        self.board = self._board()
        manifest = self._document(MANIFEST)
        for file in self.files.values():
            if not is_log(file.path) and file.path not in self.digests:
                self._read(file)
        if self.metadata and self.board:
            self._check_rules(self.metadata, self.board)
            self._check_logs(self.metadata, self.board)
        self._check_manifest(manifest)

    # the documents

    def _read(self, file: Found) -> bytes | None:
        """The content of ``file``, once; its digest is kept for the manifest."""
        try:
            content = read_bytes(self.root, file)
        except Unreadable as error:
            self.findings.add("layout", file.path, str(error))
            return None
        self.digests[file.path] = sha256(content)
        return content

    def _document(self, name: str) -> Any:
        if name not in self.files:
            self.findings.add("layout", name, "is missing")
            return None
        content = self._read(self.files[name])
        try:
            return None if content is None else parse(content)
        except Unreadable as error:
            self.findings.add("schema", name, str(error))
            return None

    def _metadata(self) -> Metadata | None:
        record = self._document(SUBMISSION)
        if record is None:
            return None
        found = problems(record)
        for each in found:
            self.findings.add("schema", SUBMISSION, each)
        return None if found else Metadata.from_record(record)

    def _board(self) -> BoardFile | None:
        record = self._document(BOARD)
        if record is None:
            return None
        try:
            return _board_of(record)
        except (ValueError, TypeError, KeyError) as error:  # a SubmissionError is a ValueError
            self.findings.add("schema", BOARD, str(error))
        return None

    def _check_manifest(self, manifest: Any) -> None:
        if manifest is None:
            return
        if not isinstance(manifest, dict):
            self.findings.add("manifest", MANIFEST, "must be an object: sha256 and size by path")
            return
        for path in sorted((set(self.files) | set(manifest)) - {MANIFEST}):
            if path not in manifest:
                self.findings.add("manifest", path, "is not in the manifest")
            elif path not in self.files:
                self.findings.add("manifest", path, "is in the manifest and not here")
            elif path in self.digests:
                expected = {"sha256": self.digests[path], "bytes": self.files[path].size}
                if manifest[path] != expected:
                    self.findings.add("manifest", path, f"has {expected}, and the manifest {manifest[path]!r}")

    # the rules

    def _check_rules(self, metadata: Metadata, board: BoardFile) -> None:
        add = self.findings.add
        if metadata.release != RELEASE:
            add(
                "rules",
                SUBMISSION,
                f"this is release {RELEASE}, and the submission is of {metadata.release}: check it "
                "with the release that it belongs to",
            )
        where = tuple(metadata.path.split("/"))
        parts = self.root.resolve().parts
        if "results" in parts and parts[-len(where) :] != where:
            add("layout", SUBMISSION, f"belongs into results/{metadata.path}")
        if ("transfer" in metadata.board) != (metadata.transfer is not None) and not metadata.practice:
            add("rules", SUBMISSION, "what was known beforehand is declared on a transfer board, and only there")
        for task in metadata.tasks:
            if not self.installed.has(task):
                add("task", SUBMISSION, f"task {task} is not installed here, so that nothing of it can be checked")
            elif task not in board.references:
                add("task", BOARD, f"has no reference of task {task}")
        if self.installed.strategy(metadata.strategy) is None and not self._code():
            add("rules", CODE, "the strategy is none of the suite's, and its code is not here")
        if not metadata.practice:
            self._check_full(metadata, board.settings)
        self._check_register(metadata)

    def _check_full(self, metadata: Metadata, settings: Settings) -> None:
        add = self.findings.add
        if settings.budget != FULL_BUDGET:
            add("rules", BOARD, f"the budget is {FULL_BUDGET:g} random trainings, got {settings.budget:g}")
        if metadata.seeds < LEAST_SEEDS:
            add("rules", SUBMISSION, f"at least {LEAST_SEEDS} seeds, got {metadata.seeds}")
        if settings.default_trainings < LEAST_DEFAULT_TRAININGS:
            add("rules", BOARD, f"at least {LEAST_DEFAULT_TRAININGS} trainings of the default")
        if settings.program != metadata.board.endswith("-program"):
            add("rules", BOARD, f"program is {settings.program}, which is not the kind of board {metadata.board}")
        ranked = ranked_tasks(settings.program)
        if missing := sorted(ranked - set(metadata.tasks)):
            add("rules", SUBMISSION, f"tasks {', '.join(missing)} are of this board and missing")
        if other := sorted(set(metadata.tasks) - ranked):
            add("rules", SUBMISSION, f"tasks {', '.join(other)} are not of this board")

    def _check_register(self, metadata: Metadata) -> None:
        if self._register_file is None:
            if not metadata.practice:
                self.notes.append("the nonce was not looked up: no register was given (--register)")
            return
        self._rows = register.read(self._register_file)
        self.figures["nonces drawn"] = register.drawn(self._rows, metadata.strategy, metadata.board)

    def _code(self) -> list[str]:
        return [path for path in self.files if path.startswith(f"{CODE}/") and path.endswith(".py")]

    # the logs

    def _check_logs(self, metadata: Metadata, board: BoardFile) -> None:
        expected = whole.expected_files(metadata, board)
        for path in sorted(path for path in self.files if is_log(path) and path not in expected):
            self.findings.add("whole", path, "is none of the runs that the nonce, the tasks and the seeds ask for")
            self._read(self.files[path])
        before = len(self.findings)
        for path, (task, strategy, seed) in expected.items():
            if path not in self.files:
                self.findings.add("whole", path, "is missing: every task and seed is handed in, failed or not")
            elif self.installed.has(task) and task in board.references:
                self._check_log(path, task, strategy, seed)
        complete = len(self.findings) == before and len(self.runs) + len(self.calibrations) == len(expected)
        if len(self.calibrations) == board.settings.default_trainings * len(metadata.tasks):
            self._check_references(metadata, board)
        self._check_together(metadata, board, complete)

    def _check_log(self, path: str, task: str, strategy: str, seed: int) -> None:
        assert self.metadata
        assert self.board
        metadata, board = self.metadata, self.board
        content = self._read(self.files[path])
        found = None if content is None else records(content, path, self.findings)
        del content
        if found is None:
            return
        before = len(self.findings)
        for line, record in enumerate(found, 1):
            for each in schema.problems(record):
                self.findings.add("schema", path, each, line)
        if len(self.findings) > before:
            return
        if found[0]["record"] != "run":
            self.findings.add("order", path, "a log begins with one record 'run'", 1)
            return
        calibration = path.startswith("calibration/")
        spec = self.installed.spec(task, board.settings.program and not calibration)
        header = of_a_calibration if calibration else of_a_run
        if self._check_header(path, found[0], header(metadata, board, spec, seed), strategy):
            self._follow(path, found, replace(spec, constants=None) if calibration else spec)
        del found
        if len(self.findings) == before:
            self._keep(path, calibration)

    def _check_header(self, path: str, record: Mapping[str, Any], expected: Mapping[str, Any], strategy: str) -> bool:
        assert self.metadata
        assert self.board
        wrong = list(differences(record, expected))
        if not is_this_release(record["suite"]):
            wrong.append(f"suite must be of release {RELEASE}, got {record['suite']}")
        if record["strategy"].get("name") != strategy:
            wrong.append(f"strategy.name must be {strategy}, as the file's place says")
        known = self.installed.strategy(strategy)
        wrong += strategy_problems(record["strategy"], known, self.board.settings.program)
        if strategy == self.metadata.strategy and record["strategy"].get("version") != self.metadata.version:
            wrong.append(f"strategy.version must be {self.metadata.version}")
        digest = record["strategy"].get("file_sha256")
        if known is None and digest is not None and digest not in {self.digests.get(file) for file in self._code()}:
            wrong.append("strategy.file_sha256 is that of no file in strategy/: the code that ran is handed in")
        tier = record["meters"] and min(str(meter.get("tier")) for meter in record["meters"])
        if not self.metadata.practice and not self.metadata.board.startswith(f"{tier}-"):
            wrong.append(f"energy is {tier}, which is not the tier of board {self.metadata.board}")
        for each in wrong:
            self.findings.add("header", path, each, 1)
        return not wrong

    def _follow(self, path: str, found: Sequence[Mapping[str, Any]], spec: Any) -> None:
        """Go through the records of a log whose shape and header are right."""
        assert self.board

        def add(rule: str, message: str, line: int) -> None:
            self.findings.add(rule, path, message, line)

        header = found[0]
        Order(header, spec, Budget(**header["budget"]), add).follow(found)
        self._use = Power(self.board.means(header["machine"], header["workers"]), add).follow(found)

    def _keep(self, path: str, calibration: bool) -> None:
        try:
            log = read_log(self.root / path)
        except (LogError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.findings.add("log", path, f"cannot be read: {error}")
            return
        kept = Checked(path, whole.slim(log), self._use)
        (self.calibrations if calibration else self.runs).append(kept)
        if sum(len(each.log.trials) for each in self.runs) > MOST_TRIALS:
            raise SubmissionError(
                f"more than {MOST_TRIALS} trials in all; split the submission, or ask the maintainers"
            )

    # the logs together

    def _check_references(self, metadata: Metadata, board: BoardFile) -> None:
        for task in metadata.tasks:
            logs = [each.log for each in self.calibrations if each.task == task]
            try:
                measured = Reference.measure(task, logs)
            except ValueError as error:
                self.findings.add("reference", f"calibration/{task}", str(error))
                continue
            for each in differences(vars(board.references[task]), vars(measured), f"tasks.{task}"):
                self.findings.add("reference", BOARD, f"by the trainings of the default, {each}")

    def _check_together(self, metadata: Metadata, board: BoardFile, complete: bool) -> None:
        seconds: dict[str, float] = {}
        for each in self.calibrations:
            used = each.use.of_phase("train") + each.use.of_phase("validate")
            seconds[each.task] = seconds.get(each.task, 0.0) + used / 1e9 / board.settings.default_trainings
        known = [each for each in self.runs if each.task in seconds]
        whole.check_one_strategy(self.runs, self.findings)
        whole.check_uncharged(known, seconds, self.findings)
        whole.check_reference(self.runs, self.findings)
        whole.check_sight(self.runs, self.findings)
        whole.check_side_by_side([*self.calibrations, *self.runs], board.settings.jobs, self.findings)
        if self._register_file is not None:
            for message in register.problems(self._rows, metadata, whole.begun(self.runs)):
                self.findings.add("register", SUBMISSION, message)
        if complete:
            self._score([each.log for each in self.runs], metadata)

    def _score(self, logs: Sequence[RunLog], metadata: Metadata) -> None:
        try:
            figures, board = figures_of(with_transfer(logs, metadata), metadata)
        except ScoreError as error:
            self.findings.add("score", SUBMISSION, str(error))
            return
        self.figures |= figures
        self.notes += map(plain, board.notes)
        for each in reference_problems(board, logs):
            self.findings.add("reference", SUBMISSION, each)


def ranked_tasks(program: bool) -> set[str]:
    """What a board of submissions is made of: no more and no less."""
    if program:
        return set(PROGRAM_TASKS)
    specs = [task_spec(name) for name in task_names()]
    return {spec.name for spec in specs if spec.embedded and not not_admitted(spec)}


def _board_of(record: Any) -> BoardFile:
    """What ``board.json`` says. Raises ``SubmissionError`` and what a wrong shape raises."""
    if not isinstance(record, dict) or set(record) != {"settings", "sources", "tasks"}:
        raise SubmissionError("must be an object of settings, sources and tasks, as `carbon-suite run` writes it")
    for must in filter(None, (_SETTINGS(record["settings"]), _SOURCES(record["sources"]), _TASKS(record["tasks"]))):
        raise SubmissionError(must)
    if wrong := [name for name in record["tasks"] if not is_task(name)]:
        raise SubmissionError(f"{wrong[0]!r} is no name of a task")
    settings = {**record["settings"], "meters": tuple(record["settings"]["meters"])}
    board = BoardFile(
        settings=Settings(**settings),
        meters=tuple(record["sources"]["meters"]),
        reasons=record["sources"]["reasons"],
        references={name: Reference(**reference) for name, reference in record["tasks"].items()},
    )
    try:
        _ = board.meter_records  # which must be such that they can be
    except Unavailable as error:
        raise SubmissionError(f"the meters and the settings do not go together: {error}") from error
    return board


_POSITIVE = schema.number(1e-9, 1e12)
_SETTINGS = schema.exactly(
    budget=_POSITIVE,
    workers=schema.integer(1, 1000),
    jobs=schema.integer(1, 1000),
    device=schema.text(40),
    meters=schema.listing(schema.one_of("auto", *METERS), 8),
    watts_per_core=schema.number(0.5, WATTS_PER_CORE),
    idle_watts=schema.number(0.0, 1e4),
    ram_watts=schema.optional(schema.number(0.0, 300.0)),
    default_trainings=schema.integer(1, 100),
    crosscheck=schema.one_of(True, False),
    variant=schema.one_of(0),
    program=schema.one_of(True, False),
    memory_gib=schema.optional(_POSITIVE),
)
_SOURCES = schema.exactly(
    meters=schema.listing(schema.one_of(*METERS), 8), reasons=schema.mapping(schema.text(2000), 8)
)
_TASKS = schema.mapping(
    schema.exactly(
        version=schema.text(40),
        default_microjoules=schema.integer(1, 10**18),
        default_seconds=_POSITIVE,
        trainings=schema.integer(1, 100),
        v0=schema.number(),
        mix=schema.mapping(schema.number(0.0, 1.0), 8),
    ),
    200,
)


def main(root: str, register_file: str = "") -> int:
    """Print the report as JSON. Exit status: 0 accepted, 1 rejected, 2 there is nothing to look at."""
    try:
        report = validate(Path(root), Path(register_file) if register_file else None)
    except (SubmissionError, OSError) as error:
        print(plain(str(error)), file=sys.stderr)
        return 2
    json.dump(report.to_record(), sys.stdout)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
