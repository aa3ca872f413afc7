"""Spans as rows of bytes: their OTLP encoding, written where they are reported, of parts that are encoded once.

A row is a field of the message that holds spans, so a request is what all rows share and then the rows. A span is
what all of its name have in common (`encode_shape`), its ids and times, and attributes, which the spans of a unit
share. The messages of protobuf cost seven times as much (bench/NOTES.md). The property test compares a request with
what the SDK makes of the same spans.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from struct import Struct

from opentelemetry.trace import SpanKind

from treeward.telemetry import names
from treeward.telemetry.traceparent import Context, span_id_of, trace_id_of

Attribute = str | bool | int | float
Attributes = Mapping[str, Attribute]

# Tags of the messages in opentelemetry/proto/trace/v1/trace.proto: field number * 8 + wire type.
_times = Struct("<BQBQ").pack  # start_time_unix_nano (7) and end_time_unix_nano (8), fixed64
_double = Struct("<Bd").pack
_FLAGS = b"\x85\x01\x00\x01\x00\x00"  # flags (16), fixed32: the parent's place is known, and it is not remote
_ERROR = b"\x18\x02"
_UINT64 = 2**64 - 1
_HEADS = 256
"""Sizes of texts whose heads are kept."""
_NONE: Mapping[str, str] = {}
_from_hex = bytes.fromhex
_join = b"".join


def encode_request(rows: Sequence[bytes], resource: bytes, scope: str) -> bytes:
    """An ExportTraceServiceRequest with all rows under one resource (from `encode_resource`) and one scope."""
    above = _field(b"\x0a", resource)
    within = _field(b"\x0a", _field(b"\x0a", scope.encode()))
    size = len(within) + sum(map(len, rows))
    above += b"\x12" + _varint(size) + within
    return _join([b"\x0a", _varint(len(above) - len(within) + size), above, *rows])


def encode_resource(attributes: Attributes) -> bytes:
    """A Resource message."""
    return _join([_field(b"\x0a", _pair(key, value)) for key, value in attributes.items()])


def encode_row(
    shape: bytes, own: Context, parent: Context | None, start_ns: int, end_ns: int, more: bytes = b""
) -> bytes:
    """One span that has ended. Times are in nanoseconds since 1970; `more`: attributes, links and an error, encoded."""
    above = f"2208{parent[36:52]}" if parent is not None else ""  # ids cut out here: a call costs more than the cut
    ids = _from_hex(f"0a10{own[3:35]}1208{own[36:52]}{above}")
    span = _join((ids, shape, _times(0x39, start_ns & _UINT64, 0x41, end_ns & _UINT64), more))
    size = len(span)
    return (_SIZES[size] if size < 4096 else b"\x12" + _varint(size)) + span


@lru_cache(maxsize=256)
def encode_name(name: str, kind: SpanKind) -> bytes:
    """The shape of a span: its name, and what all of that name have in common; attributes may be added to it."""
    fixed = encode_attributes(names.FIXED.get(name, _NONE))
    kind_field = b"\x30" + bytes([kind.value + 1])  # OTLP counts from 1
    return _field(b"\x2a", _text(name)) + kind_field + _FLAGS + fixed


def encode_attributes(attributes: Attributes, without: Collection[str] = ()) -> bytes:
    """Attributes of any type; not those whose keys are in `without`: a key twice is no valid span."""
    return _join([_field(b"\x4a", _pair(key, value)) for key, value in attributes.items() if key not in without])


def encode_text(key: str, value: str) -> bytes:
    """One attribute, quickly."""
    text = _text(value)
    size = len(text)
    return (_text_heads(key)[size] if size < _HEADS else _text_head(key, size)) + text


def encode_number(key: str, value: int) -> bytes:
    """One attribute, quickly."""
    number = _varint(value & _UINT64)
    return _number_heads(key)[len(number)] + number


few_texts = lru_cache(maxsize=256)(encode_text)
"""The same where few values are common."""


def encode_unit(resource: str, ticket: int, operation: str, life: int) -> bytes:
    """The attributes that say which unit a span is about."""
    number, number_of_life = _varint(ticket & _UINT64), _varint(life & _UINT64)
    return _join((
        encode_text(names.RESOURCE, resource),
        _TICKET_HEADS[len(number)], number,
        few_texts(names.OPERATION, operation),
        _LIFE_HEADS[len(number_of_life)], number_of_life,
    ))  # fmt: skip


def encode_link(context: Context) -> bytes:
    """A link to a span; its flags (6) say that it is not remote."""
    return _from_hex(f"6a210a10{trace_id_of(context)}1208{span_id_of(context)}3500010000")


def encode_error(error: str) -> bytes:
    """The status of a span that failed."""
    return _field(b"\x7a", (_field(b"\x12", _text(error)) if error else b"") + _ERROR)


def _pair(key: str, value: Attribute) -> bytes:
    """A KeyValue message; a bool is asked for before int, of which it is one."""
    if isinstance(value, str):
        body = _field(b"\x0a", _text(value))
    elif isinstance(value, bool):
        body = b"\x10\x01" if value else b"\x10\x00"
    elif isinstance(value, int):
        body = b"\x18" + _varint(value & _UINT64)
    elif isinstance(value, float):
        body = _double(0x21, value)
    else:  # a caller's mistake must not cost the batch that the span is in
        body = _field(b"\x0a", _text(repr(value)))
    return _field(b"\x0a", _text(key)) + _field(b"\x12", body)


@lru_cache(maxsize=64)
def _text_heads(key: str) -> list[bytes]:
    """What stands before an attribute's text, by its size."""
    return [_text_head(key, size) for size in range(_HEADS)]


def _text_head(key: str, size: int) -> bytes:
    whole = _field(b"\x4a", _pair(key, "x" * size))
    return whole[: len(whole) - size]


@lru_cache(maxsize=64)
def _number_heads(key: str) -> list[bytes]:
    """What stands before an attribute's number, by its size; none has the size 0."""
    wholes = [_field(b"\x4a", _pair(key, 1 << 7 * (size - 1))) for size in range(1, 11)]
    return [b"", *(whole[:-size] for size, whole in enumerate(wholes, 1))]


def _text(text: str) -> bytes:
    return text.encode(errors="replace")  # a lone surrogate from a hand-written body is no UTF-8


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL[value]
    if value < 0x4000:
        return bytes((value & 127 | 128, value >> 7))
    if value < 0x20_0000:
        return bytes((value & 127 | 128, value >> 7 & 127 | 128, value >> 14))
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([size]) for size in range(128)]
_TICKET_HEADS, _LIFE_HEADS = _number_heads(names.TICKET), _number_heads(names.LIFE)
_SIZES = [b"\x12" + _varint(size) for size in range(4096)]
"""What stands before a span of a size, so common that looking it up pays."""
