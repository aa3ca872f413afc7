"""An event loop without a clock, a thread or a socket: time jumps to the next timer, so a minute costs milliseconds.

Every callback belongs to the program in whose context it was scheduled, or to the world (the bus, the devices, the
faults). A program that is stopped as by SIGSTOP keeps what comes due for it until it goes on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from heapq import heappop, heappush
from typing import Any, Protocol


class Host(Protocol):
    """What runs callbacks: a simulated program."""

    frozen: bool
    held: list[asyncio.Handle]
    tasks: list["asyncio.Task[Any]"]

    def crash(self, error: BaseException, where: str) -> None:
        """An exception came out of a callback or a forgotten task."""
        ...


HOST: ContextVar[Host | None] = ContextVar("host", default=None)
TASKS_BEFORE_PRUNING = 256


# Only what the services use of a loop is here; typed as anything, since the rest of it is abstract.
_Loop: Any = asyncio.AbstractEventLoop


class NothingLeftError(RuntimeError):
    """Nothing is scheduled any more, although the run is not over: everything waits for something that cannot come."""


class VirtualLoop(_Loop):  # type: ignore[misc]
    """Runs callbacks in the order of their time, then of their scheduling; the same inputs give the same run."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.steps = 0
        self.world = Context()
        """What belongs to no program."""
        self.tasks_of_world: list[asyncio.Task[Any]] = []
        self.escaped: list[BaseException] = []
        self.hosts: list[Host] = []
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0

    # what asyncio asks of a loop

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self.now_s

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Run it next, after all that is ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it after `delay` virtual seconds."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it at a virtual time; of two at the same time the one scheduled first comes first."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heappush(self._timers, (when, self._number, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        """A task that belongs to the program in whose context it is made."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        host = context.get(HOST) if context is not None else HOST.get()
        tasks = host.tasks if host is not None else self.tasks_of_world
        tasks.append(task)
        if len(tasks) > TASKS_BEFORE_PRUNING:
            tasks[:] = [each for each in tasks if not each.done()]
        return task

    def get_debug(self) -> bool:
        """Never: asyncio's debugging reads the real clock."""
        return False

    def is_running(self) -> bool:
        """Always, as far as anybody asks."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is skipped when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What real programs print and forget ends the simulated one, visibly."""
        error = context.get("exception") or RuntimeError(context.get("message", "unknown"))
        handle = context.get("handle")
        task = context.get("task") or context.get("future")
        host = handle._context.get(HOST) if handle is not None else self._host_of(task)
        if host is not None:
            host.crash(error, str(context.get("message")))
        else:
            self.escaped.append(error)

    def _host_of(self, task: object) -> Host | None:
        """Whose task it is: asyncio does not tell before Python 3.12."""
        return next((host for host in self.hosts if task in host.tasks), None)

    # what the simulation asks

    def run_until(self, done: Callable[[], bool], *, deadline_s: float) -> bool:
        """Run until `done()` holds or virtual time reaches `deadline_s`; whether it held. Checked between callbacks."""
        asyncio._set_running_loop(self)
        try:
            while not done():
                if not self._ready and not self._advance(deadline_s):
                    return False
                self._step()
            return True
        finally:
            asyncio._set_running_loop(None)

    def _advance(self, deadline_s: float) -> bool:
        """Jump to the next timer and make ready all that is due then; False if that is beyond the deadline."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if not timers:
            raise NothingLeftError(f"nothing is left to run at {self.now_s:.3f} s")
        if timers[0][0] > deadline_s:
            self.now_s = max(self.now_s, deadline_s)
            return False
        self.now_s = max(self.now_s, timers[0][0])
        while timers and timers[0][0] <= self.now_s:
            self._ready.append(heappop(timers)[2])
        return True

    def _step(self) -> None:
        handle: Any = self._ready.popleft()
        if handle._cancelled:
            return
        host = handle._context.get(HOST)
        if host is not None and host.frozen:
            host.held.append(handle)
            return
        self.steps += 1
        handle._run()

    def thaw(self, held: list[asyncio.Handle]) -> None:
        """Make ready what a stopped program kept."""
        self._ready.extend(held)

    def close(self) -> None:
        """Forget all that is scheduled."""
        self._ready.clear()
        self._timers.clear()
