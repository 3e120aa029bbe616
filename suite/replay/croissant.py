"""What a recorded table is, for machines that look for data sets: Croissant 1.0 (Akhtar et al. 2024, Croissant: a
metadata format for ML-ready datasets, DEEM at SIGMOD; the specification is at docs.mlcommons.org/croissant)."""

import hashlib
from pathlib import Path
from typing import Any, Final

from suite.replay.table import COLUMNS, Facts
from suite.task import TaskSpec

_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "recordSet": "cr:recordSet",
    "sc": "https://schema.org/",
    "source": "cr:source",
}
_TYPES: Final = {"string": "sc:Text", "int32": "sc:Integer", "int64": "sc:Integer", "float64": "sc:Float"}
_MEANINGS: Final = {
    "configuration": "hyper-parameters as JSON with sorted keys, inactive ones left out",
    "origin": "default, sobol, or near the best of those before",
    "seed": "seed of the run that the training was made in",
    "fidelity": "how far the training has come here",
    "validation": "validation value here; missing where the training failed on the way here",
    "test": "test value here",
    "train_microjoules": "energy of training since the step before",
    "validate_microjoules": "energy of the validation here",
    "test_microjoules": "energy of the test evaluation here",
    "train_cpu_ns": "CPU nanoseconds of training since the step before",
    "validate_cpu_ns": "CPU nanoseconds of the validation here",
}


def croissant(spec: TaskSpec, facts: Facts, path: Path) -> dict[str, Any]:
    """The description of the table at ``path`` as JSON-LD. ``path`` is named relative to where the description lies."""
    file = path.name
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": spec.name.replace("/", "-"),
        "description": (
            f"Learning curves with energy of {spec.name} {spec.version}: {spec.summary}. Fidelity in "
            f"{spec.fidelity.unit}, validation is {spec.validation.name} ({spec.validation.goal}), test is "
            f"{spec.test.name} ({spec.test.goal}). Energy is {facts.tier}, on {facts.machine.get('cpu')}."
        ),
        "license": f"https://spdx.org/licenses/{facts.licence}.html",
        "citeAs": spec.paper,
        "version": f"{facts.schema}.{facts.task_version}.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file,
                "name": file,
                "contentUrl": file,
                "encodingFormat": "application/x-parquet",
                "contentSize": f"{path.stat().st_size} B",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "steps", "name": "steps", "field": _fields(file)}],
    }


def _fields(file: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:Field",
            "@id": f"steps/{name}",
            "name": name,
            "description": _MEANINGS[name],
            "dataType": _TYPES[kind],
            "source": {"fileObject": {"@id": file}, "extract": {"column": name}},
        }
        for name, kind in COLUMNS.items()
    ]
