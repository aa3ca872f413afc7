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
from treeward.schemas.standing import Standing

TRACEPARENT = "traceparent"
SERVER_ENDS = "Server Shutdown"
FORGOTTEN_TTL = "3s"

_EVENT = TypeAdapter(Event)
_STANDING = TypeAdapter(Standing)
_MESSAGE = TypeAdapter(Message)
_HEARTBEAT = TypeAdapter(Heartbeat)
_PLACE_ASKED = TypeAdapter(PlaceAsked)
_PLACE_SAID = TypeAdapter(PlaceSaid)
_CLOSED = TypeAdapter(Closed)
# What the adapters call: the way through them is a tenth of a short message.
_read_event = _EVENT.validator.validate_json
_dump_event = _EVENT.serializer.to_json
_read_standing = _STANDING.validator.validate_json
_read_message = _MESSAGE.validator.validate_json
_dump_message = _MESSAGE.serializer.to_json


def event_of(data: bytes) -> Event | None:
    """An event from the log or bucket; None if it is none (a deletion marker, or written by something else)."""
    try:
        event: Event = _read_event(data)
    except ValidationError:
        return None
    return event


def standing_of(data: bytes) -> Standing | None:
    """An event that says of something only where it is, at half the price; None: it is to be read whole."""
    try:
        standing: Standing = _read_standing(data)
    except ValidationError:
        return None
    return standing


def draft_of(event: Event, *, instance: str, trace: str | None) -> Draft:
    """An event as it is appended; headers follow the CloudEvents binding for NATS."""
    kind, type_, at = event.kind, event.type.value, event.at
    key = f"{kind}.{event.id}"
    headers = {
        "ce-specversion": "1.0",
        "ce-type": f"treeward.{type_}",
        "ce-source": f"treeward/{instance}",
        "ce-id": f"{event.zone}.{key}.{event.life}.{type_}.{event.ticket or 0}",
        "ce-time": (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()[:-6] + "Z",
        "content-type": "application/json",
    }
    if trace:
        headers[TRACEPARENT] = trace
    if event.type is EventType.FORGOTTEN:  # the bucket forgets the key; no other event has a TTL (PROTOCOL H6)
        headers |= {"KV-Operation": "PURGE", "Nats-TTL": FORGOTTEN_TTL}
    return Draft(
        subjects.log(event.zone, key, type_),
        # What is as it is by default is left out: three fifths of an event, which each of its readers would parse.
        _dump_event(event, exclude_none=True, exclude_defaults=True),
        headers,
        # Who starts learns from the log alone which zones and pods there are (ADR 6).
        kind in SUPERVISED_KINDS,
    )


def message_of(data: bytes) -> Message | None:
    """A mailbox message; None if it is none."""
    try:
        message: Message = _read_message(data)
    except ValidationError:
        return None
    return message


def message_bytes(message: Message) -> bytes:
    """A mailbox message as it is sent."""
    return _dump_message(message, exclude_none=True)


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
    return headers.get(TRACEPARENT) if headers is not None else None


def log_position_of(entry: Stored) -> int:
    """The position in the log of an entry of the state bucket: the server says from where it copied it."""
    # Not `headers or {}`: to know whether there are any, all of them would be read.
    parts = entry.headers.get("Nats-Stream-Source", "").split(" ") if entry.headers is not None else ()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
