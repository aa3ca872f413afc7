"""W3C trace context as text: read strictly, written, and derived from a unit's identity."""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

_PATTERN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class Context(NamedTuple):
    """What a `traceparent` says: the trace, the span that is the parent, and whether the trace is kept."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


@lru_cache(maxsize=4096)
def parse(text: str | None) -> Context | None:
    """Read a `traceparent`; None if there is none or it breaks the specification in any way, as that asks for."""
    if not text:
        return None
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Context(int(trace_id, 16), int(span_id, 16), int(flags, 16) & 1 == 1)


def derive(zone: str, work_created_s: float, ticket: int) -> tuple[int, int]:
    """The trace id and the id of the root span of a unit without a trace of its own.

    Every program that knows the zone, when its WORK stream was made (Unix seconds as the server gives them; compared
    in microseconds) and the ticket gets the same two, so a span reported twice is one span.
    """
    name = f"{zone}\0{round(work_created_s * 1e6)}\0{ticket}".encode()
    digest = blake2b(name, digest_size=24, person=b"treeward-unit").digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1
