"""Spans as rows, and their OTLP encoding written straight into bytes.

Reporting and encoding a span by the SDK's classes costs several times what the unit's step itself costs, and all
programs of a busy zone pay it six times a unit. A row is a tuple; its encoding is a concatenation. The property test
compares it with what the SDK makes of the same span.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from treeward.telemetry import names
from treeward.telemetry.traceparent import Context

Attribute = str | bool | int | float
Attributes = Mapping[str, Attribute]

# Tags of the messages in opentelemetry/proto/trace/v1/trace.proto: field number * 8 + wire type.
_TIMES = Struct("<BQBQ")  # start_time_unix_nano (7) and end_time_unix_nano (8), fixed64
_DOUBLE = Struct("<Bd")
_FLAGS = b"\x85\x01\x00\x01\x00\x00"  # flags (16), fixed32: the parent's place is known, and it is not remote
_LINK_FLAGS = b"\x35\x00\x01\x00\x00"  # the same in a link (6)
_KINDS = {kind: b"\x30" + bytes([kind.value + 1]) for kind in SpanKind}  # kind (6); OTLP counts from 1
_ERROR = b"\x18\x02"
_NONE: dict[str, str] = {}


class Row(NamedTuple):
    """One span that has ended. Times are in nanoseconds since 1970."""

    name: str
    own: Context
    parent: Context | None
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Attributes
    links: Sequence[Context]
    error: str | None

    @property
    def context(self) -> SpanContext:
        """What a span processor asks for: whether the span is to be exported. A row always is."""
        return _SAMPLED


_SAMPLED = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def encode_request(rows: Iterable[Row], resource: bytes, scope: str) -> bytes:
    """An ExportTraceServiceRequest with all rows under one resource (from `encode_resource`) and one scope."""
    spans = b"".join([_field(b"\x12", encode_span(row)) for row in rows])
    scope_spans = _field(b"\x0a", _field(b"\x0a", scope.encode())) + spans
    return _field(b"\x0a", _field(b"\x0a", resource) + _field(b"\x12", scope_spans))


def encode_resource(attributes: Mapping[str, Attribute]) -> bytes:
    """A Resource message."""
    return b"".join(_field(b"\x0a", _pair(key, value)) for key, value in attributes.items())


def encode_span(row: Row) -> bytes:
    """A Span message."""
    name, own, parent, kind, start_ns, end_ns, attributes, links, error = row
    parts = [
        b"\x0a\x10", own.trace_id.to_bytes(16), b"\x12\x08", own.span_id.to_bytes(8),
        _name(name), _KINDS[kind], _TIMES.pack(0x39, start_ns, 0x41, end_ns),
    ]  # fmt: skip
    if parent is not None:
        parts += b"\x22\x08", parent.span_id.to_bytes(8)
    fixed = names.FIXED.get(name, _NONE)
    for key, value in attributes.items():
        if key not in fixed:  # a key twice is no valid span
            parts.append(_field(b"\x4a", _pair(key, value)))
    for link in links:
        body = b"\x0a\x10" + link.trace_id.to_bytes(16) + b"\x12\x08" + link.span_id.to_bytes(8) + _LINK_FLAGS
        parts.append(_field(b"\x6a", body))
    if error is not None:
        parts.append(_field(b"\x7a", (_field(b"\x12", _text(error)) if error else b"") + _ERROR))
    parts.append(_FLAGS)
    return b"".join(parts)


def _pair(key: str, value: Attribute) -> bytes:
    """A KeyValue message; a bool is asked for before int, of which it is one."""
    if isinstance(value, str):
        body = _field(b"\x0a", _text(value))
    elif isinstance(value, bool):
        body = b"\x10\x01" if value else b"\x10\x00"
    elif isinstance(value, int):
        body = b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    elif isinstance(value, float):
        body = _DOUBLE.pack(0x21, value)
    else:  # a caller's mistake must not cost the batch that the span is in
        body = _field(b"\x0a", _text(repr(value)))
    return _field(_key(key), body)


def _text(text: str) -> bytes:
    return text.encode(errors="replace")  # a lone surrogate from a hand-written body is no UTF-8


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return _field(b"\x0a", key.encode()) + b"\x12"


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    """The name with the attributes that all spans of that name have."""
    fixed = names.FIXED.get(name, _NONE).items()
    return _field(b"\x2a", name.encode()) + b"".join(_field(b"\x4a", _pair(key, value)) for key, value in fixed)


def _field(tag: bytes, body: bytes) -> bytes:
    size = len(body)
    return tag + (_SMALL[size] if size < 128 else _varint(size)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([size]) for size in range(128)]
