"""Whatever is submitted is answered `rejected` with a sentence that names the field; nothing crashes, nothing waits."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.user import User

from treeward.bus.interface import NoSuchZoneError
from treeward.schemas import subjects

LONG = "x" * 65


def unit(operation: str = "create", **fields: Any) -> str:
    return json.dumps({"operation": operation, **fields})


BAD: dict[str, tuple[str, bytes | str, tuple[str, ...]]] = {
    "not JSON": ("vm.bad", "create please", ("body",)),
    "half JSON": ("vm.bad", '{"operation":"create"', ("body",)),
    "not UTF-8": ("vm.bad", b'{"operation":"\xff\xfe"}', ("body",)),
    "empty": ("vm.bad", b"", ("body", "is empty", '{"operation": "create"}')),
    "a list": ("vm.bad", "[]", ("body",)),
    "null": ("vm.bad", "null", ("body",)),
    "a number": ("vm.bad", "7", ("body",)),
    "no operation": ("vm.bad", "{}", ("operation",)),
    "operation of a wrong type": ("vm.bad", '{"operation":7}', ("operation",)),
    "operation that is no token": ("vm.bad", unit("make it so"), ("operation",)),
    "operation that the kind does not have": ("vm.bad", unit("fly"), ("operation", "fly", "create", "destroy")),
    "unknown field": ("vm.bad", unit(deadlin="2030-01-01T00:00:00Z"), ("deadlin",)),
    "spec of a wrong type": ("vm.bad", unit(spec="big"), ("spec",)),
    "spec field of a wrong type": ("vm.bad", unit(spec={"cpus": "two"}), ("spec.cpus",)),
    "spec field out of range": ("vm.bad", unit(spec={"cpus": 0}), ("spec.cpus",)),
    "spec field that the kind does not have": ("vm.bad", unit(spec={"size_gib": 3}), ("spec.size_gib",)),
    "spec that is needed": ("volume.bad", unit(), ("spec", "size_gib")),
    "spec of an operation without one": ("vm.bad", unit("start", spec={"fast": True}), ("spec.fast",)),
    "attempts_max": ("vm.bad", unit(attempts_max=0), ("attempts_max",)),
    "on_failure": ("vm.bad", unit(on_failure="give up"), ("on_failure", "wait", "reallocate", "fail")),
    "order": ("vm.bad", unit(order="lifo"), ("order", "fifo", "supersede")),
    "deadline without zone": ("vm.bad", unit(deadline="2030-01-01T00:00:00"), ("deadline",)),
    "deadline as a number": ("vm.bad", unit(deadline=1893456000), ("deadline",)),
    "after of a wrong type": ("vm.bad", unit(after="1"), ("after",)),
    "after ticket 0": ("vm.bad", unit(after=[0]), ("after",)),
    "cancel without a ticket": ("vm.bad", unit("cancel"), ("ticket",)),
    "a field twice": ("vm.bad", '{"operation":"create","operation":"destroy"}', ("operation", "twice")),
    "NaN": ("vm.bad", '{"operation":"create","spec":{"cpus":NaN}}', ("spec",)),
    "a bad character in the id": ("vm.web$1", unit(), ("id", "web$1", "A-Z")),
    "a bad character in the kind": ("v@m.web-1", unit(), ("kind", "v@m", "A-Z")),
    "an id that is not ASCII": ("vm.wéb", unit(), ("id", "A-Z")),
    "an id of 65 characters": (f"vm.{LONG}", unit(), ("id", LONG, "1 to 64")),
    "a reserved name": ("pod.zone", unit(), ("id", "reserved")),
    "a zone outside root": ("zone.zone-a", unit(), ("kind", "tw.work.root.zone.zone-a")),
    "a body of 1 MB": ("vm.bad", unit(reason="x" * 1_000_000), ("body", "65536")),
    "nested a thousand times": ("vm.bad", '{"operation":"create","spec":' + '{"a":' * 1000 + "1" + "}" * 1001, ("",)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_unit_is_rejected_with_the_field_and_what_would_be_right(user: User, name: str) -> None:
    key, body, words = BAD[name]
    event = await user.outcome(await user.raw(key, body))
    assert event.type == "rejected"
    assert event.key == key
    assert event.reason is not None
    for word in words:
        assert word in event.reason, event.reason
    assert len(event.reason) < 1000
    await user.done("vm.good", "create")
    await user.done("vm.good", "destroy")


async def test_a_deadline_in_the_past_is_rejected_and_says_when_the_unit_was_accepted(user: User) -> None:
    deadline = datetime.now(UTC) - timedelta(minutes=1)
    event = await user.outcome(await user.submit("vm.late", "create", deadline=deadline.isoformat()))
    assert (event.type, "deadline" in (event.reason or "")) == ("rejected", True)


async def test_after_may_only_name_lower_tickets(user: User) -> None:
    first = await user.submit("vm.after", "create")
    own, next_but_one = await user.submit("vm.after", "stop", after=[first + 1]), 0
    next_but_one = await user.submit("vm.after", "start", after=[own + 5])
    for ticket in (own, next_but_one):
        event = await user.outcome(ticket)
        assert (event.type, "after" in (event.reason or "")) == ("rejected", True), event
    assert (await user.outcome(first)).type == "completed"
    await user.done("vm.after", "destroy")


async def test_only_create_can_come_first(user: User) -> None:
    event = await user.outcome(await user.submit("vm.never-made", "start"))
    assert event.type == "rejected"
    assert "does not exist" in (event.reason or "")


async def test_a_pod_that_nobody_defined_is_named(user: User) -> None:
    event = await user.outcome(
        await user.submit("host.lonely", "create", spec={"pod": "nowhere", "cpus": 1, "memory_mib": 64})
    )
    assert event.type == "rejected"
    assert "nowhere" in (event.reason or "")


async def test_a_zone_that_nobody_defined_is_refused_at_once(user: User) -> None:
    with pytest.raises(NoSuchZoneError, match="zone-z"):
        await user.bus.submit(subjects.work("zone-z", "vm.web-1"), unit().encode())


async def test_bad_units_of_a_resource_are_answered_in_their_turn_and_harm_no_good_one(user: User) -> None:
    tickets = [
        await user.raw("vm.mixed", body)
        for body in (unit(), "nonsense", unit("stop"), b"", unit("fly"), unit("start"), "[[", unit("destroy"))
    ]
    outcomes = [(await user.outcome(ticket)).type.value for ticket in tickets]
    assert outcomes == [
        "completed", "rejected", "completed", "rejected", "rejected", "completed", "rejected", "completed",
    ]  # fmt: skip
    answered = [event.ticket for event in user.events["vm.mixed"] if event.is_outcome]
    assert answered == tickets
    assert user.effects("vm.mixed") == [
        (tickets[0], "create"), (tickets[2], "stop"), (tickets[5], "start"), (tickets[7], "destroy"),
    ]  # fmt: skip
