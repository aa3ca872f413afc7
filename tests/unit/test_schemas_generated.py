"""The checked-in JSON Schemas and the AsyncAPI document say what the models say, and hold together."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from treeward.schemas import generate, streams, subjects
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.presence import Heartbeat, Holding
from treeward.schemas.units import Unit

DOCUMENT = generate.ROOT / "asyncapi.yaml"


def test_the_checked_in_files_are_what_the_models_say() -> None:
    assert generate.stale(generate.ROOT) == [], "run `make schemas`"


def test_a_change_a_missing_and_a_left_over_file_are_seen_and_mended(tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    (tmp_path / "v1/unit.json").write_text("{}")
    (tmp_path / "v1/event.json").unlink()
    (tmp_path / "v1/forgotten.json").write_text("{}")
    assert generate.stale(tmp_path) == ["v1/event.json", "v1/forgotten.json", "v1/unit.json"]
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []


@pytest.mark.parametrize("name", [*generate.MODELS, "specs"])
def test_every_schema_is_valid_json_schema(name: str) -> None:
    schema = json.loads((generate.ROOT / f"v1/{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:treeward:v1:{name}"


EXAMPLES: dict[str, list[BaseModel]] = {
    "unit": [
        Unit(operation="create"),
        Unit(operation="create", spec={"cpus": 2}, deadline=datetime(2030, 1, 31, 12, tzinfo=UTC), after=[1, 2]),
        Unit(operation="cancel", ticket=7, reason="no longer needed"),
    ],
    "event": [
        Event(type=EventType.CLAIMED, zone="z", kind="pod", id="pod-1", life=0, at=datetime(2030, 1, 1, tzinfo=UTC)),
        Event(
            type=EventType.COMPLETED, zone="zone-a", kind="vm", id="web-1", life=9, answered=12, ticket=12, pod="pod-1",
            at=datetime(2030, 1, 1, tzinfo=UTC), host="host-1", definition={"cpus": 2}, operation="create",
        ),
    ],
    "message": [Message(epoch=3, life=9, ticket=12, previous=0, operation="create", spec={"cpus": 2})],
    "heartbeat": [
        Heartbeat(service="pod-agent", instance="i-1", name="agent-1", holds=[Holding(branch="zone-a.pod-1", epoch=3)])
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_models_write_passes_the_json_schema(name: str) -> None:
    schema = json.loads((generate.ROOT / f"v1/{name}.json").read_text())
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for example in EXAMPLES[name]:
        checker.validate(json.loads(example.model_dump_json()))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("unit", {}),
        ("unit", {"operation": "cre ate"}),
        ("unit", {"operation": "create", "specs": {}}),
        ("unit", {"operation": "create", "after": [0]}),
        ("unit", {"operation": "create", "order": "lifo"}),
        ("specs", {"vm": {"create": {"cpu": 2}}}),
        ("specs", {"host": {"create": {"cpus": 2}}}),
        ("topology", {"zones": {}}),
        ("topology", {"zones": {"a b": {}}}),
    ],
)
def test_the_json_schema_refuses_what_the_model_refuses(name: str, body: dict[str, Any]) -> None:
    schema = json.loads((generate.ROOT / f"v1/{name}.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(body)


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for name, value in node.items() for text in ([value] if name == "$ref" else references(value))]
    if isinstance(node, list):
        return [text for value in node for text in references(value)]
    return []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    loaded = document()
    found = references(loaded)
    assert len(found) > 50
    for reference in found:
        if reference.startswith("#/"):
            node = loaded
            for part in reference[2:].split("/"):
                assert part in node, reference
                node = node[part]
        else:
            assert (DOCUMENT.parent / reference).is_file(), reference


def test_every_operation_names_messages_of_its_own_channel() -> None:
    loaded = document()
    assert len(loaded["operations"]) >= 5
    for name, operation in loaded["operations"].items():
        assert operation["messages"], name
        assert operation["action"] in {"send", "receive"}, name
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/"), name


def test_the_parameters_of_each_channel_are_those_in_its_address() -> None:
    channels = document()["channels"]
    assert len(channels) >= 5
    for name, channel in channels.items():
        wanted = re.findall(r"\{(\w+)\}", channel["address"] or "")
        assert sorted(wanted) == sorted(channel.get("parameters", {})), name


@pytest.mark.parametrize(
    "subject",
    [
        subjects.work("zone-a", "vm.web-1"),
        subjects.log("zone-a", "vm.web-1", "completed"),
        subjects.event("zone-a", "vm.web-1", "completed"),
        subjects.mailbox("zone-a", "pod-1", "vm.web-1"),
        streams.state_subject("zone-a", "vm.web-1"),
        subjects.presence("pod-agent", "i-1"),
        subjects.api("state", "zone-a"),
        subjects.api("tree", "zone-a"),
        subjects.api("explain", "zone-a"),
        subjects.api("queued", "zone-a"),
    ],
)
def test_every_subject_of_the_bus_has_exactly_one_channel(subject: str) -> None:
    matching = []
    for name, channel in document()["channels"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[A-Za-z0-9_-]+", re.escape(channel["address"] or ""))
        if re.fullmatch(pattern, subject):
            matching.append(name)
    assert len(matching) == 1
