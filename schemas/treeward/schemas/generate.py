"""Writes the JSON Schema of every message and the AsyncAPI document: `python -m treeward.schemas.generate [--check]`.

Both are checked in, so that programs in other languages need no Python, and a test says when they are stale.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from treeward.schemas import api, asyncapi, device, device_control, events, mailbox, presence, specs, topology, units
from treeward.schemas.api.parts import Problem

ROOT = Path(__file__).parents[2]
"""The folder `schemas/` of the repository; an installed wheel has none."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

MODELS: dict[str, type[BaseModel] | TypeAdapter[Any]] = {
    "unit": units.Unit,
    "event": events.Event,
    "message": mailbox.Message,
    "heartbeat": presence.Heartbeat,
    "topology": topology.Topology,
    "device-request": device.REQUEST,
    "device-answer": device.Answer,
    "device-control-request": device_control.CONTROL_REQUEST,
    "device-control-answer": device_control.ControlAnswer,
    "problem": Problem,
    **{f"{endpoint}-request": model for endpoint, model in api.REQUESTS.items()},
    **{f"{endpoint}-answer": model for endpoint, model in api.ANSWERS.items()},
}
"""Every message by the name of its schema file."""


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of one message."""
    model = MODELS[name]
    schema = model.json_schema() if isinstance(model, TypeAdapter) else model.model_json_schema()
    if "discriminator" in schema:
        tag = schema["discriminator"]["propertyName"]
        for option in schema["discriminator"]["mapping"].values():
            definition = schema["$defs"][option.removeprefix("#/$defs/")]
            # Its default makes the tag optional to pydantic's schema, and a reader could not do without it.
            definition["required"] = sorted({tag, *definition.get("required", [])})
    return {"$schema": DIALECT, "$id": f"urn:treeward:v1:{name}", **_closed(schema)}


def schema_of_specs() -> dict[str, Any]:
    """The specs by kind and operation, as the schema of `{kind: {operation: spec}}`."""
    kinds: dict[str, Mapping[str, type[BaseModel]]] = {**specs.OPERATIONS, "any kind": specs.STEERING}
    models = {model for operations in kinds.values() for model in operations.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    references, definitions = TypeAdapter.json_schemas([(model, "validation", TypeAdapter(model)) for model in ordered])
    properties = {
        kind: {
            "type": "object",
            "additionalProperties": False,
            "properties": {operation: references[model, "validation"] for operation, model in operations.items()},
        }
        for kind, operations in kinds.items()
    }
    return {
        "$schema": DIALECT,
        "$id": "urn:treeward:v1:specs",
        "title": "Specs",
        "description": "What `spec` of a unit may say, by kind and operation.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": _closed(definitions["$defs"]),
    }


def files() -> dict[str, str]:
    """Every generated file by its path below `schemas/`, with its text."""
    texts = {f"v1/{name}.json": _json(schema_of(name)) for name in MODELS}
    texts["v1/specs.json"] = _json(schema_of_specs())
    document = asyncapi.document(metadata.version("treeward"))
    texts["asyncapi.yaml"] = yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)
    return texts


def stale(root: Path) -> list[str]:
    """The files below `root` that differ from what the models say, missing and left-over ones included."""
    texts = files()
    found = {str(path.relative_to(root)) for path in root.glob("v1/*.json")}
    differing = [
        name for name, text in texts.items() if not (root / name).exists() or (root / name).read_text() != text
    ]
    return sorted(differing + list(found - texts.keys()))


def write(root: Path) -> list[str]:
    """Bring the files below `root` up to date; returns those that changed."""
    changed = stale(root)
    texts = files()
    (root / "v1").mkdir(exist_ok=True)
    for name in changed:
        if name in texts:
            (root / name).write_text(texts[name])
        else:
            (root / name).unlink()
    return changed


def _closed(node: Any) -> Any:
    """The schema with names that fit no pattern refused, as the models do; pydantic leaves them open."""
    if isinstance(node, list):
        return [_closed(member) for member in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(member) for name, member in node.items()}
    if "patternProperties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command: write, or with `--check` only say what is stale and exit 1."""
    parser = argparse.ArgumentParser(prog="python -m treeward.schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = parser.parse_args(arguments).check
    changed = stale(ROOT) if check else write(ROOT)
    for name in changed:
        sys.stdout.write(f"{'stale' if check else 'written'}: schemas/{name}\n")
    return 1 if check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
