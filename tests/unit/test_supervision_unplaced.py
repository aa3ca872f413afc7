"""What a zone's owner does with addresses that are nowhere, each rule where it is needed (PROTOCOL table 2)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import DeviceOutcome, Event, EventType, Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Fetch
from treeward.supervision.limits import Limits
from treeward.supervision.need import Demand, Need
from treeward.supervision.places import Placed
from treeward.supervision.process_step import Conclude
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.unplaced_step import Place, decide_unplaced
from treeward.supervision.who_is_where import RESERVED_S
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 10
KEY = "vm.web-1"
DEFINITION = {"cpus": 1, "memory_mib": 512}
HOST = {"pod": "pod-1", "cpus": 4, "memory_mib": 4096}


def event(type_: EventType, key: str = KEY, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(type=type_, zone="zone-a", kind=kind, id=id_, life=1, at=AT, **fields)


def message(ticket: int, operation: str = "start", **fields: Any) -> Message:
    return Message(epoch=EPOCH, life=EPOCH, ticket=ticket, operation=operation, **({"previous": 0} | fields))


class Zone:
    """A zone's owner; what it has decided to say is returned."""

    def __init__(self) -> None:
        self.fold = ZoneOwner("zone-a", EPOCH, Limits())
        self.fold.on_event(2, event(EventType.COMPLETED, "pod.pod-1", definition={}), 0.0)
        self.fold.on_event(3, event(EventType.COMPLETED, "host.h1", pod="pod-1", host="h1", definition=HOST), 0.0)
        self.token = 0

    def send(self, sent: Message, last: Event | None = None, position: int = 5) -> list[Event]:
        """Deliver a message; a fetch is answered at once."""
        self.fold.on_message(KEY, sent, 0.0)
        if any(isinstance(effect, Fetch) for effect in self.fold.effects):
            self.fold.effects = []
            self.fold.on_fetched(KEY, position if last is not None else 0, last, 0.0)
        return self.said()

    def said(self) -> list[Event]:
        effects, self.fold.effects = self.fold.effects, []
        appends = [effect for effect in effects if isinstance(effect, Append)]
        self.token = appends[-1].token if appends else self.token
        return [each for append in appends for each in append.events]

    def store(self, position: int = 20) -> list[Event]:
        """The last append is in the log."""
        self.fold.on_appended(self.token, position, 0.0)
        return self.said()


def handed_off(ticket: int, **fields: Any) -> Event:
    told: dict[str, Any] = {"existed": True, "definition": DEFINITION, "left": "h2", "left_pod": "pod-1"}
    return event(EventType.HANDED_OFF, ticket=ticket, answered=ticket - 1, **(told | fields))


def unplaced(came: Event) -> Unplaced:
    row = Unplaced(KEY)
    row.answered, row.definition, row.came = came.answered, came.definition, came
    return row


@pytest.mark.parametrize(("applied", "outcome"), [(True, Outcome.COMPLETED), (False, Outcome.FAILED)])
@pytest.mark.parametrize("mark", [None, Mark(outcome=Outcome.CANCELLED, reason="by ticket 9")])
def test_the_last_ticket_of_its_old_device_is_answered_with_what_that_device_said(
    applied: bool, outcome: Outcome, mark: Mark | None
) -> None:
    """It was applied there, and its answer was lost: placed again it would be applied twice (PROTOCOL H4)."""
    last = DeviceOutcome(ticket=5, applied=applied, reason=None if applied else "no room")
    step = decide_unplaced(unplaced(handed_off(5, last=last)), message(5, mark=mark), zone="zone-a", now_s=0.0)
    assert step == Conclude(outcome, last.reason)


def test_an_earlier_ticket_of_its_old_device_says_nothing_of_a_later_unit() -> None:
    came = handed_off(5, last=DeviceOutcome(ticket=4, applied=True))
    assert decide_unplaced(unplaced(came), message(5), zone="zone-a", now_s=0.0) == Place(DEFINITION)


def test_whatever_comes_for_what_was_handed_off_is_placed_as_it_was() -> None:
    assert decide_unplaced(unplaced(handed_off(5)), message(6, "stop"), zone="zone-a", now_s=0.0) == Place(DEFINITION)


