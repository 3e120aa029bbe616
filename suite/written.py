"""Configurations as people write them: ``name=value`` on the command line or in a file, TOML, or JSON."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter

from suite.listing import space as rows_of
from suite.space import Configuration, complete
from suite.task import TaskSpec

STYLES: Final = ("lines", "toml", "json")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class WrittenError(ValueError):
    """What was written is no configuration of the task; the message says what would be."""


def read_file(path: Path) -> dict[str, Any]:
    """What the file at ``path`` sets: JSON or TOML by its ending, else lines of ``name=value``, with ``#`` comments.

    Raises ``WrittenError`` and ``OSError``.
    """
    try:
        text = path.read_text()
        if path.suffix == ".json":
            given = json.loads(text)
        elif path.suffix == ".toml":
            given = tomllib.loads(text)
        else:
            lines = (line.strip() for line in text.splitlines())
            given = read_pairs(line for line in lines if line and not line.startswith("#"))
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrittenError(f"{path}: cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise WrittenError(f"{path}: must map hyper-parameters to values, got {json.dumps(given)[:60]}")
    return given


def read_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """``["depth=2", "width=16"]`` as a mapping from name to text. Raises ``WrittenError``."""
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not (name and equals and text):
            raise WrittenError(f"hyper-parameters are set as name=value, got {pair!r}")
        if name in given:
            raise WrittenError(f"{name} is set twice: to {given[name]} and to {text}")
        given[name] = text
    return given


def fill_in(spec: TaskSpec, given: Mapping[str, Any], base: Configuration) -> Configuration:
    """The configuration that sets what is ``given``, and takes the rest from ``base``, then from the space's defaults.

    Raises ``WrittenError`` on what the space does not know, is out of range, or does not apply beside the rest.
    """
    space = spec.space
    for name in given:
        if name not in space:
            raise WrittenError(f"{spec.name} has no hyper-parameter {name!r}; it has: {', '.join(space)}")
    values = {name: space[name].default_value for name in space}
    read = {name: _read(space[name], value) for name, value in given.items()}
    try:
        configuration = complete(space, {**values, **base, **read})
    except ValueError as error:
        raise WrittenError(str(error)) from error
    for name in given:
        if name not in configuration:
            raise WrittenError(
                f"{name} does not apply here: it is active only if {_condition(space, name)}; leave it out"
            )
    return configuration


def template(spec: TaskSpec, configuration: Configuration, style: str) -> str:
    """``configuration`` as a file to edit, in one of ``STYLES``; comments tell what else may be set."""
    if style == "json":
        return json.dumps(configuration, indent=2) + "\n"
    lines = []
    for row in rows_of(spec):
        name, values = row["name"], row["values"]
        allowed = values if isinstance(values, str) else ", ".join(map(str, values))
        when = "" if row["active if"] == "always" else f"; active if {row['active if']}"
        set_ = _pair(name, configuration.get(name, row["default"]), style)
        lines += [f"# {allowed}; default {row['default']}{when}", set_ if name in configuration else f"# {set_}"]
    return "\n".join([*lines, ""])


def one_line(configuration: Configuration) -> str:
    """``configuration`` as it is given on the command line."""
    return " ".join(_pair(name, value, "lines") for name, value in configuration.items())


def _pair(name: str, value: Any, style: str) -> str:
    if style == "toml":
        return f"{name if _BARE_KEY.fullmatch(name) else json.dumps(name)} = {json.dumps(value)}"
    return f"{name}={value}"


def _read(hyperparameter: Hyperparameter[Any, Any], value: Any) -> Any:
    """A value as its kind of hyper-parameter has it, where it is text; whether it is legal is found out later."""
    if not isinstance(value, str):
        return value
    match hyperparameter:
        case UniformFloatHyperparameter() | UniformIntegerHyperparameter():
            try:
                return float(value)
            except ValueError:
                raise WrittenError(f"{hyperparameter.name} must be a number, got {value!r}") from None
        case CategoricalHyperparameter():
            choices = hyperparameter.choices
        case OrdinalHyperparameter():
            choices = hyperparameter.sequence
        case _:
            choices = (hyperparameter.default_value,)
    by_text = {str(choice): choice for choice in choices}
    if value not in by_text:
        raise WrittenError(f"{hyperparameter.name} must be one of {', '.join(by_text)}, got {value!r}")
    return by_text[value]


def _condition(space: ConfigurationSpace, name: str) -> str:
    return " and ".join(str(condition).partition(" | ")[2] for condition in space.parent_conditions_of[name])
