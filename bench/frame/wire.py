"""The leanest client of NATS that this bench knows how to write: for the client of every run, and for the floor.

No headers on what is sent, no reconnecting, no futures: a subscription is a function, and what is published in one turn
of the event loop is written in one piece. It is not the product's own engine on purpose: what makes that one faster
must not move the floor.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Receive = Callable[[bytes, bytes, bytes], None]
"""`receive(subject, reply, data)`"""
_CONNECT = (
    b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"python","version":"0"}\r\n'
)


class Wire(asyncio.Protocol):
    """One connection to one server."""

    def __init__(self) -> None:
        self._rest = b""
        self._receivers: dict[bytes, Receive] = {}
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._ready = self._loop.create_future()
        self.lost = self._loop.create_future()
        """Done when the connection has ended."""

    @classmethod
    async def connect(cls, url: str) -> "Wire":
        """Connect to a server; raises OSError, or ValueError for what is no address."""
        parts = urlsplit(url)
        wire = cls()
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url} has no host or no port")
        await wire._loop.create_connection(lambda: wire, parts.hostname, parts.port)
        await wire._ready
        return wire

    def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Publish; with a reply subject the stream that takes it answers there."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def subscribe(self, subject: str, receive: Receive) -> None:
        """Have `receive` called for each message."""
        sid = str(len(self._receivers) + 1).encode()
        self._receivers[sid] = receive
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(b"SUB %s %s\r\n" % (subject.encode(), sid))

    async def request(self, subject: str, data: bytes, inbox: str, timeout_s: float = 10.0) -> bytes:
        """Ask once; `inbox` must be a subject of its own."""
        answer: asyncio.Future[bytes] = self._loop.create_future()

        def answered(_subject: bytes, _reply: bytes, body: bytes) -> None:
            if not answer.done():
                answer.set_result(body)

        self.subscribe(inbox, answered)
        self.publish(subject, data, inbox)
        return await asyncio.wait_for(answer, timeout_s)

    def close(self) -> None:
        """End it."""
        self._transport.close()

    def _flush(self) -> None:
        self._transport.write(b"".join(self._out))
        self._out = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(_CONNECT + b"PING\r\n")

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        position = 0
        while (end := buffer.find(b"\r\n", position)) >= 0:
            first = buffer[position]
            if first not in b"MH":
                self._control(buffer[position:end])
                position = end + 2
                continue
            words = buffer[position:end].split(b" ")
            size, body = int(words[-1]), end + 2
            if len(buffer) < body + size + 2:
                break
            begin = body + (int(words[-2]) if first == 72 else 0)
            with_reply = len(words) == (6 if first == 72 else 5)
            self._receivers[words[2]](words[1], words[3] if with_reply else b"", buffer[begin : body + size])
            position = body + size + 2
        self._rest = buffer[position:]

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            self._transport.write(b"PONG\r\n")
        elif line == b"PONG":
            if not self._ready.done():
                self._ready.set_result(None)
        elif line.startswith(b"-ERR"):
            raise RuntimeError(line.decode())
