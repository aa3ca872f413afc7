"""What a person can ask of one instance, on `tw.control.<instance>`. Nothing here is work: work has tickets."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from treeward.bus.interface import Subscription
from treeward.runtime.context import Context
from treeward.schemas import subjects

Command = Callable[[], Awaitable[str]]
"""Does what it was asked and says what it did; a ValueError says why not."""


async def obey(
    context: Context, stopping: asyncio.Event, commands: Mapping[str, Command] | None = None
) -> Subscription:
    """Answer `{"command": "drain"}` by stopping as on SIGTERM, and what else `commands` has."""

    async def drain() -> str:
        stopping.set()
        return f"{context.instance} finishes what is in hand, is succeeded, and ends"

    known: dict[str, Command] = {"drain": drain, **(commands or {})}

    async def answer(_subject: str, body: bytes) -> bytes:
        try:
            command = json.loads(body or b"{}").get("command")
            if command not in known:
                raise ValueError(f"command: must be one of {', '.join(known)}, not {command!r}")
            said = {"done": await known[command]()}
            context.log.warning("was told", command=command)
        except (ValueError, AttributeError) as error:
            said = {"error": str(error)}
        return json.dumps(said).encode()

    return await context.bus.serve(subjects.control(context.instance), answer)
