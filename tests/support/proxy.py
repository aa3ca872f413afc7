"""A TCP proxy between client and server that can lose what one side says, or cut the link."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Forwards to `port`. What is lost is read and thrown away, so the sender believes that it was delivered."""

    port: int
    listens_on: int = 0
    lose_to_server: bool = False
    lose_to_client: bool = False
    refuse: bool = False
    """Close new links at once."""
    lose_to_client_once: bytes | None = None
    """Lose the next chunk to a client that holds these bytes; small messages sent one by one are chunks."""
    accepted: int = 0
    """Links that clients have made so far."""
    lose_to_server_once: bytes | None = None
    """The same in the other direction."""
    links: set[asyncio.StreamWriter] = field(default_factory=set)
    lost_bytes: int = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.listens_on}"

    def cut(self) -> None:
        """Reset every link; clients may connect again."""
        for writer in self.links:
            writer.transport.abort()

    def heal(self) -> None:
        """Lose nothing from now on. What was lost stays lost, so cut the links first."""
        self.lose_to_server = self.lose_to_client = self.refuse = False

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        self.accepted += 1
        self.links.add(writer)
        server_writer: asyncio.StreamWriter | None = None
        try:
            if self.refuse:
                return
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.links.add(server_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, server_writer, to_server=True))
                group.create_task(self._forward(server_reader, writer, to_server=False))
        except* OSError:
            pass
        finally:
            for end in (writer, server_writer):
                if end is not None:
                    self.links.discard(end)
                    end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool) -> None:
        while data := await reader.read(65536):
            if self.lose_to_server if to_server else self.lose_to_client:
                self.lost_bytes += len(data)
                continue
            if to_server and self.lose_to_server_once is not None and self.lose_to_server_once in data:
                self.lose_to_server_once = None
                self.lost_bytes += len(data)
                continue
            if not to_server and self.lose_to_client_once is not None and self.lose_to_client_once in data:
                self.lose_to_client_once = None
                self.lost_bytes += len(data)
                continue
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
        raise ConnectionResetError  # ends the other direction too


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a server on the loopback interface."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.listens_on = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await asyncio.sleep(0)
