"""Configurations as people write them: ``name=value`` on the command line, or a file, YAML or JSON."""

import json
import re
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
from suite.space import Configuration, complete, reader
from suite.task import TaskSpec

_BARE_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class WrittenError(ValueError):
    """What was written is no configuration of the task; the message says what would be."""


def read_file(path: Path) -> list[Mapping[str, Any]]:
    """What the file at ``path`` sets: a mapping from name to value, or a list of such mappings; JSON by its ending,
    else YAML.

    Raises ``WrittenError`` and ``OSError``.
    """
    import yaml

    try:
        text = path.read_text()
        given = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrittenError(f"{path}: cannot be read: {error}") from error
    several = given if isinstance(given, list) else [given]
    if not several or not all(isinstance(each, dict) for each in several):
        raise WrittenError(
            f"{path}: must map hyper-parameters to values (name: value), or be a list of such mappings, got "
            f"{str(given)[:60]}"
        )
    return several


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
    for name, value in read.items():
        _check(space[name], value)
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


def template(spec: TaskSpec, configuration: Configuration) -> str:
    """``configuration`` as a YAML file to edit; comments tell what else may be set."""
    lines = []
    for row in rows_of(spec):
        name, values = row["name"], row["values"]
        allowed = values if isinstance(values, str) else ", ".join(map(str, values))
        when = "" if row["active if"] == "always" else f"; active if {row['active if']}"
        key = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
        pair = f"{key}: {json.dumps(configuration.get(name, row['default']))}"
        lines += [f"# {allowed}; default {row['default']}{when}", pair if name in configuration else f"# {pair}"]
    return "\n".join([*lines, ""])


def one_line(configuration: Configuration, default: Configuration | None = None) -> str:
    """``configuration``, or how it differs from ``default``, as it is given on the command line."""
    base = default or {}
    return " ".join(f"{name}={value}" for name, value in configuration.items() if base.get(name) != value)


def _read(hyperparameter: Hyperparameter[Any, Any], value: Any) -> Any:
    """A value as its kind of hyper-parameter has it, where it is text; whether it is legal is found out later."""
    if not isinstance(value, str):
        return value
    match hyperparameter:
        case UniformFloatHyperparameter() | UniformIntegerHyperparameter():
            try:
                return float(value)
            except ValueError:
                kind = f"a number from {hyperparameter.lower:g} to {hyperparameter.upper:g}"
                raise WrittenError(f"{hyperparameter.name} must be {kind}, got {value!r}") from None
        case CategoricalHyperparameter():
            choices = hyperparameter.choices
        case OrdinalHyperparameter():
            choices = hyperparameter.sequence
        case _:
            choices = (hyperparameter.default_value,)
    by_text = {str(choice).lower(): choice for choice in choices} | {str(choice): choice for choice in choices}
    if value not in by_text:
        raise WrittenError(f"{hyperparameter.name} must be one of {', '.join(map(str, choices))}, got {value!r}")
    return by_text[value]


def _check(hyperparameter: Hyperparameter[Any, Any], value: Any) -> None:
    try:
        reader(hyperparameter)(value)
    except ValueError as error:
        raise WrittenError(f"{hyperparameter.name} {error}") from error
    except TypeError:
        raise WrittenError(f"{hyperparameter.name} must be a single value, got {value!r}") from None


def _condition(space: ConfigurationSpace, name: str) -> str:
    return " and ".join(str(condition).partition(" | ")[2] for condition in space.parent_conditions_of[name])
