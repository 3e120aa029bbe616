"""Mutates a submission many times, and says what became of each mutant.

    python -m tests.submit.mutations SUBMISSION --count 2000

Every mutant must be rejected by ``validate``, or score what the original scores, or be caught by ``verify``: by a
strategy that is asked again, for sure, or by a trial that is made again, with the probability that the report states.
Energies have tolerances, which the report states too: what is within them counts as tolerated, with what it gained.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from suite.catalog import load_strategy
from suite.runs.log import RunLog, TrialEnd, proposal_to_record, read_log, read_records
from suite.runs.memory import Trials
from suite.runs.plan import RunPlan
from suite.runs.session import build
from suite.runs.trial import Outcome
from suite.search.strategy import Signal
from suite.space import canonical
from suite.submit.compare import Made, cost_problem, value_problems
from suite.submit.draw import caught
from suite.submit.findings import Report
from suite.submit.header import Installed
from suite.submit.package import write_manifest
from suite.submit.validate import Validation
from suite.submit.verify import DRAWN, first_difference
from tests.submit import forge
from tests.submit.forge import Records

Mutation = Callable[[Path, random.Random], None]


# bytes and files


def digit(root: Path, rng: random.Random) -> None:
    """One digit of a log is another one."""
    path = rng.choice([*forge.logs(root), *forge.calibrations(root)])
    records = forge.load(path)
    number = rng.randrange(len(records))
    text = json.dumps(records[number])
    places = [place for place, each in enumerate(text) if each.isdigit()]
    for _ in range(20):
        place = rng.choice(places)
        changed = text[:place] + rng.choice("0123456789") + text[place + 1 :]
        try:
            records[number] = json.loads(changed)
        except ValueError:
            continue
        if changed != text:
            break
    forge.save(path, records)


def raw_byte(root: Path, rng: random.Random) -> None:
    """One byte of any file is another one, and the manifest is made anew."""
    path = rng.choice([each for each in sorted(root.rglob("*")) if each.is_file() and each.name != "manifest.json"])
    content = bytearray(path.read_bytes() or b"\n")
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def line(root: Path, rng: random.Random) -> None:
    """A line of a log is dropped, doubled, moved, or all after it are."""
    path = rng.choice([*forge.logs(root), *forge.calibrations(root)])
    records = forge.load(path)
    number = rng.randrange(len(records))
    match rng.randrange(4):
        case 0:
            del records[number]
        case 1:
            records.insert(number, records[number])
        case 2:
            records.insert(rng.randrange(len(records)), records.pop(number))
        case _:
            del records[number:]
    forge.save(path, records if rng.random() < 0.5 else _settled(records))


def file(root: Path, rng: random.Random) -> None:
    """A file is dropped, put in the place of another, or there twice."""
    paths = [each for each in sorted(root.rglob("*")) if each.is_file()]
    path, other = rng.sample(paths, 2)
    match rng.randrange(3):
        case 0:
            path.unlink()
        case 1:
            shutil.copyfile(path, other)
        case _:
            path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())


def field(root: Path, rng: random.Random) -> None:
    """A field of a record or document has another value, is missing, or there is one more."""
    documents = [root / name for name in ("submission.json", "board.json", "manifest.json")]
    path = rng.choice([*documents, *forge.logs(root), *forge.calibrations(root)])
    if path.suffix == ".json":
        forge.edit(path, lambda record: _change(record, rng))
        return
    records = forge.load(path)
    _change(rng.choice(records), rng)
    forge.save(path, records if rng.random() < 0.5 else _settled(records))


def _change(record: Any, rng: random.Random) -> None:
    where = rng.choice(forge.leaves(record))
    inside = forge.at(record, where[:-1])
    match rng.randrange(4):
        case 0 if isinstance(inside, dict):
            del inside[where[-1]]
        case 1 if isinstance(inside, dict):
            inside[f"{where[-1]}_"] = inside[where[-1]]
        case _:
            inside[where[-1]] = forge.other_value(inside[where[-1]], rng)


def _settled(records: Records) -> Records:
    try:
        return forge.settle(records)
    except (LookupError, TypeError, ValueError, AttributeError):
        return records


# what a cheat would do, with everything made consistent


def values(root: Path, rng: random.Random) -> None:
    """Some trials are better than they were."""
    path = rng.choice(forge.logs(root, _strategy(root)))
    records = forge.load(path)
    ends = forge.trials(records, "ok")
    for end in rng.sample(ends, rng.randint(1, len(ends))) if ends else ():
        factor = rng.choice((1 - 1e-6, 0.99, 0.9, 0.5))
        for name in rng.choice((("test",), ("validation",), ("validation", "test"))):
            end[name] *= factor
    forge.save(path, records)


def failures(root: Path, rng: random.Random) -> None:
    """Failed trials, or any others, never were; or a failed trial was none."""
    path = rng.choice(forge.logs(root))
    records = forge.load(path)
    ends = forge.trials(records, "failed") or forge.trials(records)
    if not ends:
        return
    chosen = rng.sample(ends, rng.randint(1, len(ends)))
    if rng.random() < 0.7:
        forge.save(path, forge.without_trials(records, {end["trial"] for end in chosen}))
        return
    for end in chosen:
        end |= {"status": "ok", "validation": 0.2, "test": 0.2, "reason": ""}
    forge.save(path, records)


def configuration(root: Path, rng: random.Random) -> None:
    """A trial is said to have had another configuration."""
    path = rng.choice(forge.logs(root))
    records = forge.load(path)
    asks = [each for each in records if each["record"] == "ask" and each["trial"] is not None]
    one, other = rng.choice(asks), rng.choice(asks)
    one["answer"], other["answer"] = other["answer"], one["answer"]
    forge.save(path, records)


def seeds(root: Path, rng: random.Random) -> None:
    """Seeds are chosen: another nonce, another seed in a header, or the runs of two seeds in each other's place."""
    paths = forge.logs(root, _strategy(root))
    match rng.randrange(3):
        case 0:
            forge.edit(root / "submission.json", lambda record: record.update(nonce=rng.randbytes(16).hex()))
        case 1:
            path = rng.choice(paths)
            records = forge.load(path)
            records[0]["seed"] += rng.randint(1, 99)
            forge.save(path, records)
            path.parent.rename(path.parent.with_name(f"seed-{records[0]['seed']}"))
        case _:
            one, other = rng.sample(paths, 2)
            first, second = forge.load(one), forge.load(other)
            first[0]["seed"], second[0]["seed"] = second[0]["seed"], first[0]["seed"]
            forge.save(one, second)
            forge.save(other, first)


