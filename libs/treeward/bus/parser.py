"""The parser of what a NATS server sends: a message costs one search, one split and one call, and awaits nothing.

nats-py's own tries a regular expression for each kind of line, moves the rest of its buffer for each part of a message,
and awaits a coroutine for each message: a quarter of the time of a program that mostly reads.
"""

import json
from typing import Any, Final, Protocol

from nats.errors import ProtocolError

_M: Final = b"M"[0]
_H: Final = b"H"[0]


class Hearer(Protocol):
    """Who is told what the server says; the control lines are nats-py's affair."""

    def deliver(self, sid: int, subject: bytes, reply: bytes, data: bytes, header_block: bytes | None) -> None:
        """A message."""

    async def _process_ping(self) -> None: ...

    async def _process_pong(self) -> None: ...

    async def _process_info(self, info: Any) -> None: ...

    async def _process_err(self, err_msg: str) -> None: ...


class Parser:
    """Takes bytes as they come off the link, cut anywhere; stands in for `nats.protocol.parser.Parser`."""

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self._kept: list[bytes] = []
        """The beginning of a line or message whose end has not come."""
        self._missing = 0
        """At least so many bytes are missing of that message: until then there is nothing to look at."""
        self._resets = 0

    def reset(self) -> None:
        """Forget what was begun: the next bytes are those of another link."""
        self._kept = []
        self._missing = 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Tell of every message and control line that is complete now; raises ProtocolError for what is neither."""
        if self._kept:
            self._kept.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._kept)
        self._missing = position = 0
        length, deliver = len(data), self._hearer.deliver
        while (end := data.find(b"\r\n", position)) >= 0:
            first = data[position]
            if first != _M and first != _H:
                line, position = data[position:end], end + 2
                resets = self._resets
                await self._control(line)
                if self._resets != resets:
                    return  # the link that this came from is given up
                continue
            words = data[position:end].split(b" ")
            try:
                sid, header_bytes, size = int(words[2]), int(words[-2]) if first == _H else 0, int(words[-1])
            except (ValueError, IndexError):
                raise ProtocolError(f"nats: malformed {words[0][:8]!r}") from None
            begin = end + 2
            body, over = begin + header_bytes, begin + size
            if length < over + 2:
                self._missing = over + 2 - length
                break
            reply = words[3] if len(words) == (6 if first == _H else 5) else b""
            deliver(sid, words[1], reply, data[body:over], data[begin:body] if header_bytes else None)
            position = over + 2
        self._kept = [data[position:]] if position < length else []

    async def _control(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        match word.rstrip():
            case b"PING":
                await self._hearer._process_ping()
            case b"PONG":
                await self._hearer._process_pong()
            case b"INFO":
                await self._hearer._process_info(json.loads(rest))
            case b"-ERR":
                await self._hearer._process_err(rest.decode(errors="replace").strip().lower())
            case b"+OK":
                pass
            case _:
                raise ProtocolError(f"nats: unknown protocol {word[:16]!r}")
