"""Building events: each carries the whole state of its resource, so that the last one says all (DESIGN section 4)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from treeward.schemas.construct import constructor
from treeward.schemas.events import Event, EventType
from treeward.supervision.row import Phase

if TYPE_CHECKING:
    from treeward.supervision.row import Row

_event = constructor(Event)


def at(now_s: float) -> datetime:
    """Unix seconds as the time of an event."""
    return datetime.fromtimestamp(now_s, UTC)


def of_row(zone: str, pod: str, row: "Row", type_: EventType, now_s: float, **changes: Any) -> Event:
    """An event of a process of a pod, as its row stands; `changes` are what this event says beyond that."""
    kind, _, id_ = row.key.partition(".")
    hand = row.hand
    fields: dict[str, Any] = {
        "type": type_,
        "zone": zone,
        "kind": kind,
        "id": id_,
        "life": row.life,
        "answered": row.answered,
        "at": at(now_s),
        "pod": pod,
        "host": row.host,
        "definition": row.definition,
        "flushed": [],
        "reserves": row.reserves if row.definition is None else None,
        "existed": row.make,  # until it has been made here, whoever comes next must still know that it is to be
        "ticket": hand.ticket if hand is not None else None,
        "operation": hand.operation or None if hand is not None else None,
        "attempts": row.attempts,
        "verdict": row.verdict,
        "moved": row.moved,
        "paused": row.paused,
        "draining": row.draining,
        "isolated": row.isolated,
        "quarantined": type_ is EventType.QUARANTINED
        or (row.phase is Phase.QUARANTINED and type_ is not EventType.RELEASED),
        "released": row.released,
        "observed": row.observed,
        "policies": row.policies,
    } | changes
    return _event(fields)


def forgotten(zone: str, key: str, life: int, answered: int, now_s: float) -> Event:
    """The last word about an address at which nothing exists any more."""
    kind, _, id_ = key.partition(".")
    return Event.model_construct(
        type=EventType.FORGOTTEN, zone=zone, kind=kind, id=id_, life=life, answered=answered, at=at(now_s), flushed=[]
    )
