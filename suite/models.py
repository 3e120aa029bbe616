"""The model that a search found, as files that others can use: weights as safetensors, and where they come from.

    DIR/model.safetensors     the tensors of the training's last state
    DIR/state.json            its other values, and where each tensor belongs
    DIR/configuration.json    task, configuration, fidelity and training seed
    DIR/metrics.json          validation and test value, as in the log and as retrained
    DIR/README.md             the model card: what, on which data, at what cost of energy

A run keeps no weights. The incumbent is trained anew from its configuration and seed, which on the same machine and
versions gives the same model bit for bit.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from suite.catalog import load_task
from suite.energy.ledger import JOULES_PER_KWH
from suite.runs.lineage import lineage
from suite.runs.log import RunLog, TrialEnd
from suite.runs.worker import pin_threads
from suite.score.curve import incumbents
from suite.search.strategy import Proposal
from suite.space import training_seed
from suite.task import Checkpoint, Task

if TYPE_CHECKING:
    import torch

WEIGHTS: Final = "model.safetensors"
STATE: Final = "state.json"
_TENSOR: Final = "__tensor__"


class ModelError(ValueError):
    """A run whose model cannot be exported; the message says why and what to do."""


@dataclass(frozen=True)
class Found:
    """The model in hand at the end of a run: its last stage, the stages that led there, its values in the log (None:
    the default, of which a run has no test value)."""

    proposal: Proposal
    stages: tuple[Proposal, ...]
    trial: int
    validation: float | None
    test: float | None
    microjoules: int


def incumbent(log: RunLog) -> Found:
    """The incumbent at the end of ``log``: the default where nothing beat it. Raises ``ModelError``."""
    header, budget = log.header, log.header.budget
    if header.program:
        raise ModelError(f"{log.path}: models of program boards are not exported; their state belongs to the program")
    if budget.v0 is None:
        raise ModelError(f"{log.path}: this run is no search, so that it has no incumbent")
    charges = [end.charged_microjoules for end in log.trials]
    limit = float("inf") if budget.microjoules is None else budget.microjoules
    found = incumbents(log.trials, charges, header.task.validation, budget.v0, limit)
    if not found:
        default = Proposal(header.task.default, header.task.fidelity.maximum)
        return Found(default, (default,), 0, budget.v0, None, budget.default_microjoules)
    end: TrialEnd = found[-1][0]
    stages = lineage(log, end)
    cost = sum(stage.microjoules for stage in stages)
    proposals = tuple(stage.proposal for stage in stages)
    return Found(end.proposal, proposals, end.number, end.validation, end.test, cost)


def export_model(log: RunLog, out: Path) -> Path:
    """Train the incumbent of ``log`` anew and write it to the new folder ``out``. Raises ``ModelError``.

    Raises ``CatalogError`` where the task is not installed, and ``DataError`` where its data are not here.
    """
    save_file = _safetensors().save_file
    if out.exists():
        raise ModelError(f"{out} is there already; choose a new folder")
    found, task = incumbent(log), load_task(log.header.task.name)
    if task.spec.version != log.header.task.version:
        raise ModelError(
            f"{log.path} is of version {log.header.task.version} of task {task.spec.name}, and {task.spec.version} is "
            "installed; install the release that the log names"
        )
    pin_threads(log.header.device)
    data = task.load(log.header.variant)
    checkpoint = _trained(task, data, log, found)
    retrained = {split: float(task.evaluate(data, checkpoint, split)) for split in ("validation", "test")}
    tensors: dict[str, torch.Tensor] = {}
    state = _split(dict(checkpoint.state), "", tensors)
    out.mkdir(parents=True)
    save_file(tensors, out / WEIGHTS)
    metrics = {
        "validation": {
            "metric": asdict(task.spec.validation),
            "log": found.validation,
            "retrained": retrained["validation"],
        },
        "test": {"metric": asdict(task.spec.test), "log": found.test, "retrained": retrained["test"]},
    }
    _write(out / STATE, {"fidelity": checkpoint.fidelity, "state": state})
    _write(out / "configuration.json", _configuration(log, found))
    _write(out / "metrics.json", metrics)
    (out / "README.md").write_text(_card(log, found, retrained))
    return out


def load_model(folder: Path) -> Checkpoint:
    """The exported checkpoint in ``folder``, which ``Task.evaluate`` takes."""
    tensors = _safetensors().load_file(folder / WEIGHTS)
    kept = json.loads((folder / STATE).read_text())
    return Checkpoint(kept["fidelity"], _joined(kept["state"], tensors))


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ModelError("weights are written by safetensors: pip install 'carbon-suite[models]'") from error
    return safetensors.torch


def _trained(task: Task, data: Any, log: RunLog, found: Found) -> Checkpoint:
    """The incumbent's checkpoint, through all the stages that led to it."""
    checkpoint: Checkpoint | None = None
    for stage in found.stages:
        if checkpoint is not None and checkpoint.fidelity >= stage.fidelity:
            continue
        seed = training_seed(log.header.seed, stage.configuration)
        training = task.train(data, stage.configuration, seed, log.header.device, checkpoint)
        checkpoint = next((each for each in training if each.fidelity >= stage.fidelity), None)
        if checkpoint is None:
            raise ModelError(f"{log.path}: trained anew, trial {found.trial} ended before {stage.fidelity}")
    assert checkpoint is not None  # there is one stage at least
    return checkpoint


