"""A TCP link that can be cut one way or both, slowed down, or reset.

A cut holds what is sent, as a network does that drops packets: nothing is heard, nobody is told, and what was sent may
arrive when it heals, late. Or the link is reset then, and what was held is lost. Nothing is ever left out of a stream.
"""

import asyncio
from collections import deque


class Way:
    """One direction of a link."""

    def __init__(self) -> None:
        self.held = False
        self.delay_s = 0.0


class Link:
    """A port that leads to another; both on the loopback interface."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.to_server = Way()
        self.to_client = Way()
        self._flows: set[_Flow] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Hold what is sent from now on, in these directions; new connections are held as well."""
        self.to_server.held |= to_server
        self.to_client.held |= to_client

    def slow(self, delay_s: float) -> None:
        """Let everything arrive that much later, in both directions."""
        self.to_server.delay_s = self.to_client.delay_s = delay_s

    def heal(self, *, reset: bool = False) -> None:
        """As it was: what was held arrives now, in order, or is lost with the connections."""
        for way in (self.to_server, self.to_client):
            way.held, way.delay_s = False, 0.0
        if reset:
            self.reset()
        for flow in tuple(self._flows):
            flow.pump()

    def reset(self) -> None:
        """End every connection at once."""
        for flow in tuple(self._flows):
            flow.abort()

    def close(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
        self.reset()


class _Flow:
    """What goes one way on one connection."""

    def __init__(self, link: Link, way: Way) -> None:
        self._link = link
        self._way = way
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.out: asyncio.Transport | None = None
        """Where it goes to; None: not connected yet."""
        link._flows.add(self)

    def put(self, data: bytes | None) -> None:
        """Let it arrive; None: the end of the stream."""
        if not self._waiting and self.out is not None and not self._way.held and not self._way.delay_s:
            self._write(data)
            return
        now_s = asyncio.get_running_loop().time()
        due_s = max(now_s + self._way.delay_s, self._waiting[-1][0] if self._waiting else 0.0)
        self._waiting.append((due_s, data))
        self.pump()

    def pump(self) -> None:
        """Let arrive what is due."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.out is None or self._way.held:
            return
        while self._waiting and (self._waiting[0][0] <= loop.time() or not self._way.delay_s):
            self._write(self._waiting.popleft()[1])
        if self._waiting:
            self._timer = loop.call_at(self._waiting[0][0], self.pump)

    def abort(self) -> None:
        """Lose what waits, and the connection it goes to."""
        self._waiting.clear()
        self._link._flows.discard(self)
        if self.out is not None:
            self.out.abort()

    def _write(self, data: bytes | None) -> None:
        assert self.out is not None, "only a connected flow writes"
        if data is not None:
            if not self.out.is_closing():  # who is gone hears nothing
                self.out.write(data)
            return
        self._link._flows.discard(self)
        self.out.close()


class _End(asyncio.Protocol):
    """One end of a connection: what it sends goes into a flow."""

    def __init__(self, sends: _Flow, hears: _Flow) -> None:
        self._sends = sends
        self._hears = hears

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._hears.out = transport  # type: ignore[assignment]  # uvloop's are no subclass of Transport
        self._hears.pump()

    def data_received(self, data: bytes) -> None:
        self._sends.put(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._sends.put(None)


class _Client(_End):
    """A program that connects; its way on to the server is sought at once."""

    def __init__(self, link: Link) -> None:
        super().__init__(_Flow(link, link.to_server), _Flow(link, link.to_client))
        self._link = link
        self._onward: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._onward = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _End(self._hears, self._sends), "127.0.0.1", self._link.target_port)
        except OSError:  # nobody listens there
            self._sends.abort()
            self._hears.abort()