def moved(root: Path, rng: random.Random) -> None:
    """Energy is moved to where it is not charged, or away."""
    path = rng.choice(forge.logs(root, _strategy(root)))
    records = forge.load(path)
    match rng.randrange(5):
        case 0:
            records = forge.relabel(records, "ask", "setup", of_trial=False)
        case 1:
            records = forge.relabel(records, "idle", rng.choice(("setup", "resume", "test")), of_trial=False)
        case 2:
            records = forge.relabel(records, "train", "test", of_trial=True)
        case 3:
            records = forge.scale(records, {"ask", "tell", "idle"}, rng.choice((1e-9, 0.1, 0.5)))
        case _:
            records = _ask_later(records)
    forge.save(path, records)


def _ask_later(records: Records) -> Records:
    """What searching took is charged with the last record, but for a nanosecond, since it took some time."""
    later = []
    for record in records[1:-1]:
        moved = [each for each in record["segments"] if each[0] in ("ask", "tell")]
        others = [each for each in record["segments"] if each[0] not in ("ask", "tell")]
        record["segments"] = others + [[each[0], each[1], {}, 0, 1] for each in moved]
        later += moved
    records[-1]["segments"] = [*records[-1]["segments"], *later]
    return forge.settle(records)


def cheaper(root: Path, rng: random.Random) -> None:
    """Trainings took less than they did, the search's own or, more, random search's."""
    factor = rng.uniform(0.05, 0.95)
    if rng.random() < 0.5:
        for path in forge.logs(root, _strategy(root))[: rng.choice((1, None))]:
            forge.save(path, forge.scale(forge.load(path), {"train", "validate"}, factor))
    else:
        for path in forge.logs(root, "random"):
            forge.save(path, forge.scale(forge.load(path), {"train", "validate"}, 1 / factor))


def budget(root: Path, rng: random.Random) -> None:
    """The default cost more than it did, so that the budget is larger."""
    factor = rng.uniform(1.1, 10.0)
    for path in forge.calibrations(root):
        forge.save(path, forge.scale(forge.load(path), {"train", "validate"}, factor))
    logs = [read_log(path) for path in forge.calibrations(root)]
    default = round(sum(log.trials[0].microjoules for log in logs) / len(logs))
    seconds = sum(log.trials[0].seconds for log in logs) / len(logs)

    def change(record: Any) -> None:
        for reference in record["tasks"].values():
            reference |= {"default_microjoules": default, "default_seconds": seconds}

    forge.edit(root / "board.json", change)
    for path in forge.logs(root):
        records = forge.load(path)
        header = records[0]
        m_t = header["task"]["constants"]["m_t"]
        header["budget"]["default_microjoules"] = default
        header["budget"]["microjoules"] = round(header["budget"]["multiple"] * m_t * default)
        forge.save(path, forge.settle(records))