def test_a_unit_that_was_not_started_before_its_deadline_is_not_placed() -> None:
    step = decide_unplaced(Unplaced(KEY), message(5, "create", deadline_s=9.0), zone="zone-a", now_s=10.0)
    assert isinstance(step, Conclude)
    assert step.outcome is Outcome.EXPIRED


def test_a_unit_that_comes_again_after_it_was_answered_stands_in_nobodys_way() -> None:
    zone = Zone()
    assert [each.type for each in zone.send(message(5))] == [EventType.REJECTED]
    assert zone.store() == []
    assert zone.send(message(5)) == []
    assert [(each.type, each.ticket) for each in zone.send(message(6))] == [(EventType.REJECTED, 6)]


def test_what_was_answered_in_its_pod_is_not_answered_again_by_its_zone() -> None:
    """A dispatcher that is behind sends it to where it came back to (PROTOCOL H1)."""
    back = event(EventType.COMPLETED, ticket=7, answered=7, removed=True)
    assert Zone().send(message(6), back) == []


def test_what_is_placed_is_not_answered_by_the_zone() -> None:
    assert Zone().send(message(5), event(EventType.PLACED, pod="pod-1", host="h1")) == []


def test_the_next_unit_waits_until_the_outcome_before_it_is_in_the_log() -> None:
    zone = Zone()
    assert [each.ticket for each in zone.send(message(5))] == [5]
    assert zone.send(message(6, previous=5)) == []
    assert [each.ticket for each in zone.store()] == [6]


def test_what_it_has_placed_leaves_with_its_mailbox() -> None:
    zone = Zone()
    zone.fold.on_fold_complete()
    assert [each.type for each in zone.send(message(5, "create", spec=DEFINITION))] == [EventType.PLACED]
    zone.send(message(6, "stop", previous=5))
    assert zone.store() == []
    assert zone.fold.rows == {}


def test_nothing_is_placed_before_it_is_known_who_is_where() -> None:
    zone = Zone()
    assert zone.send(message(5, "create", spec=DEFINITION)) == []
    zone.fold.on_fold_complete()
    zone.fold.tick(1.0)
    assert [each.type for each in zone.said()] == [EventType.PLACED]


def test_a_place_is_given_away_once() -> None:
    zone = Zone()
    zone.fold.on_fold_complete()
    assert [each.type for each in zone.send(message(5, "create", spec={"cpus": 3, "memory_mib": 512}))] == [
        EventType.PLACED
    ]
    zone.fold.on_message("vm.web-2", message(6, "create", spec={"cpus": 3, "memory_mib": 512}), 0.0)
    zone.fold.effects = []
    zone.fold.on_fetched("vm.web-2", 0, None, 0.0)
    assert zone.said() == []


def test_nothing_new_is_placed_in_a_zone_that_is_drained() -> None:
    zone = Zone()
    zone.fold.pods.zone_closed = True
    zone.fold.on_fold_complete()
    assert zone.send(message(5, "create", spec=DEFINITION)) == []


def test_an_owner_that_is_told_to_stop_takes_nothing_more_and_ends_what_is_on_its_way() -> None:
    zone = Zone()
    assert len(zone.send(message(5))) == 1
    zone.fold.stop_taking()
    assert not zone.fold.drained
    zone.send(message(6, previous=5))
    assert zone.store() == []
    assert zone.fold.drained


def test_a_row_in_use_is_not_forgotten_however_long_that_lasts() -> None:
    zone = Zone()
    zone.send(message(5, "create", spec=DEFINITION))
    for second in range(10):
        zone.fold.tick(1000.0 * second)
    assert zone.fold.rows[KEY].hand is not None


def test_what_is_said_of_an_address_says_all_that_was_said_of_it_before() -> None:
    kept: dict[str, Any] = {"paused": True, "draining": True, "released": 3, "policies": {"restarts_max": 7}}
    (said,) = Zone().send(message(5), event(EventType.COMPLETED, ticket=4, answered=4, removed=True, **kept))
    assert {name: getattr(said, name) for name in kept} == kept


def test_what_is_answered_after_a_hand_off_still_says_how_it_came() -> None:
    last = DeviceOutcome(ticket=4, applied=True)
    (said,) = Zone().send(message(6, "cancel"), handed_off(5, last=last, to="h1", emptied=True))
    assert (said.type, said.existed, said.left, said.left_pod) == (EventType.COMPLETED, True, "h2", "pod-1")
    assert (said.last, said.to, said.emptied, said.definition) == (last, "h1", True, DEFINITION)


