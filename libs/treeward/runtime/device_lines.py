"""Connections that carry lines, and the sockets that accept them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

LINE_BYTES_MAX = 1 << 20
"""A line longer than that is no request: the connection is closed. Units are at most 64 KiB."""


class LineConnection(asyncio.Protocol):
    """One client. Answers are written together when the batch is over (`flush`)."""

    def __init__(self, handle: Callable[[bytes, "LineConnection"], None], connections: set["LineConnection"]) -> None:
        self._handle = handle
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the client."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the client; what it asked for goes on."""
        self._connections.discard(self)
        self._transport = None
        self._out.clear()

    def data_received(self, data: bytes) -> None:
        """Hand on every complete line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line:
                self._handle(line, self)
        if len(self._rest) > LINE_BYTES_MAX:
            self.abort()

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Take requests again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def deliver(self, line: bytes) -> None:
        """Send one line; nothing if the client is gone. Lines of one batch travel together."""
        if self._transport is None:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out.append(line)

    def flush(self) -> None:
        """Write what was delivered."""
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out))

    def abort(self) -> None:
        """Close the connection; what was delivered before is sent."""
        self.flush()
        if self._transport is not None:
            self._transport.close()


def number_of(line: bytes) -> int:
    """The `seq` of a line that could not be read as a request; 0 if it has none."""
    try:
        fields = json.loads(line)
    except ValueError:
        return 0
    seq = fields.get("seq") if isinstance(fields, dict) else None
    return seq if isinstance(seq, int) else 0


class ListenError(Exception):
    """An address cannot be listened on; the message names it and says why. Nothing is open."""


async def listen(
    address: str, handle: Callable[[bytes, LineConnection], None], connections: set[LineConnection]
) -> tuple[asyncio.Server, str]:
    """Serve lines on `HOST:PORT`, `tcp://HOST:PORT` or `unix:///PATH`; returns the server and its actual address.

    Port 0 lets the system choose. A socket file that nobody serves any more is replaced. Raises ListenError.
    """
    loop = asyncio.get_running_loop()
    try:
        if address.startswith("unix://"):
            path = address.removeprefix("unix://")
            await _clear(path)
            return await loop.create_unix_server(lambda: LineConnection(handle, connections), path), address
        parts = urlsplit(address if "//" in address else f"//{address}")
        if parts.scheme not in {"", "tcp"} or parts.hostname is None or parts.port is None:
            raise ListenError(f"{address!r} is no address; it must be tcp://HOST:PORT or unix:///PATH")
        server = await loop.create_server(lambda: LineConnection(handle, connections), parts.hostname, parts.port)
    except (OSError, ValueError) as error:
        raise ListenError(f"cannot listen on {address}: {error}") from error
    host, port = server.sockets[0].getsockname()[:2]
    return server, f"tcp://{f'[{host}]' if ':' in host else host}:{port}"


async def _clear(path: str) -> None:
    """Remove a socket file that a dead process has left behind; any other file is left to make the listening fail."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except ConnectionRefusedError:
        if Path(path).is_socket():  # noqa: ASYNC240 (once, at the start)
            Path(path).unlink()  # noqa: ASYNC240
    except FileNotFoundError:
        return
    else:
        writer.close()
        raise ListenError(f"cannot listen on unix://{path}: another process serves it")
