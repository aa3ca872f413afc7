"""The way to a device: one connection, many requests in flight, callbacks instead of tasks.

A request stays pending until it is answered or cancelled. When the connection is lost, a new one is sought without
end, and every pending request is sent again on it, in the order in which they were asked: that is safe, since the
device keeps a record (PROTOCOL table 4). An answer that never comes on a connection that works is for the caller to
notice: only it knows how long a call may take. It asks again, or gives the life up.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import pydantic_core
from pydantic import ValidationError

from treeward.schemas.device import Answer

Done = Callable[[Answer], None]
"""Told the answer, in the event loop; it must not raise, and may make new requests."""

BACKOFF_S_MIN = 0.05
BACKOFF_S_MAX = 2.0
CONNECT_S_MAX = 5.0
ANSWER_BYTES_MAX = 1 << 20
_PING = b'{"seq":0,"verb":"ping"}\n'


class InvalidDeviceAddressError(ValueError):
    """A device address is neither `tcp://HOST:PORT` nor `unix:///PATH`; nothing was tried."""


class Device(Protocol):
    """What a process needs of a device; the simulation has one in memory."""

    def request(self, fields: dict[str, Any], done: Done) -> int:
        """Ask the device: a request of schemas/device.py without `seq`. Returns a token for `cancel`; never blocks."""

    def cancel(self, token: int) -> None:
        """Forget a request: it may still take effect, its answer is not told any more. Unknown tokens are ignored."""

    async def close(self) -> None:
        """Give the connection up. Nothing pending is answered any more; what was sent may still take effect."""


class Link(StrEnum):
    """The state of the connection."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class DeviceClient:
    """A `Device` behind a socket.

    Args:
        address: `tcp://HOST:PORT` or `unix:///PATH`; raises InvalidDeviceAddressError.
        silence_s: with requests pending, a connection silent for that long is asked for a sign of life (a `ping`),
            and given up when it stays silent for as long again. A slow call is no silence: the ping is answered.
        on_link: told every change of `link`, with the error that caused it if there was one.
        chance: spreads the back-off.
    """

    def __init__(
        self,
        address: str,
        *,
        silence_s: float = 2.0,
        on_link: Callable[[Link, str | None], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.address = address
        self.link = Link.CLOSED
        self.link_error: str | None = None
        """Why the last connection or attempt ended."""
        self._target = _parse(address)
        self._silence_s = silence_s
        self._on_link = on_link
        self._chance = random.Random() if chance is None else chance
        self._pending: dict[int, tuple[dict[str, Any], Done]] = {}
        self._token = 0
        self._out: list[bytes] = []
        self._paused = False
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._heard_s = 0.0

    def start(self) -> None:
        """Begin to connect; needs a running loop. Requests may be made before and after."""
        assert self._keeper is None
        self._keeper = asyncio.get_running_loop().create_task(self._keep_connected(), name=f"device {self.address}")

    async def close(self) -> None:
        """Give the connection up and forget what is pending; what was sent may still take effect."""
        self._pending.clear()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._become(Link.CLOSED, None)

    def request(self, fields: dict[str, Any], done: Done) -> int:
        """Send a request, now or when there is a connection; `done` is told the answer once, unless it is cancelled."""
        self._token += 1
        token = self._token
        if not self._pending and self._connection is not None:
            self._listen_from_now()
        self._pending[token] = (fields, done)
        if self._connection is not None:
            self._put(token, fields)
        return token

    def cancel(self, token: int) -> None:
        """Forget a request; if it was sent, it may still take effect."""
        self._pending.pop(token, None)

    def _put(self, token: int, fields: dict[str, Any]) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(pydantic_core.to_json({"seq": token, **fields}))

    def _flush(self) -> None:
        """Write what was asked in this turn of the loop in one piece; held while the socket is full."""
        if self._connection is not None and self._out and not self._paused:
            self._out.append(b"")
            self._connection.write(b"\n".join(self._out))
            self._out = []

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            self._become(Link.CONNECTING, self.link_error)
            connection = _Connection(self, loop.create_future())
            try:
                async with asyncio.timeout(CONNECT_S_MAX):
                    await self._connect(connection)
                self._adopt(connection)
                failures = 0
                self.link_error = await connection.lost
            except (OSError, TimeoutError) as error:
                self.link_error = str(error) or f"no connection within {CONNECT_S_MAX:g} s"
            finally:
                connection.abort()
                self._connection = None
                self._out.clear()
            ceiling_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2**failures)
            failures = min(failures + 1, 10)
            self._become(Link.CONNECTING, self.link_error)
            await asyncio.sleep(self._chance.uniform(BACKOFF_S_MIN, max(ceiling_s, 2 * BACKOFF_S_MIN)))

    async def _connect(self, connection: "_Connection") -> None:
        loop = asyncio.get_running_loop()
        if isinstance(self._target, str):
            await loop.create_unix_connection(lambda: connection, self._target)
        else:
            await loop.create_connection(lambda: connection, *self._target)

    def _adopt(self, connection: "_Connection") -> None:
        """A connection is there: repeat on it all that is pending."""
        self._connection = connection
        self._paused = False
        self._listen_from_now()
        for token, (fields, _) in self._pending.items():
            self._put(token, fields)
        self._become(Link.CONNECTED, None)

    def _become(self, link: Link, error: str | None) -> None:
        if link is not self.link:
            self.link = link
            if self._on_link is not None:
                self._on_link(link, error)

    def _listen_from_now(self) -> None:
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self._silence_s, self._check_silence)

    def _check_silence(self) -> None:
        """Half-open links: nothing is heard, nothing fails. Ask for a sign of life once, then give up."""
        self._watch = None
        if not self._pending or self._connection is None:
            return
        loop = asyncio.get_running_loop()
        silent_s = loop.time() - self._heard_s
        if silent_s >= 2 * self._silence_s:
            self._connection.lose(f"silent for {silent_s:.1f} s")
            return
        if silent_s >= self._silence_s:
            self._connection.write(_PING)
            wait_s = 2 * self._silence_s - silent_s
        else:
            wait_s = self._silence_s - silent_s
        self._watch = loop.call_later(max(wait_s, 0.001), self._check_silence)

    def _hear(self, answer: Answer) -> None:
        entry = self._pending.pop(answer.seq, None)
        if entry is not None:
            entry[1](answer)

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if not paused:
            self._flush()


class _Connection(asyncio.Protocol):
    """One connection of a client; `lost` is told why it ended."""

    def __init__(self, client: DeviceClient, lost: "asyncio.Future[str]") -> None:
        self.lost = lost
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.lost.done():
            return
        if len(self._rest) > ANSWER_BYTES_MAX:
            self.lose("an answer is longer than 1 MiB")
            return
        self._client._heard_s = asyncio.get_running_loop().time()
        for line in lines:
            try:
                answer = Answer.model_validate_json(line)
            except ValidationError as error:
                self.lose(f"the answer cannot be read: {error.errors(include_url=False)[0]['msg']}")
                return
            self._client._hear(answer)  # what that raises is ours, not the device's: it ends the program

    def connection_lost(self, error: Exception | None) -> None:
        self.lose(str(error) if error is not None else "closed by the device")

    def pause_writing(self) -> None:
        self._client._pause(paused=True)

    def resume_writing(self) -> None:
        self._client._pause(paused=False)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def lose(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


def _parse(address: str) -> str | tuple[str, int]:
    """The path of a Unix socket, or host and port."""
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path:
        return parts.path
    try:
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise InvalidDeviceAddressError(f"device {address!r}: must be tcp://HOST:PORT or unix:///PATH")
