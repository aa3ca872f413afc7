"""Bytes to values and back: the one place where services parse and write what crosses the bus."""

from collections.abc import Mapping
from datetime import UTC

from pydantic import TypeAdapter, ValidationError

from treeward.bus.interface import Draft, Stored
from treeward.schemas import subjects
from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceAsked, PlaceSaid
from treeward.schemas.presence import Closed, Heartbeat

TRACEPARENT = "traceparent"
SERVER_ENDS = "Server Shutdown"
FORGOTTEN_TTL = "3s"

_EVENT = TypeAdapter(Event)
_MESSAGE = TypeAdapter(Message)
_HEARTBEAT = TypeAdapter(Heartbeat)
_PLACE_ASKED = TypeAdapter(PlaceAsked)
_PLACE_SAID = TypeAdapter(PlaceSaid)
_CLOSED = TypeAdapter(Closed)


def event_of(data: bytes) -> Event | None:
    """An event from the log or bucket; None if it is none (a deletion marker, or written by something else)."""
    try:
        return _EVENT.validate_json(data)
    except ValidationError:
        return None


def draft_of(event: Event, *, instance: str, trace: str | None) -> Draft:
    """An event as it is appended; headers follow the CloudEvents binding for NATS."""
    headers = {
        "ce-specversion": "1.0",
        "ce-type": f"treeward.{event.type.value}",
        "ce-source": f"treeward/{instance}",
        "ce-id": f"{event.zone}.{event.key}.{event.life}.{event.type.value}.{event.ticket or 0}",
        "ce-time": (event.at if event.at.tzinfo is UTC else event.at.astimezone(UTC)).isoformat()[:-6] + "Z",
        "content-type": "application/json",
    }
    if trace:
        headers[TRACEPARENT] = trace
    if event.type is EventType.FORGOTTEN:  # the bucket forgets the key; no other event has a TTL (PROTOCOL H6)
        headers |= {"KV-Operation": "PURGE", "Nats-TTL": FORGOTTEN_TTL}
    return Draft(
        subjects.log(event.zone, event.key, event.type.value),
        _EVENT.dump_json(event, exclude_none=True),
        headers,
        # Who starts learns from the log alone which zones and pods there are (ADR 6).
        never_expires=event.kind in SUPERVISED_KINDS,
    )


def message_of(data: bytes) -> Message | None:
    """A mailbox message; None if it is none."""
    try:
        return _MESSAGE.validate_json(data)
    except ValidationError:
        return None


def message_bytes(message: Message) -> bytes:
    """A mailbox message as it is sent."""
    return _MESSAGE.dump_json(message, exclude_none=True)


def heartbeat_of(data: bytes) -> Heartbeat | None:
    """A heartbeat; None if it is none."""
    try:
        return _HEARTBEAT.validate_json(data)
    except ValidationError:
        return None


def heartbeat_bytes(heartbeat: Heartbeat) -> bytes:
    """A heartbeat as it is sent."""
    return _HEARTBEAT.dump_json(heartbeat, exclude_none=True)


def closed_connection_of(data: bytes) -> str | None:
    """Whose connection a server reports as closed: the client's name. None: nobody's, or the server itself ends.

    A server that shuts down sends its clients elsewhere, and says nothing about them.
    """
    try:
        report = _CLOSED.validate_json(data)
    except ValidationError:
        return None
    return report.client.name if report.reason != SERVER_ENDS else None


def place_asked_of(data: bytes) -> PlaceAsked | None:
    """Read a question for a place; None: it cannot be read."""
    try:
        return _PLACE_ASKED.validate_json(data)
    except ValidationError:
        return None


def place_said_of(data: bytes | None) -> PlaceSaid | None:
    """Read the answer to it; None: there is none that can be read."""
    try:
        return _PLACE_SAID.validate_json(data or b"")
    except ValidationError:
        return None


def trace_of(headers: Mapping[str, str] | None) -> str | None:
    """The traceparent that came with a message."""
    return headers.get(TRACEPARENT) if headers else None


def log_position_of(entry: Stored) -> int:
    """The position in the log of an entry of the state bucket: the server says from where it copied it."""
    source = (entry.headers or {}).get("Nats-Stream-Source", "")
    parts = source.split(" ")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