def test_a_claim_of_a_pod_says_all_that_its_last_event_said() -> None:
    zone = Zone()
    kept: dict[str, Any] = {"definition": {"device": "tcp://d:1"}, "paused": True, "isolated": True, "released": 3}
    zone.fold.on_event(4, event(EventType.COMPLETED, "pod.pod-1", ticket=2, answered=2, **kept), 0.0)
    zone.fold.claim_pod("pod-1", "agent-1", "it had no owner", 0.0)
    (claim,) = zone.said()
    assert (claim.type, claim.owner, claim.answered) == (EventType.CLAIMED, "agent-1", 2)
    assert {name: getattr(claim, name) for name in kept} == kept


def test_what_the_log_shows_of_before_it_was_placed_does_not_free_its_place() -> None:
    """The owner hears that its appends are stored before it reads them: its room would be given away twice."""
    zone = Zone()
    zone.fold.on_fold_complete()
    rejected = zone.send(message(5))
    assert zone.store(20) == []
    placed = zone.send(message(6, "create", spec={"cpus": 4}))
    assert [each.host for each in placed] == ["h1"]
    free = zone.fold.where.places.hosts["h1"].free
    zone.fold.on_event(20, rejected[0], 0.0)
    assert (free.cpu_milli, zone.fold.where.places.hosts["h1"].free.cpu_milli) == (0, 0)
    zone.fold.on_event(21, placed[0], 0.0)
    zone.fold.on_event(22, event(EventType.COMPLETED, ticket=7, answered=7, removed=True), 0.0)
    assert zone.fold.where.places.hosts["h1"].free.cpu_milli == 4000, "it is heard again from its `placed` on"


def test_a_host_that_is_being_placed_is_in_its_pod_whatever_the_log_shows_of_before() -> None:
    zone = Zone()
    zone.fold.on_event(20, event(EventType.REJECTED, "host.h2", ticket=4, answered=4), 0.0)
    zone.fold.where.give_host("h2", "pod-1")
    zone.fold.on_event(21, event(EventType.REJECTED, "host.h2", ticket=5, answered=5), 0.0)
    zone.fold.where.places.remove_host("h1")
    assert zone.fold.where.has_anything("pod-1")


def test_what_was_read_from_behind_its_place_counts_though_that_itself_was_never_read() -> None:
    """A bucket holds only the last event of each."""
    zone = Zone()
    zone.fold.where.give_host("h2", "pod-2")
    zone.fold.where.on_given("host.h2", 30)
    assert zone.fold.where.has_anything("pod-2")
    zone.fold.on_event(40, event(EventType.FAILED, "host.h2", ticket=4, answered=4, removed=True), 0.0)
    assert not zone.fold.where.has_anything("pod-2")


def test_room_that_was_kept_for_nothing_is_given_to_who_waits() -> None:
    zone = Zone()
    zone.fold.on_fold_complete()
    zone.fold.where.reserve("vm.moves", Placed("pod-1", "h1", Need(Demand(4000, 512))), 0.0)
    assert zone.send(message(6, "create", spec={"cpus": 4})) == []
    zone.fold.tick(RESERVED_S - 1.0)
    assert zone.said() == []
    zone.fold.tick(RESERVED_S + 1.0)
    assert [each.host for each in zone.said()] == ["h1"]


def test_a_place_that_is_kept_on_a_drained_host_is_nothing_that_is_still_there() -> None:
    zone = Zone()
    zone.fold.where.reserve("vm.moves", Placed("pod-1", "h1", Need(Demand(1000, 512))), 0.0)
    drained = event(EventType.COMPLETED, "host.h1", pod="pod-1", host="h1", definition=HOST, draining=True)
    zone.fold.on_event(20, drained, 0.0)
    assert "draining" not in zone.fold.describe("host.h1", 0.0)
    zone.fold.on_event(21, event(EventType.PLACED, pod="pod-1", host="h1", reserves=DEFINITION), 0.0)
    assert zone.fold.describe("host.h1", 0.0)["draining"] == {"left": 1, "waiting": 0}