def _split(value: Any, name: str, tensors: "dict[str, torch.Tensor]") -> Any:
    """``value`` with a reference in place of every tensor, which goes to ``tensors``. Types that JSON has not are told
    apart, so that ``_joined`` gives the same back."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        items = [
            [_plain_key(key), _split(each, f"{name}.{key}" if name else str(key), tensors)]
            for key, each in value.items()
        ]
        return {"__items__": items}
    if isinstance(value, list | tuple):
        kind = "__list__" if isinstance(value, list) else "__tuple__"
        return {kind: [_split(each, f"{name}.{number}", tensors) for number, each in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(f"the state's {name or 'value'} is a {type(value).__name__}, which is neither a tensor nor plain")


def _plain_key(key: Any) -> Any:
    if isinstance(key, str | int):
        return key
    raise ModelError(f"the state has a key of kind {type(key).__name__}; keys are texts and whole numbers")


def _joined(value: Any, tensors: "Mapping[str, torch.Tensor]") -> Any:
    """Inverse of ``_split``."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == _TENSOR:
        return tensors[content]
    if kind == "__items__":
        return {key: _joined(each, tensors) for key, each in content}
    joined = [_joined(each, tensors) for each in content]
    return joined if kind == "__list__" else tuple(joined)


def _configuration(log: RunLog, found: Found) -> dict[str, Any]:
    header = log.header
    return {
        "task": header.task.name,
        "version": header.task.version,
        "variant": header.variant,
        "configuration": dict(found.proposal.configuration),
        "fidelity": found.proposal.fidelity,
        "unit": header.task.fidelity.unit,
        "run_seed": header.seed,
        "training_seed": training_seed(header.seed, found.proposal.configuration),
        "trial": found.trial,
        "stages": [{"configuration": dict(each.configuration), "fidelity": each.fidelity} for each in found.stages],
        "data": [asdict(ref) for ref in header.task.data],
        "strategy": {name: header.strategy.get(name) for name in ("name", "version")},
        "suite": header.suite,
        "versions": dict(header.machine.get("versions", {})),
    }


def _card(log: RunLog, found: Found, retrained: Mapping[str, float]) -> str:
    return "\n".join([*_lines(log, found, retrained), ""])


def _lines(log: RunLog, found: Found, retrained: Mapping[str, float]) -> Iterator[str]:
    """The model card, as Markdown."""
    header, task = log.header, log.header.task
    yield from (f"# {task.name}, found by {header.strategy['name']}", "", f"{task.summary}. {task.paper}.", "")
    yield from ("| metric | in the search | trained anew |", "|---|---:|---:|")
    pairs = (("validation", task.validation, found.validation), ("test", task.test, found.test))
    for split, metric, value in pairs:
        logged = "-" if value is None else f"{value:.6g}"
        yield f"| {split}: {metric.name} ({metric.goal}) | {logged} | {retrained[split]:.6g} |"
    yield from ("", "## Configuration", "", "| hyper-parameter | value |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in found.proposal.configuration.items())
    which = f"Trial {found.trial}" if found.trial else "The default configuration, which no trial beat"
    yield from (
        "",
        f"{which}, {found.proposal.fidelity} {task.fidelity.unit}, run seed {header.seed}.",
        "",
        "## Data",
        "",
    )
    yield from (f"- {ref.name} {ref.version}, {ref.licence}: {ref.splits}; SHA-256 {ref.digest}" for ref in task.data)
    if not task.data:
        yield "None."
    yield from ("", "## Energy", "")
    kwh = found.microjoules / 1e6 / JOULES_PER_KWH
    search = log.total_microjoules / 1e6 / JOULES_PER_KWH
    factor = max(float(meter.get("factor", 1.0)) for meter in header.meters)
    yield f"{header.tier.capitalize()}, right within a factor of {factor:g}: this training {kwh:.3g} kWh, the whole "
    yield f"search that found it {search:.3g} kWh. Training it anew for this export is in neither."
    yield from ("", "## Versions", "", f"carbon-suite {header.suite}, Python {header.machine.get('python')}, ")
    yield ", ".join(f"{name} {version}" for name, version in header.machine.get("versions", {}).items()) + "."


def _write(path: Path, record: Any) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n")