def shorter(root: Path, rng: random.Random) -> None:
    """A run ended before it did, of itself."""
    path = rng.choice(forge.logs(root))
    records = forge.load(path)
    ends = [number for number, each in enumerate(records) if each["record"] == "trial"]
    cut = rng.choice(ends[:-1] or ends) + 1
    last = records[-1]
    asking, telling = ([phase, None, {}, 0, 10**5] for phase in ("ask", "tell"))  # which took some time
    ask = {"record": "ask", "trial": None, "answer": {"signal": "exhausted"}, "segments": [telling], "total": 0}
    end = {**last, "reason": rng.choice(("budget", "exhausted")), "segments": [*last["segments"], asking, telling]}
    forge.save(path, forge.settle([*records[:cut], *([ask] if end["reason"] == "exhausted" else []), end]))


MUTATIONS: Mapping[str, tuple[Mutation, int]] = {
    "digit": (digit, 5),
    "byte": (raw_byte, 3),
    "line": (line, 4),
    "file": (file, 2),
    "field": (field, 8),
    "values": (values, 4),
    "failures": (failures, 3),
    "configuration": (configuration, 2),
    "seeds": (seeds, 2),
    "moved energy": (moved, 4),
    "cheaper trainings": (cheaper, 2),
    "larger budget": (budget, 2),
    "shorter run": (shorter, 2),
}
#: Only these touch nothing but energies that verify compares within a tolerance.
OF_ENERGY = ("moved energy", "cheaper trainings", "larger budget")


@dataclass(frozen=True)
class Fate:
    """What became of a mutant. probability: that verify catches it. gain: by how much its Pi is higher."""

    mutation: str
    verdict: str
    probability: float = 1.0
    gain: float = 0.0


class Judge:
    """Knows the original: its score, and what its trials come to, which is what they come to when made again."""

    def __init__(self, original: Path) -> None:
        self.installed = Installed()
        report = Validation(original, installed=self.installed).report()
        assert report.passed, report.findings
        self.figures = report.figures
        self.strategy = _strategy(original)
        self._truth: dict[tuple[str, int, str, int], TrialEnd] = {}
        self._cost: dict[tuple[str, int, str, int], float] = {}
        self._default = {}
        for path in forge.logs(original):
            log = read_log(path)
            for end in log.trials:
                self._truth[_identity(log, end)] = end
                self._cost[_identity(log, end)] = _cpu(log, end)
        self._default = _defaults(original)

    def judge(self, mutant: Path, mutation: str) -> Fate:
        report = Validation(mutant, installed=self.installed).report()
        if not report.passed:
            return Fate(mutation, "rejected")
        if _same(report, self.figures):
            return Fate(mutation, "score unchanged")
        if not self._answers_alike(mutant):
            return Fate(mutation, "caught for sure")
        forged, total = self._forged(mutant)
        if forged:
            return Fate(mutation, "caught with a probability", caught(total, forged, min(DRAWN, total)))
        gain = report.figures["Pi"] - self.figures["Pi"]
        return Fate(mutation, "tolerated" if mutation in OF_ENERGY else "missed", 0.0, gain)

    def _answers_alike(self, mutant: Path) -> bool:
        """Whether the strategies, asked again, propose what the logs say."""
        return all(_difference(path) is None for path in forge.logs(mutant))

    def _forged(self, mutant: Path) -> tuple[int, int]:
        """How many of the trials would differ when made again, and of how many."""
        forged = total = 0
        default = _defaults(mutant)
        for path in forge.logs(mutant):
            log = read_log(path)
            for end in log.trials:
                if end.returned or end.status not in ("ok", "failed"):
                    continue
                total += 1
                truth = self._truth.get(_identity(log, end))
                forged += truth is None or self._differs(log, end, truth, default[log.header.task.name])
        return forged, total

    def _differs(self, log: RunLog, end: TrialEnd, truth: TrialEnd, default: float) -> bool:
        made = Made(truth.status, truth.validation, truth.test, 0.0)
        if value_problems(log.header.task, end, made, same=True):
            return True
        if end.status != "ok":
            return False
        again = self._cost[_identity(log, end)] / self._default[log.header.task.name]
        return cost_problem(_cpu(log, end) / default, again) is not None


