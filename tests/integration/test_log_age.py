"""What outlives the log's age: whoever starts after it must still learn what there is."""

from datetime import UTC, datetime
from typing import Any

from tests.support.until import until

from treeward.bus.interface import Start, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.runtime.last_events import last_event
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType


async def append(bus: NatsBus, zone: str, type_: EventType, key: str, **fields: Any) -> int:
    kind, _, id_ = key.partition(".")
    event = Event(type=type_, zone=zone, kind=kind, id=id_, life=1, at=datetime.now(UTC), **fields)
    draft = codec.draft_of(event, instance="test", trace=None)
    result = await bus.append_expecting(streams.log(zone), draft, subject=draft.subject, position=0)
    assert isinstance(result, int)
    return result


async def test_zones_and_pods_are_known_for_longer_than_the_log_keeps_the_rest(bus: NatsBus) -> None:
    short = streams.Retention(log_age_s=1.0, duplicate_window_s=1.0)
    await bus.provision("root", short)
    await bus.provision("zone-b", short)
    await append(bus, "root", EventType.COMPLETED, "zone.zone-b", definition={}, ticket=1, answered=1)
    await append(bus, "zone-b", EventType.CLAIMED, "pod.a1", definition={}, answered=1, owner="somebody")
    drained = await append(bus, "zone-b", EventType.COMPLETED, "pod.a1", definition={}, answered=2, draining=True)
    await append(bus, "zone-b", EventType.COMPLETED, "vm.web-1", answered=3)
    of_vm = subjects.log_of_resource("zone-b", "vm.web-1")

    async def forgotten() -> bool:
        return await bus.last(streams.log("zone-b"), of_vm) is None

    await until(forgotten)

    position, event, _ = await last_event(bus, "zone-b", "pod.a1")
    assert event is not None and (position, event.answered, event.draining) == (drained, 2, True)
    found: list[Stored] = []
    reader = await bus.read(
        streams.log("root"), subjects.log_of_zone("root"), Start.LAST_PER_SUBJECT, found.append, on_lost=lambda: None
    )
    await until(lambda: found)
    await reader.close()
