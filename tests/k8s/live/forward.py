"""Ways from outside into the cluster: `kubectl port-forward`, begun anew whenever it leads nowhere.

A forward holds on to one pod, and does not notice when the pod's node is gone; so each is tried all the time.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.k8s.live.kubectl import Kubectl

TRIED_EVERY_S = 1.0
ANSWER_S = 4.0
OPEN_S = 60.0


class Forward:
    """A port of this machine that leads to a port of a pod, a workload or a service, as long as there is one."""

    def __init__(self, kubectl: Kubectl, target: str, port: int, *, greets: bool) -> None:
        self._kubectl = kubectl
        self._target = target
        self._remote = port
        self._greets = greets
        """Whether the program there speaks first, as NATS does."""
        self.port = free_port()
        self.restarts = -1

    async def run(self) -> None:
        """Lead there until cancelled; the process has ended then."""
        while True:
            self.restarts += 1
            process = await asyncio.create_subprocess_exec(
                *self._kubectl.command(
                    "port-forward", "--address=127.0.0.1", self._target, f"{self.port}:{self._remote}"
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await self._until_useless(process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def leads_there(self) -> bool:
        """Whether somebody at the other end takes a connection, and speaks where it should."""
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    return bool(await reader.readline()) if self._greets else True
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def opened(self) -> None:
        """Return when it leads there; raises TimeoutError after a minute."""
        async with asyncio.timeout(OPEN_S):
            while not await self.leads_there():
                await asyncio.sleep(0.2)

    async def _until_useless(self, process: asyncio.subprocess.Process) -> None:
        failures = 0
        ended = asyncio.ensure_future(process.wait())
        while failures < 3:
            await asyncio.wait({ended}, timeout=TRIED_EVERY_S)
            if ended.done():
                return
            failures = 0 if await self.leads_there() else failures + 1
        ended.cancel()


@asynccontextmanager
async def forwards(kubectl: Kubectl, *wanted: tuple[str, int, bool]) -> AsyncIterator[list[Forward]]:
    """Some forwards `(target, port, greets)` at once, ended at the end."""
    made = [Forward(kubectl, target, port, greets=greets) for target, port, greets in wanted]
    running = [asyncio.create_task(one.run()) for one in made]
    try:
        for one in made:
            await one.opened()
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
