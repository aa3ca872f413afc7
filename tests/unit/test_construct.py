"""What is built without looking at the model is what the model would have built."""

from typing import Any

import pytest
from pydantic import BaseModel

from treeward.schemas.construct import constructor
from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.events import at

EVENT = {
    "type": EventType.COMPLETED, "zone": "zone-a", "kind": "vm", "id": "web-1", "life": 7, "answered": 41,
    "at": at(1_700_000_000.25), "pod": "pod-1", "definition": {"cpus": 1.0},
}  # fmt: skip
MESSAGE = {
    "epoch": 5, "life": 7, "ticket": 41, "previous": 0, "operation": "create", "sent_s": 1.5,
    "mark": Mark(outcome=Outcome.CANCELLED, reason="by ticket 42"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "values"), [(Event, EVENT), (Event, EVENT | {"flushed": [1, 2]}), (Message, MESSAGE)]
)
def test_it_is_what_model_construct_makes(model: type[BaseModel], values: dict[str, Any]) -> None:
    made, expected = constructor(model)(values), model.model_construct(**values)
    assert made == expected
    assert made.model_dump_json(exclude_none=True) == expected.model_dump_json(exclude_none=True)
    assert list(made.__dict__) == list(model.model_fields), "the order on the wire is that of the model"
    assert model.model_validate_json(made.model_dump_json(exclude_none=True)) == made


def test_two_share_no_list() -> None:
    construct = constructor(Event)
    first, second = construct(EVENT), construct(EVENT)
    first.flushed.append(9)
    assert second.flushed == []


def test_a_field_can_still_be_set() -> None:
    made = constructor(Event)(EVENT)
    made.pod = None
    assert made.pod is None
    assert "pod" not in made.model_dump(exclude_none=True)
    assert EVENT["pod"] == "pod-1"
