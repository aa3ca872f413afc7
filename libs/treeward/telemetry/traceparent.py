"""W3C trace context: a checked `traceparent` text, from which ids are cut, and what is derived from a unit's identity.

A context stays the text that travels: it is checked once where it comes in, and never taken apart into numbers.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import NewType

Context = NewType("Context", str)
"""`00-<trace id>-<span id>-<01: the trace is kept, or 00>`, without a flaw."""

_OURS = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]").fullmatch
_PATTERN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_IDS = 256


def read(text: str | None) -> Context | None:
    """Read a `traceparent`; None if there is none or it breaks the specification in any way, as that asks for."""
    if not text:
        return None
    if _OURS(text):
        return Context(text)
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return context(trace_id, span_id, kept=int(flags, 16) & 1 == 1)


def context(trace_id: str, span_id: str, *, kept: bool) -> Context:
    """The context with these ids, in hexadecimal as they are written."""
    return Context(f"00-{trace_id}-{span_id}-{'01' if kept else '00'}")


def trace_id_of(context: Context) -> str:
    """The id of its trace, 32 hexadecimal digits."""
    return context[3:35]


def span_id_of(context: Context) -> str:
    """The id of its span, 16 hexadecimal digits."""
    return context[36:52]


def is_kept(context: Context) -> bool:
    """Whether spans of it are reported."""
    return context[54] == "1"


def kept(context: Context) -> Context:
    """The same, kept."""
    return Context(f"{context[:54]}1")


def beside(context: Context, span_id: str) -> Context:
    """A context in the same trace, kept or not as that is, of the span with this id."""
    return Context(f"{context[:36]}{span_id}{context[52:]}")


def span_ids(random: Random) -> Iterator[str]:
    """Ids of spans, without end; many are drawn at once."""
    while True:
        digits = f"{random.getrandbits(64 * _IDS):0{16 * _IDS}x}"
        for at in range(0, 16 * _IDS, 16):
            if (span_id := digits[at : at + 16]) != _NO_SPAN:
                yield span_id


def derive(zone: str, work_created_s: float, ticket: int) -> tuple[str, str]:
    """The trace id and the id of the root span of a unit without a trace of its own.

    Every program that knows the zone, when its WORK stream was made (Unix seconds as the server gives them; compared
    in microseconds) and the ticket gets the same two, so a span reported twice is one span.
    """
    digest = _of_stream(zone, work_created_s).copy()
    digest.update(b"%d" % ticket)
    ids = digest.hexdigest()
    trace_id, span_id = ids[:32], ids[32:]
    return trace_id if trace_id != _NO_TRACE else f"{1:032x}", span_id if span_id != _NO_SPAN else f"{1:016x}"


@lru_cache(maxsize=64)
def _of_stream(zone: str, work_created_s: float) -> blake2b:
    """What the ids of all units of a WORK stream begin with; to be copied."""
    return blake2b(f"{zone}\0{round(work_created_s * 1e6)}\0".encode(), digest_size=24, person=b"treeward-unit")
