"""Message schemas change by additions only: programs of two versions run beside each other in every rolling update."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.schema_change import breaks

from treeward.schemas import generate
from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message
from treeward.schemas.presence import Heartbeat

RELEASED = generate.ROOT / "released" / "v1"
"""The schemas as they were last released. Renewed by copying `schemas/v1` when a version is released, and only then."""
ASKED = {"unit", "specs", "topology", "device-control-request"}
"""What people write, or ask of a simulator: the door says what it does not know, so more may be accepted than was."""
NAMES = sorted(path.stem for path in RELEASED.glob("*.json"))


def released(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RELEASED / f"{name}.json").read_text())
    return loaded


def test_every_message_of_the_last_release_is_still_there_in_the_same_version() -> None:
    assert len(NAMES) > 15
    for name in NAMES:
        now = json.loads((generate.ROOT / "v1" / f"{name}.json").read_text())
        assert now["$id"] == released(name)["$id"] == f"urn:treeward:v1:{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_understood_by_the_version_before_and_understands_it(name: str) -> None:
    now = json.loads((generate.ROOT / "v1" / f"{name}.json").read_text())
    said = breaks(released(name), now)
    if name in ASKED:
        said = [problem for problem in said if "its values were" not in problem and not problem.endswith(" is new")]
    assert said == [], "either give new fields a default and leave the old ones, or this is version 2 of the message"


def test_a_form_of_a_message_that_is_gone_or_new_is_told() -> None:
    before = released("device-control-request")
    after = _change(before, lambda schema: schema["discriminator"]["mapping"].pop("journal"))
    assert breaks(before, after) == ["the message: the form journal is gone"]
    assert breaks(after, before) == ["the message: the form journal is new"]


def _change(schema: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    changed = copy.deepcopy(schema)
    change(changed)
    return changed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda schema: schema["properties"].pop("ticket"), ".ticket: is gone"),
        (lambda schema: schema["required"].append("spec"), "spec is required now"),
        (lambda schema: schema["required"].remove("epoch"), "epoch may be left out now"),
        (lambda schema: schema["properties"]["epoch"].update(type="string"), ".epoch: type was 'integer'"),
        (lambda schema: schema["properties"]["attempts"].update(default=1), ".attempts: its default was 0"),
        (lambda schema: schema["properties"]["life"].update(minimum=7), ".life: minimum is narrower"),
        (lambda schema: schema["$defs"]["Outcome"]["enum"].append("lost"), "its values were"),
        (lambda schema: schema.update(additionalProperties=False), "unknown fields are refused now"),
    ],
)
def test_an_incompatible_change_is_found(change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    schema = released("message")
    assert any(sentence in problem for problem in breaks(schema, _change(schema, change)))


def test_a_field_with_a_default_may_be_added() -> None:
    schema = released("message")
    added = {"type": "string", "default": "", "title": "Colour"}
    assert breaks(schema, _change(schema, lambda changed: changed["properties"].update(colour=added))) == []


def test_a_reader_ignores_a_field_that_it_does_not_know() -> None:
    message = Message(epoch=1, life=2, ticket=3, previous=0, operation="create")
    heartbeat = Heartbeat(service="pod-agent", instance="i-1", name="i")
    for known in (message, heartbeat):
        body = {**json.loads(known.model_dump_json()), "colour": "blue"}
        assert type(known).model_validate_json(json.dumps(body)) == known
    event = {"type": "ready", "zone": "z", "kind": "vm", "id": "a", "life": 1, "at": "2030-01-01T00:00:00Z"}
    assert Event.model_validate_json(json.dumps({**event, "colour": "blue"})) == Event.model_validate(event)
