"""What a row begins with is at least as new as what its dispatcher had read; and claims nobody acts on become rarer."""

from datetime import UTC, datetime

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.presence import Heartbeat
from treeward.supervision.children import Children
from treeward.supervision.effects import Append, Fetch
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.zone_owner import ZoneOwner

NOW_S = 1_700_000_000.0
AT = datetime.fromtimestamp(NOW_S, UTC)


def event(type_: EventType, life: int, answered: int, pod: str | None = None, **more: object) -> Event:
    fields = {"type": type_, "zone": "z", "kind": "vm", "id": "a", "life": life, "answered": answered, "at": AT}
    return Event.model_validate(fields | {"pod": pod, "host": "h" if pod else None} | more)


def test_an_address_that_came_back_is_not_taken_for_placed_because_a_replica_is_behind() -> None:
    owner = ZoneOwner("z", 3, Limits())
    owner.on_message("vm.a", Message(epoch=3, life=3, ticket=9, previous=0, seen=20, operation="create"), NOW_S)
    assert owner.effects == [Fetch("vm.a", 20)]
    owner.effects.clear()
    owner.on_message("vm.a", Message(epoch=3, life=3, ticket=9, previous=0, seen=25, operation="create"), NOW_S)
    owner.on_fetched("vm.a", 20, event(EventType.PLACED, 3, 8, pod="p"), NOW_S)
    assert owner.effects == [Fetch("vm.a", 25)], "the message that has seen more is not dropped for it"
    owner.effects.clear()
    owner.on_fetched("vm.a", 25, event(EventType.COMPLETED, 12, 8, removed=True), NOW_S)
    assert owner.rows["vm.a"].hand is not None


def test_a_replica_that_never_gets_there_is_not_asked_for_ever() -> None:
    owner = PodOwner("z", "p", 5, Limits())
    owner.on_message("vm.a", Message(epoch=5, life=7, ticket=9, previous=0, seen=10**9, operation="create"), NOW_S)
    owner.effects.clear()
    owner.on_fetched("vm.a", 7, event(EventType.PLACED, 3, 8, pod="p"), NOW_S)
    assert not any(isinstance(effect, Fetch) for effect in owner.effects)
    assert not any(isinstance(effect, Append) for effect in owner.effects)
    assert owner.rows["vm.a"].life == 7


def claims_within(seconds: float) -> int:
    """How often a branch is claimed for an instance that is there and never acts."""
    children = Children(Limits(), NOW_S)
    children.on_defined("z.p", NOW_S)
    claims, epoch = 0, 1
    for step in range(int(seconds * 10)):
        now_s = NOW_S + step / 10
        children.on_heartbeat(Heartbeat(service="pod-agent", instance="i", name="i"), now_s)
        for claim in children.decide(now_s):
            claims, epoch = claims + 1, epoch + 1
            children.on_claimed("z.p", claim.instance, epoch, now_s)
    return claims


def test_claims_that_nobody_acts_on_become_rarer() -> None:
    assert claims_within(3600.0) < 140, "a log that keeps claims for ever would grow by one each second"
    assert claims_within(4.0) >= 3, "the first ones come quickly"
