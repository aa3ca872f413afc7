"""A device may say anything of what exists: what could never have been asked for does not enter the log."""

from typing import Any

import pytest
from tests.support.one_vm import Owner, message, said

from treeward.schemas.device import Status
from treeward.schemas.events import EventType
from treeward.schemas.specs import OPERATIONS, readable_definition
from treeward.schemas.units import complete_spec

GOOD: dict[str, dict[str, Any]] = {"host": {"pod": "pod-1", "cpus": 4, "memory_mib": 1024}, "volume": {"size_gib": 1}}
UNREADABLE: list[tuple[str, Any]] = [
    ("cpus", "many"), ("cpus", -1), ("cpus", True), ("memory_mib", [512]), ("running", "yes"),
    ("requires", {"rack": 7}), ("spread", {"group": "web"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
@pytest.mark.parametrize("heard_in", ["synchronize", "call"])
def test_what_cannot_be_read_of_a_definition_does_not_enter_the_log(name: str, value: Any, heard_in: str) -> None:
    told = {"cpus": 2, "memory_mib": 512, "serial": ["kept", 7]} | {name: value}
    owner = Owner()
    (synchronize,) = owner.send(message())
    effects = owner.answer(synchronize, Status.OK, exists=True, definition=dict(told))
    if heard_in == "call":
        effects = owner.answer(effects[-1], Status.APPLIED, last=5, last_applied=True, exists=True, definition=told)
    event = said(effects[0])
    assert event.type is (EventType.READY if heard_in == "synchronize" else EventType.COMPLETED)
    assert event.definition == {field: value for field, value in told.items() if field != name}


@pytest.mark.parametrize("kind", sorted({*OPERATIONS, "thing"}))
def test_what_a_create_makes_is_read_as_it_is(kind: str) -> None:
    definition = complete_spec(kind, "create", GOOD.get(kind)) | {"more": {"than": "asked for"}}
    assert readable_definition(kind, definition) == definition
    assert readable_definition(kind, None) is None


def test_a_part_of_a_definition_is_read_as_it_is() -> None:
    assert readable_definition("volume", {"attached_to": "web-1"}) == {"attached_to": "web-1"}


def test_what_a_device_says_of_its_own_kinds_is_its_affair() -> None:
    assert readable_definition("thing", {"cpus": "many"}) == {"cpus": "many"}
