"""Beginning to own a pod: what its definition says of its device is a user's word, and ends nobody."""

from datetime import UTC, datetime

from tests.support.contexts import context_of

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.branches import Claimed
from treeward.runtime.pods import Pods
from treeward.schemas.events import Event, EventType


async def test_a_pod_whose_device_is_no_address_is_not_begun_and_ends_no_agent(bus: NatsBus) -> None:
    event = Event(
        type=EventType.CLAIMED, zone="zone-a", kind="pod", id="a1", life=1, at=datetime.now(UTC), owner="here",
        definition={"device": "10.0.0.7:7300"},
    )  # fmt: skip
    pods = Pods(context_of(bus, "pod-agent"))
    assert await pods.begin(Claimed("zone-a.a1", 5, event, 0.0), lambda _reason, _fenced: None) is None
    await pods.close()
