"""Addresses of servers by name, also while nobody answers for names.

A connection that breaks needs a name to come back. In a cluster the same lost node may have taken the name service with
it, and what could still reach two of three NATS servers would stand still until there are names again. So the last
address of each name is remembered, and used when there is no answer. All of them are asked for again and again: those
servers are needed then to which there was no connection, and their addresses change with every restart.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

RESOLVE_S: Final = 1.0
"""How long an answer is awaited where an address is remembered; otherwise the system's own patience counts."""

REFRESH_S: Final = 30.0
"""How often the addresses of all servers are asked for. Measured: a lost name service is replaced after 5 minutes."""

Resolve = Callable[[str], Awaitable[str]]


class Names:
    """What names stood for when they could last be asked for."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _ask_the_system
        self._known: dict[str, str] = {}

    async def address_of(self, host: str) -> str:
        """The address of a host, or the last known one; raises OSError if none was ever known."""
        if _is_address(host):
            return host
        asked = asyncio.ensure_future(self._resolve(host))
        asked.add_done_callback(_heed)
        known = self._known.get(host)
        await asyncio.wait({asked}, timeout=RESOLVE_S if known is not None else None)
        if asked.done() and not asked.cancelled() and asked.exception() is None:
            self._known[host] = asked.result()
            return self._known[host]
        if known is None:
            return await asked
        return known

    async def learn(self, hosts: Iterable[str]) -> None:
        """Ask for all of them; what nobody answers for stays as it was known."""
        await asyncio.gather(*(self.address_of(host) for host in hosts), return_exceptions=True)

    async def keep(self, hosts: Callable[[], Iterable[str]]) -> None:
        """Learn the addresses of what `hosts` names again and again, until cancelled."""
        while True:
            await self.learn(hosts())
            await asyncio.sleep(REFRESH_S)


async def _ask_the_system(host: str) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _heed(asked: "asyncio.Future[str]") -> None:
    """An answer that comes too late, and is a no, is nobody's error."""
    if not asked.cancelled():
        asked.exception()
