"""Building events: each carries the whole state of its resource, so that the last one says all (DESIGN section 4)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from treeward.schemas.construct import constructor
from treeward.schemas.events import Event, EventType
from treeward.supervision.row import Phase

if TYPE_CHECKING:
    from treeward.supervision.row import Row
    from treeward.supervision.unplaced import Unplaced
    from treeward.supervision.waiting_units import WaitingUnits

_event = constructor(Event)


def at(now_s: float) -> datetime:
    """Unix seconds as the time of an event."""
    return datetime.fromtimestamp(now_s, UTC)


def of_row(zone: str, pod: str, row: "Row", type_: EventType, now_s: float, **changes: Any) -> Event:
    """An event of a process of a pod, as its row stands; `changes` are what this event says beyond that."""
    fields = _of_units(zone, row, row.life, type_, now_s) | {
        "pod": pod,
        "host": row.host,
        "definition": row.definition,
        "reserves": row.reserves if row.definition is None else None,
        "existed": row.make,  # until it has been made here, whoever comes next must still know that it is to be
        "tried": row.tried,
        "attempts": row.attempts,
        "verdict": row.verdict,
        "moved": row.moved,
        "quarantined": type_ is EventType.QUARANTINED
        or (row.phase is Phase.QUARANTINED and type_ is not EventType.RELEASED),
        "observed": row.observed,
    }
    return _event(fields | changes)


def of_unplaced(zone: str, epoch: int, row: "Unplaced", type_: EventType, now_s: float, **changes: Any) -> Event:
    """An event of an address that is nowhere; `changes` say what exists there, and how it came."""
    return _event(_of_units(zone, row, epoch, type_, now_s) | changes)


def _of_units(zone: str, row: "WaitingUnits", life: int, type_: EventType, now_s: float) -> dict[str, Any]:
    """What every event says of a resource, wherever it is (PROTOCOL S8)."""
    kind, _, id_ = row.key.partition(".")
    hand = row.hand
    return {
        "type": type_,
        "zone": zone,
        "kind": kind,
        "id": id_,
        "life": life,
        "answered": row.answered,
        "at": at(now_s),
        "ticket": hand.ticket if hand is not None else None,
        "operation": hand.operation or None if hand is not None else None,
        "flushed": [],
        "paused": row.paused,
        "draining": row.draining,
        "isolated": row.isolated,
        "released": row.released,
        "policies": row.policies,
    }


def forgotten(zone: str, key: str, life: int, answered: int, now_s: float) -> Event:
    """The last word about an address at which nothing exists any more."""
    kind, _, id_ = key.partition(".")
    return _event(
        {
            "type": EventType.FORGOTTEN, "zone": zone, "kind": kind, "id": id_, "life": life, "answered": answered,
            "at": at(now_s), "flushed": [],
        }
    )  # fmt: skip
