"""A small data centre in virtual time: the services themselves on an in-memory bus, and somebody who asks them.

    with world(pods=2) as centre:
        ticket = centre.submit("vm.web-1", "create")
        centre.run_for(1.0)
        print(centre.explain(ticket=ticket).sentences)

Nothing here is a stand-in for a service: what is simulated is the bus, the clock and the devices.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from treeward.bus.interface import Stored
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.api.questions import Questions
from treeward.orchestrator.orchestrator import Orchestrator
from treeward.pod_agent.agent import Agent
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.device_client import Device
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, ZONE_PARTITION
from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest
from treeward.schemas.events import Event
from treeward.schemas.streams import Retention
from treeward.simulation.device import Books, SimulatedDevice
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.program import Program, Serve
from treeward.simulation.server import BusServer
from treeward.simulation.streams import Stream
from treeward.simulation.trace import Trace
from treeward.supervision.limits import Limits
from treeward.zone_supervisor.supervisor import Supervisor

ZONE = "zone-a"
PATIENCE_S = 120.0
T = TypeVar("T")


class World:
    """Zone `zone-a`, pods `pod-1`..., hosts `pod-1-h1`..., each pod with a device of its own."""

    def __init__(
        self, *, orchestrators: int, supervisors: int, agents: int, latency_s: float, limits: dict[str, Any]
    ) -> None:
        self.loop = VirtualLoop()
        self.trace = Trace()
        self.trace.at_s = self.loop.time
        self.server = BusServer(self.loop, Random("world/bus"), self.trace)
        self.server.on_stored.append(self._hear)
        self.books = Books()
        self.devices: dict[str, SimulatedDevice] = {}
        self.events: dict[str, list[Event]] = {}
        """Of each resource, root's included: everything that was said of it."""
        self.answered: dict[tuple[str, int], Event] = {}
        self.questions: Questions | None = None
        self.asking: Context | None = None
        self.programs: dict[str, Program] = {}
        self._latency_s = latency_s
        self._limits = limits
        for number in range(1, orchestrators + 1):
            self.add(f"orchestrator-{number}", self._orchestrate)
        for number in range(1, supervisors + 1):
            self.add(f"supervisor-{number}", self._supervise)
        for number in range(1, agents + 1):
            self.add(f"agent-{number}", self._own_pods)
        self.add("asker", self._ask_on_demand)

    # --- programs ------------------------------------------------------------------------------------------------

    def add(self, name: str, serve: Serve) -> Program:
        """A program that can be started, killed and frozen."""
        program = Program(
            name, serve, loop=self.loop, server=self.server, seed="world", trace=self.trace,
            settings={}, limits=self._limited, latency_s=self._latency_s,
        )  # fmt: skip
        self.programs[name] = program
        return program

    def _limited(self, limits: Limits) -> Limits:
        return replace(limits, **self._limits)

    def start(self, *names: str) -> None:
        """Start these programs; all of them if none is named."""
        asyncio._set_running_loop(self.loop)
        for name in names or self.programs:
            self.programs[name].start()
        asyncio._set_running_loop(None)

    def kill(self, name: str) -> None:
        """As by SIGKILL, and nobody starts it again."""
        self.programs[name].restarts = False
        self.programs[name].kill()

    async def _orchestrate(self, _program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Orchestrator(context).run(stopping)

    async def _supervise(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Supervisor(context, self._way_to_devices(program)).run(stopping)

    async def _own_pods(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Agent(context, self._way_to_devices(program)).run(stopping)

    async def _ask_on_demand(self, _program: Program, context: Context, stopping: asyncio.Event) -> None:
        presences = Presences(context)
        await presences.follow()
        self.questions, self.asking = Questions(context, presences), context
        await stopping.wait()

    def _way_to_devices(self, program: Program) -> Callable[[str], Device]:
        def connect(address: str) -> Device:
            return program.device_link(DeviceLink(self.device(address), self.loop, program.chance, program.call))

        return connect

    def device(self, address: str) -> SimulatedDevice:
        """The device at an address (`tcp://pod-1:1` is that of `pod-1`)."""
        if address not in self.devices:
            self.devices[address] = SimulatedDevice(
                address, self.loop, Random(f"world/{address}"), self.trace, self.books, 0.01
            )
        return self.devices[address]

    def device_of(self, pod: str) -> SimulatedDevice:
        """The device of a pod."""
        return self.device(f"tcp://{pod}:1")

    # --- units ---------------------------------------------------------------------------------------------------

    def submit(self, key: str, operation: str, *, zone: str = ZONE, **fields: Any) -> int:
        """Submit a unit; returns its ticket."""
        body = json.dumps({"operation": operation, **fields}).encode()
        return self.server.submit(subjects.work(zone, key), body, None, None).ticket

    def done(self, key: str, operation: str, *, zone: str = ZONE, **fields: Any) -> Event:
        """Submit a unit that must be completed, and wait for that."""
        ticket = self.submit(key, operation, zone=zone, **fields)
        self.until(lambda: (zone, ticket) in self.answered, f"an outcome of {operation} of {key}")
        event = self.answered[zone, ticket]
        assert event.type == "completed", event
        return event

    def types(self, key: str) -> list[str]:
        """What was said of a resource, in order."""
        return [event.type.value for event in self.events.get(key, ())]

    def _hear(self, stream: Stream, stored: Stored) -> None:
        if stream.spec.name not in (streams.log(ROOT), streams.log(ZONE)):
            return
        event = codec.event_of(stored.data)
        assert event is not None, "whatever a service appends can be read"
        self.events.setdefault(f"{event.zone}.{event.key}" if event.zone == ROOT else event.key, []).append(event)
        if event.is_outcome and event.ticket is not None:
            self.answered[event.zone, event.ticket] = event

    # --- time and questions --------------------------------------------------------------------------------------

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._run(lambda: False, seconds)

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Let virtual time pass until it holds; fails the test if it does not within two minutes."""
        assert self._run(condition, PATIENCE_S), f"not within {PATIENCE_S:g} s: {what or condition}"

    def explain(self, *, zone: str = ZONE, ticket: int | None = None, key: str | None = None) -> ExplainAnswer:
        """What an orchestrator answers now."""
        questions = self.questions
        assert questions is not None, "the asker has begun"
        return self.ask(lambda: questions.explain(zone, ExplainRequest(ticket=ticket, key=key)))

    def owner_says(self, key: str, partition: str = ZONE_PARTITION) -> dict[str, Any]:
        """What the owner of a pod (by default that of the zone) tells of a resource."""
        subject = subjects.owner_api("explain", ZONE, partition)
        context = self.asking
        assert context is not None, "the asker has begun"
        reply = self.ask(lambda: context.bus.request(subject, key.encode(), timeout_s=1.0))
        assert reply is not None, f"nobody answers on {subject}"
        said: dict[str, Any] = json.loads(reply)
        return said

    def rfc3339(self, *, in_s: float) -> str:
        """A time from now."""
        return datetime.fromtimestamp(self.server.now_s() + in_s, UTC).isoformat()

    def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Have the asker wait for something in its own context."""
        answers: list[T] = []

        async def wait() -> None:
            answers.append(await question())

        def begin() -> None:
            self.loop.create_task(wait())

        self.programs["asker"].call(begin)
        self.until(lambda: answers, "an answer")
        return answers[0]

    def _run(self, condition: Callable[[], object], seconds: float) -> bool:
        before = random.getstate()
        random.seed("world/library")
        try:
            deadline_s = self.loop.now_s + seconds
            self.loop.call_later(seconds + 1.0, lambda: None, context=self.loop.world)  # else nothing may be left
            return self.loop.run_until(lambda: bool(condition()), deadline_s=deadline_s)
        finally:
            random.setstate(before)

    def close(self) -> None:
        """Put everybody down; fails the test if a program had ended by a fault of its own."""
        for program in self.programs.values():
            program.restarts = False
            program.kill("put down")
        self.run_for(0.1)
        self.loop.close()
        crashes = [(program.name, error) for program in self.programs.values() for _, _, error in program.crashed_by]
        assert not crashes, crashes
        assert not self.loop.escaped, self.loop.escaped


@contextmanager
def world(
    *,
    pods: int = 1,
    hosts: int = 1,
    orchestrators: int = 1,
    supervisors: int = 1,
    agents: int = 1,
    cpus: int = 16,
    latency_s: float = 0.001,
    **limits: Any,
) -> Iterator[World]:
    """A data centre whose hosts exist and whose pods are owned.

    `limits` are those of `Limits` that differ; each message takes `latency_s`.
    """
    centre = World(
        orchestrators=orchestrators, supervisors=supervisors, agents=agents, latency_s=latency_s, limits=limits
    )
    centre.server.provision(ROOT, Retention())
    centre.start()
    centre.done(f"zone.{ZONE}", "create", zone=ROOT)
    for pod in (f"pod-{number}" for number in range(1, pods + 1)):
        centre.done(f"pod.{pod}", "create", spec={"device": f"tcp://{pod}:1"})
        for host in (f"{pod}-h{number}" for number in range(1, hosts + 1)):
            spec = {"pod": pod, "cpus": cpus, "memory_mib": 65_536, "disk_gib": 1000, "labels": {"rack": pod}}
            if agents:
                centre.done(f"host.{host}", "create", spec=spec)
    try:
        yield centre
    finally:
        centre.close()
