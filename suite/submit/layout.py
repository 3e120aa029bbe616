"""What a submission is: a folder of plain files, and what it says of itself.

    results/RELEASE/BOARD/STRATEGY/VERSION/
      submission.json                                  who, what, under which licence; the nonce of its seeds
      manifest.json                                    SHA-256 and size of every other file
      board.json                                       settings of the runs, and each task's default as measured there
      calibration/PARADIGM/TASK/seed-N/log.jsonl       trainings of the default, which the budgets come from
      runs/PARADIGM/TASK/STRATEGY/seed-N/log.jsonl     the runs; those of random search, with the same seeds, too
      strategy/                                        the strategy's code, where it is not part of the suite

It is a board's directory, so that `carbon-suite rank` and `report` read it. A trial log holds its meter's trace.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from suite.submit.rules import PRACTICE

SCHEMA: Final = 1
SUBMISSION: Final = "submission.json"
MANIFEST: Final = "manifest.json"
BOARD: Final = "board.json"
CODE: Final = "strategy"

TIERS: Final = ("measured", "estimated")
BOARDS: Final = (
    *(
        f"{tier}-{knowledge}-{kind}"
        for tier in TIERS
        for knowledge in ("cold", "transfer")
        for kind in ("black-box", "program")
    ),
    PRACTICE,
)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]|[a-z0-9]")
_TASK: Final = re.compile(r"[a-z0-9_]{1,40}/[a-z0-9][a-z0-9_-]{0,40}")
_NONCE: Final = re.compile(r"[0-9a-f]{16,64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_LINK: Final = re.compile(r"https://[A-Za-z0-9._~:/?#@!$&()*+,;%=-]{3,300}")
#: Names and licences: one line of letters, marks, digits and mild punctuation, beginning with a letter.
_TEXT: Final = re.compile(r"[^\W\d_][\w .,'()+&/@:-]{0,199}")
_LOG: Final = re.compile(
    r"(calibration/[a-z0-9_]+/[a-z0-9_-]+|runs/[a-z0-9_]+/[a-z0-9_-]+/[a-z0-9._-]+)/seed-(0|[1-9][0-9]{0,9})/log\.jsonl"
)
_SOURCE: Final = re.compile(r"strategy(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_SOURCE_ENDINGS: Final = (".py", ".toml", ".md", ".txt", ".json", ".cfg")


class SubmissionError(ValueError):
    """A submission that cannot be made or looked at; the message says what to do."""


@dataclass(frozen=True)
class Metadata:
    """What ``submission.json`` says.

    release: Major.Minor of code and rules. strategy, version: as in the logs. link, commit: where the code is. nonce:
    from the register; the seeds follow from it. seeds: how many a task. environment: machine and versions, as in the
    logs. transfer: what the strategy knew beforehand and the energy (kWh) that this took, or None; it is charged.
    """

    schema: int
    release: str
    board: str
    strategy: str
    version: str
    authors: tuple[str, ...]
    licence: str
    link: str
    commit: str
    nonce: str
    tasks: tuple[str, ...]
    seeds: int
    environment: Mapping[str, Any]
    transfer: Mapping[str, Any] | None = None

    def to_record(self) -> dict[str, Any]:
        return {**asdict(self), "authors": list(self.authors), "tasks": list(self.tasks)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """``record``, in which ``problems`` finds nothing."""
        return cls(**{**record, "authors": tuple(record["authors"]), "tasks": tuple(record["tasks"])})

    @property
    def practice(self) -> bool:
        return self.board == PRACTICE

    @property
    def path(self) -> str:
        """Where it belongs, below ``results``."""
        return f"{self.release}/{self.board}/{self.strategy}/{self.version}"


def seeds_of(nonce: str, task: str, count: int) -> list[int]:
    """The seeds of the runs on ``task``, in [0, 2**31): hashes of the nonce, the task and 0, 1, ..."""
    digests = (hashlib.sha256(f"{nonce}|{task}|{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4], "big") >> 1 for digest in digests]


def problems(record: Any) -> list[str]:
    """What is wrong with the content of ``submission.json``, all of it."""
    if not isinstance(record, dict):
        return ["must be an object"]
    known = {each.name for each in fields(Metadata)}
    found = [f"{name} is missing" for name in sorted(known - set(record))]
    found += [f"{name!r} is no field of a submission" for name in sorted(set(record) - known)]
    for name, value in record.items():
        rule = _RULES.get(name)
        if rule and not rule[0](value):
            found.append(f"{name} must be {rule[1]}, got {value!r}")
    return found


def allowed(path: str) -> bool:
    """Whether a file may be at ``path`` in a submission."""
    if path in (SUBMISSION, MANIFEST, BOARD):
        return True
    return bool(_LOG.fullmatch(path)) or (bool(_SOURCE.fullmatch(path)) and path.endswith(_SOURCE_ENDINGS))


def is_log(path: str) -> bool:
    return bool(_LOG.fullmatch(path))


def is_name(text: Any) -> bool:
    return isinstance(text, str) and bool(_NAME.fullmatch(text)) and ".." not in text


def is_task(text: Any) -> bool:
    return isinstance(text, str) and bool(_TASK.fullmatch(text))


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def _is_text(value: Any) -> bool:
    return _matches(_TEXT, value) and value.isprintable()


def _several(value: Any, rule: Any, most: int) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and 0 < len(value) <= most
        and all(map(rule, value))
        and len(set(value)) == len(value)
    )


def _is_environment(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 40 and all(isinstance(key, str) for key in value)


def _is_transfer(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {"what", "kwh"} or isinstance(value["kwh"], bool):
        return False
    return _is_text(value["what"]) and isinstance(value["kwh"], int | float) and 0 < value["kwh"] < 1e9


_TEXT_RULE: Final = "a line of letters, digits and .,'()+&/@:- that begins with a letter, of 200 characters at most"
_RULES: Final[Mapping[str, tuple[Any, str]]] = {
    "schema": (lambda value: value == SCHEMA and type(value) is int, str(SCHEMA)),
    "release": (lambda value: _matches(re.compile(r"[0-9]{1,4}\.[0-9]{1,4}"), value), "Major.Minor, such as 1.0"),
    "board": (lambda value: value in BOARDS, f"one of {', '.join(BOARDS)}"),
    "strategy": (is_name, "a name of a-z, 0-9, '.', '_' and '-'"),
    "version": (is_name, "a name of a-z, 0-9, '.', '_' and '-'"),
    "authors": (lambda value: _several(value, _is_text, 50), f"a list of names, each {_TEXT_RULE}"),
    "licence": (_is_text, _TEXT_RULE),
    "link": (lambda value: _matches(_LINK, value), "an https address"),
    "commit": (lambda value: _matches(_COMMIT, value), "7 to 64 hexadecimal digits"),
    "nonce": (lambda value: _matches(_NONCE, value), "16 to 64 hexadecimal digits"),
    "tasks": (lambda value: _several(value, is_task, 200), "a list of tasks, such as few_shot/sinusoid, each once"),
    "seeds": (lambda value: type(value) is int and 0 < value <= 1000, "a whole number from 1 to 1000"),
    "environment": (_is_environment, "an object"),
    "transfer": (_is_transfer, f"null, or an object of 'what' ({_TEXT_RULE}) and 'kwh', more than 0"),
}