class _InProcess:
    """Asks a strategy as ``suite.submit.asking`` does, in this process."""

    def __init__(self, log: RunLog) -> None:
        header = log.header
        factory = load_strategy(str(header.strategy["name"]))
        spec = replace(header.task, constants=None)
        plan = RunPlan(spec.name, "", header.seed, header.budget, workers=header.workers)
        self._trials = Trials(spec, factory.info, header.budget.v0, header.budget.default_microjoules / 1e6)
        self._strategy = build(factory, plan, spec, self._trials)

    def answer(self) -> dict[str, Any]:
        return {"cpu_ns": 0}

    def ask(self, told: Mapping[str, Any]) -> dict[str, Any]:
        if told:
            outcome = Outcome(told["status"], told["validation"])
            self._strategy.tell(self._trials.end(told["trial"], outcome, told["joules"]))
            return {"answer": None, "cpu_ns": 0}
        asked = self._strategy.ask()
        return {
            "answer": proposal_to_record(asked if isinstance(asked, Signal) else self._trials.accept(asked)),
            "cpu_ns": 0,
        }


def _difference(path: Path) -> Any:
    records, _ = read_records(path)
    found, _ = first_difference(_InProcess(read_log(path)), records)  # type: ignore[arg-type]
    return found


def _identity(log: RunLog, end: TrialEnd) -> tuple[str, int, str, int]:
    """What the outcome of a training follows from."""
    return log.header.task.name, log.header.seed, canonical(end.proposal.configuration), end.proposal.fidelity


def _cpu(log: RunLog, end: TrialEnd) -> float:
    own = [each.cpu_ns for each in log.segments if each.trial == end.number and each.phase in ("train", "validate")]
    return max(1, sum(own))


def _defaults(root: Path) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for path in forge.calibrations(root):
        log = read_log(path)
        found.setdefault(log.header.task.name, []).append(_cpu(log, log.trials[0]))
    return {task: sum(several) / len(several) for task, several in found.items()}


def _same(report: Report, figures: Mapping[str, Any]) -> bool:
    """Whether the scores are the same, whoever is said to have made them."""
    names = ("Pi", "H (1/kg)", "Pi interval", "by task")
    return all(json.dumps(report.figures.get(name)) == json.dumps(figures.get(name)) for name in names)


def _strategy(root: Path) -> str:
    return str(json.loads((root / "submission.json").read_text())["strategy"])


def mutate(original: Path, folder: Path, rng: random.Random, judge: Judge) -> Fate:
    """One mutant of ``original``, made in ``folder``, and what becomes of it."""
    name = rng.choices(list(MUTATIONS), [weight for _, weight in MUTATIONS.values()])[0]
    mutant = forge.copy(original, folder / "mutant")
    MUTATIONS[name][0](mutant, rng)
    if name not in ("file", "field") or rng.random() < 0.7:
        write_manifest(mutant)
    return judge.judge(mutant, name)


def table(fates: list[Fate]) -> str:
    verdicts = ("rejected", "score unchanged", "caught for sure", "caught with a probability", "tolerated", "missed")
    counts = Counter((fate.mutation, fate.verdict) for fate in fates)
    rows = [f"{'mutation':20}" + "".join(f"{verdict:>27}" for verdict in verdicts)]
    rows += [f"{name:20}" + "".join(f"{counts[name, verdict]:27}" for verdict in verdicts) for name in MUTATIONS]
    rows.append(f"{'all':20}" + "".join(f"{sum(f.verdict == verdict for f in fates):27}" for verdict in verdicts))
    some = [fate.probability for fate in fates if fate.verdict == "caught with a probability"]
    if some:
        rows.append(f"caught with a probability: smallest {min(some):.3g}, mean {sum(some) / len(some):.3g}")
    gains = [fate.gain for fate in fates if fate.verdict == "tolerated"]
    if gains:
        rows.append(f"tolerated: Pi higher by {max(gains):.3g} at most, {sum(gains) / len(gains):.3g} in the mean")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submission", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    judge, rng = Judge(given.submission), random.Random(given.seed)
    fates: list[Fate] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.count):
            state = rng.getstate()
            fates.append(mutate(given.submission, Path(folder), rng, judge))
            if fates[-1].verdict == "missed":
                print(f"missed: mutant {number}: {fates[-1]}", hash(state))
                forge.copy(Path(folder) / "mutant", Path(f"missed-{number}"))
    print(table(fates))


if __name__ == "__main__":
    main()
