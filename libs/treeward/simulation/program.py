"""Simulated programs: a service that can be killed, stopped and started again, each time as a new instance."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context as ContextVars
from random import Random
from typing import Any, cast

from treeward.runtime.clock import SteadyClock
from treeward.runtime.context import Context, limits_of
from treeward.runtime.settings import Settings
from treeward.simulation.bus import SimulatedBus
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.link import Link
from treeward.simulation.loop import HOST, VirtualLoop
from treeward.simulation.server import EPOCH_S, BusServer
from treeward.simulation.trace import Trace
from treeward.supervision.limits import Limits
from treeward.telemetry.logs import Log
from treeward.telemetry.metrics import Metrics
from treeward.telemetry.traces import Tracer

Serve = Callable[["Program", Context, asyncio.Event], Awaitable[None]]
RESTART_S = 1.0
"""A program that ended by itself is started again after so long, as an orchestration system would."""


class SimulatedClock:
    """The clock of one machine: virtual time, and how far somebody has set it wrong."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.skew_s = 0.0
        self._loop = loop

    def now_s(self) -> float:
        """Unix seconds as this machine believes."""
        return EPOCH_S + self._loop.now_s + self.skew_s

    def monotonic_s(self) -> float:
        """Seconds since the run began."""
        return self._loop.now_s


class TraceLog:
    """What a program logs, as lines of the trace."""

    def __init__(self, trace: Trace, instance: str) -> None:
        self._trace = trace
        self._instance = instance

    def _line(self, event: str, **fields: object) -> None:
        if self._trace.loud:
            self._trace.detail(
                "log", f"{self._instance}: {event}", *(f"{name}={value}" for name, value in fields.items())
            )

    debug = info = warning = error = exception = critical = _line

    def bind(self, **_fields: object) -> "TraceLog":
        """The same log: fields are not repeated here."""
        return self


class Program:
    """One program of the run; `instance` changes with every start."""

    def __init__(
        self,
        name: str,
        serve: Serve,
        *,
        loop: VirtualLoop,
        server: BusServer,
        seed: str,
        trace: Trace,
        settings: dict[str, Any],
        limits: Callable[[Limits], Limits],
        latency_s: float,
        instance: str = "",
    ) -> None:
        self.name = name
        self.instance = instance
        """The present run's; what is given is that of the first one."""
        self.alive = False
        self.frozen = False
        self.held: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.devices: list[DeviceLink] = []
        self.crashed_by: list[tuple[float, str, BaseException]] = []
        """Exceptions that ended it: every one is a finding."""
        self.clock = SimulatedClock(loop)
        self.restarts = True
        """Whether somebody starts it again when it ends by itself."""
        self.chance = Random(f"{seed}/{name}")
        self.link: Link | None = None
        self._serve = serve
        self._loop = loop
        self._server = server
        self._trace = trace
        self._settings = settings
        self._limits = limits
        self._latency_s = latency_s
        self._starts = 0
        self._variables = ContextVars()
        self._variables.run(HOST.set, self)
        loop.hosts.append(self)
        self._stopping: asyncio.Event | None = None

    def start(self) -> None:
        """Begin a new run of it, with nothing of the last one."""
        if self.alive:
            return
        self._starts += 1
        if self._starts > 1 or not self.instance:
            self.instance = f"{self.name}-{self._starts}"
        self.alive, self.frozen = True, False
        self._variables = ContextVars()
        self._variables.run(HOST.set, self)
        self.link = Link(self._loop, self.chance, self._variables, self._latency_s)
        settings = Settings.model_construct(name=self.name, **self._settings)
        context = Context(
            bus=SimulatedBus(self._server, self.link, self.instance),
            clock=SteadyClock(self.clock),
            log=cast("Log", TraceLog(self._trace, self.instance)),
            metrics=Metrics(),
            tracer=Tracer(None),
            settings=settings,
            limits=self._limits(limits_of(settings)),
            instance=self.instance,
            name=self.name,
        )
        self._trace.add("starts", self.instance)
        self._stopping = asyncio.Event()
        main = self._loop.create_task(self._run(context, self._stopping), name=self.name, context=self._variables)
        main.add_done_callback(self._ended, context=self._variables)

    async def _run(self, context: Context, stopping: asyncio.Event) -> None:
        await self._serve(self, context, stopping)

    def _ended(self, main: "asyncio.Task[Any]") -> None:
        if not self.alive:
            return
        if main.cancelled():
            return
        error = main.exception()
        if error is not None:
            self.crash(error, "main")
            return
        self.kill("ends")
        self._start_again()

    def crash(self, error: BaseException, where: str) -> None:
        """An exception ends it, as it would end a real one."""
        if not self.alive:
            return
        self.crashed_by.append((self._loop.now_s, where, error))
        self.kill("crashes", repr(error)[:200])
        self._start_again()

    def _start_again(self) -> None:
        if self.restarts:
            self._loop.call_later(RESTART_S, self.start, context=self._loop.world)

    def kill(self, how: str = "killed", *why: str) -> None:
        """As by SIGKILL: nothing that it knew is left, what it has sent may still arrive."""
        if not self.alive:
            return
        self._trace.add(how, self.instance, *why)
        self.alive = False
        assert self.link is not None
        self.link.sever()
        for device in self.devices:
            device.die()
        self.devices.clear()
        self.frozen = False
        self._loop.thaw(self.held)
        self.held = []
        # The tasks of a dead program can reach nothing any more; they are cancelled only to be rid of them.
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()

    def stop(self) -> None:
        """As by SIGTERM: it finishes what is in hand and hands over."""
        if self.alive and self._stopping is not None:
            self._trace.add("told to stop", self.instance)
            self._stopping.set()

    def freeze(self) -> None:
        """As by SIGSTOP: not one step until `thaw`."""
        if self.alive and not self.frozen:
            self._trace.add("frozen", self.instance)
            self.frozen = True

    def thaw(self) -> None:
        """Go on with whatever it believed; what came due meanwhile comes now."""
        if self.frozen:
            self._trace.add("thawed", self.instance)
            self.frozen = False
            held, self.held = self.held, []
            self._loop.thaw(held)

    def device_link(self, link: DeviceLink) -> DeviceLink:
        """Remember a connection, to end it with the program."""
        self.devices.append(link)
        return link

    def call(self, step: Callable[[], None]) -> None:
        """Have the program do something in its own context."""
        self._loop.call_soon(step, context=self._variables)
