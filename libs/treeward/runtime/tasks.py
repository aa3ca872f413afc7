"""Tasks whose end nobody awaits: an exception in one ends the program, as one out of a callback does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless_stopping(stopping: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; if the program is told to stop first, `work` is cancelled, and the caller with it."""
    working = asyncio.ensure_future(work)
    told = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise asyncio.CancelledError
        return working.result()
    finally:
        working.cancel()
        told.cancel()


class Tasks:
    """Background tasks of one owner; `close` cancels what still runs."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> None:
        """Run `work` in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.result()  # out of a callback: the loop's exception handler ends the program

    def close(self) -> None:
        """Cancel all; their cancellation leaves nothing behind."""
        for task in self._running:
            task.cancel()
