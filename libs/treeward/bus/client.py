"""nats-py's client with the parts replaced that would cost too much per message or give up too early.

nats-py does the handshake, authentication, TLS and the reconnecting. What happens per message goes past its parser,
queues, tasks and futures, which cost several times more than the message itself: a subscription here is a function that
a parser of our own calls. This, that and `connection` are the only modules that know private attributes of nats-py; the
version is pinned and a test names each of them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

import nats.errors
from nats.aio.client import Client, Srv

from treeward.bus.names import Names
from treeward.bus.parser import Parser

Receive = Callable[[str, bytes, bytes, bytes | None], None]
"""`receive(subject, reply, data, header_block)`"""

logger = logging.getLogger(__name__)


class Holder(Protocol):
    """Who is told what happens to the client."""

    def crash(self, error: BaseException) -> None:
        """An exception came out of a callback."""

    def spawn(self, duty: Coroutine[Any, Any, None]) -> object:
        """Run a duty until the link is closed."""

    def become_lost(self) -> None:
        """The link is gone."""

    def count_violation(self, text: str) -> None:
        """The server refused something for lack of permission."""


class LightClient(Client):
    """nats-py's client, whose messages go straight from the parser to a function."""

    def __init__(self, holder: Holder) -> None:
        super().__init__()
        self.receivers: dict[int, Receive] = {}
        self._holder = holder
        self._names = Names()
        self._keeps_addresses = False
        self._ps = Parser(self)  # type: ignore[assignment]  # it has what nats-py asks of its own

    async def _connect_to_server(self, s: Srv) -> None:
        """End a search for a server that was cancelled; find a server also while nobody answers for names.

        The cancellation is lost when a connection is refused in that very moment (Python's `wait_for`), and nats-py
        would go on for ever, beside the next search or after its own end. The task still counts it.
        """
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        s.last_attempt = time.monotonic()
        address = await self._names.address_of(s.uri.hostname or "")
        netloc = f"[{address}]:{s.uri.port}" if ":" in address else f"{address}:{s.uri.port}"
        # Certificates are checked against the name, which nats-py takes from its own server.
        await super()._connect_to_server(replace(s, uri=s.uri._replace(netloc=netloc)))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Leave a server that offers no TLS where `tls://` was asked for, before anything is said to it.

        nats-py encrypts only if the server demands it: who sits in between could talk it out of that.
        """
        server = self._current_server
        if initial_connection and server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise nats.errors.Error("nats: tls:// was asked for, and the server does not demand TLS")
        await super()._process_info(info, initial_connection)

    async def _process_connect_init(self) -> None:
        """After the first handshake, begin to keep the addresses of all servers, for when this one is lost."""
        await super()._process_connect_init()
        if not self._keeps_addresses:
            self._keeps_addresses = True
            self._holder.spawn(self._names.keep(lambda: {server.uri.hostname or "" for server in self.server_pool}))

    def deliver(self, sid: int, subject: bytes, reply: bytes, data: bytes, header_block: bytes | None) -> None:
        """Call the function that subscribed; called by the parser for each message."""
        receive = self.receivers.get(sid)
        if receive is not None:
            try:
                # The server takes any bytes as a subject, and what is published once is read for ever after.
                receive(subject.decode(errors="backslashreplace"), reply, data, header_block)
            except Exception as error:  # noqa: BLE001  the outermost frame of every callback: it ends the program
                self._holder.crash(error)

    async def _process_op_err(self, e: Exception) -> None:
        await super()._process_op_err(e)
        if not self.is_connected:
            self._holder.become_lost()

    async def _process_err(self, err_msg: str) -> None:
        """Reconnect where nats-py would close for good (expired credentials, a limit of the server)."""
        if "permissions violation" in err_msg:
            self._holder.count_violation(err_msg)
            return
        logger.warning("the NATS server ended the connection", extra={"error": err_msg})
        await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
