"""The production services on a copy of the live state, in virtual time: the same decisions, without a way to the bus.

Every live instance begins anew under its own name and is claimed for again, for each branch that it owns; units in hand
are called again on devices that keep still until the loss. What is lost dies, and the rest is watched.
"""

import asyncio
import random
from collections.abc import Mapping
from random import Random

from treeward.bus.interface import Stored
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.api.questions import Questions
from treeward.orchestrator.orchestrator import Orchestrator
from treeward.pod_agent.agent import Agent
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.device_client import Device
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event, EventType
from treeward.schemas.presence import Closed, ClosedClient, Heartbeat
from treeward.schemas.streams import Retention
from treeward.simulation.device import Books, DeviceTrouble, Reply, SimulatedDevice, Thing
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.program import Program, Serve
from treeward.simulation.server import EPOCH_S, BusServer
from treeward.simulation.streams import Stream
from treeward.simulation.trace import Trace
from treeward.simulation.what_if.live import Live, ZoneStreams
from treeward.simulation.what_if.losses import Loss, last_events, own_devices
from treeward.supervision.knowledge import pod_of
from treeward.zone_supervisor.supervisor import Supervisor

SHARED_DEVICE = "tcp://shared:1"
"""Stands for the device of all pods that name none: which one that is only their agents are told."""
BEGIN_S = 0.1
WARM_UP_S = 3.0
LATENCY_S = 0.002
REPORT_S = 0.02


class CopyServer(BusServer):
    """The bus with the live streams in it, at the live time; notes who says that it acts for which branch."""

    def __init__(self, loop: VirtualLoop, trace: Trace, live: Live) -> None:
        super().__init__(loop, Random("what-if/bus"), trace)
        self._live_s = live.now_s
        self.acted_s: dict[tuple[str, int], float] = {}
        """(branch, epoch) -> virtual time at which an instance first said that it acts."""

    def now_s(self) -> float:
        """Unix seconds by the servers' clocks."""
        return self._live_s + self.loop.now_s

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """To whoever listens."""
        heartbeat = codec.heartbeat_of(data) if subject.startswith("tw.presence.") else None
        for held in heartbeat.holds if heartbeat is not None else ():
            self.acted_s.setdefault((held.branch, held.epoch), self.loop.now_s)
        super().publish(subject, data, headers)

    def fill(self, copied: ZoneStreams) -> None:
        """Make the streams of a zone with what the live ones hold, at the same positions."""
        self.provision(copied.zone, Retention())
        for name, stored, last in (
            (streams.log(copied.zone), copied.log, copied.log_last),
            (streams.state(copied.zone), copied.bucket, 0),
            (streams.work(copied.zone), copied.work, copied.work_last),
            (streams.work_history(copied.zone), copied.work, copied.work_last),
        ):
            stream = self.streams[name]
            for each in stored:
                stream.store(each)
            stream.last = max(stream.last, last)
            if not stored:
                stream.first = stream.last + 1

    def claim_again(self, zone: str, key: str, owner: str) -> None:
        """Name the owner of a branch anew, as its supervisor would; the event says all that the last one said."""
        stored = self.last(streams.log(zone), subjects.log_of_resource(zone, key), 0)
        last = codec.event_of(stored.data) if stored is not None else None
        assert last is not None, "a branch that was claimed has events"
        told = {"type": EventType.CLAIMED, "owner": owner, "reason": "as it is now", "epoch": None, "ticket": None}
        event = last.model_copy(update=told | {"operation": None})
        self.append(streams.log(zone), codec.draft_of(event, instance="what-if", trace=None), None, None)


class StillDevice(SimulatedDevice):
    """A device that holds what the live one was last known to hold; its calls stand still until the loss."""

    gone = False

    def handle(self, seq: int, fields: dict[str, object], reply: Reply) -> None:
        """Carry out a request; nothing at all comes of it if the device is gone."""
        if not self.gone:
            super().handle(seq, fields, reply)

    def go_on(self, unreachable: frozenset[str]) -> None:
        """From now on calls take their time, but for what is on hosts that are out of reach."""
        self.trouble = DeviceTrouble(unreachable=unreachable)
        for key, progress in list(self._progress.items()):
            host = self._host_of(key, progress.fields)
            if progress.hangs and host not in unreachable:
                delay_s = self._chance.uniform(0.05, 1.0) * self._call_s
                self._loop.call_later(delay_s, self._finish, key, progress, context=self._loop.world)


class Rehearsal:
    """One rehearsal. `begin`, `lose`, `look_ahead`, then what the log said is in `said`."""

    def __init__(self, live: Live, *, call_s: float) -> None:
        self.live = live
        self.loop = VirtualLoop()
        self.trace = Trace()
        self.trace.at_s = self.loop.time
        self.server = CopyServer(self.loop, self.trace, live)
        self.server.fill(live.root)
        self.server.fill(live.streams)
        self.books = Books()
        self.devices: dict[str, StillDevice] = {}
        self.said: list[tuple[float, Stored, Event]] = []
        """What the log of the zone said since the loss: seconds since then, and the event."""
        self.lost_s = 0.0
        self.programs: dict[str, Program] = {}
        self.questions: dict[str, tuple[Program, Questions]] = {}
        self._call_s = call_s
        for address in (SHARED_DEVICE, *own_devices(live).values()):
            if address not in self.devices:
                self.devices[address] = self._device(address)
        self._fill_devices()
        for heartbeat in live.instances:
            self.programs[heartbeat.instance] = self._program(heartbeat)
        self.server.on_stored.append(self._hear)

    def begin(self) -> None:
        """Start everybody, tell them what they own, and let them take up what they have in hand."""
        asyncio._set_running_loop(self.loop)
        for program in self.programs.values():
            program.start()
        asyncio._set_running_loop(None)
        self.run_for(BEGIN_S)
        for zone, copied in ((ROOT, self.live.root), (self.live.zone, self.live.streams)):
            claims = sorted(claims_of(copied).items(), key=lambda claim: not claim[0].startswith("zone."))
            for key, owner in claims:
                self.server.claim_again(zone, key, owner)
                self.run_for(BEGIN_S)
        self.run_for(WARM_UP_S)

    def lose(self, loss: Loss, *, reported: bool) -> None:
        """From now on this is gone; `reported`: the servers say at once that its connections are closed."""
        self.lost_s = self.loop.now_s
        for instance in loss.instances:
            self.programs[instance].restarts = False
            self.programs[instance].kill("lost")
            if reported:
                report = Closed(client=ClosedClient(name=instance), reason="Client Closed").model_dump_json()
                subject = subjects.ALL_CLOSED.replace("*", "what-if")
                # Behind what it had sent, as a server says it once it has read all that.
                self.loop.call_later(REPORT_S, self.server.publish, subject, report.encode(), context=self.loop.world)
        for address, device in self.devices.items():
            device.gone = address in loss.devices
            device.go_on(frozenset(loss.hosts))
        self.said.clear()

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass. Chance is the library's (retries): seeded, and put back."""
        before = random.getstate()
        random.seed("what-if")
        try:
            deadline_s = self.loop.now_s + seconds
            self.loop.call_later(seconds + 1.0, lambda: None, context=self.loop.world)  # else nothing may be left
            self.loop.run_until(lambda: False, deadline_s=deadline_s)
        finally:
            random.setstate(before)

    def called(self) -> set[int]:
        """Tickets that are at a device now."""
        return {progress.entry.ticket for device in self.devices.values() for progress in device._progress.values()}

    def close(self) -> None:
        """Put everybody down."""
        for program in self.programs.values():
            program.restarts = False
            program.kill("put down")
        self.run_for(BEGIN_S)  # what was cancelled ends
        self.loop.close()

    # --- inside --------------------------------------------------------------------------------------------------

    def _hear(self, stream: Stream, stored: Stored) -> None:
        if stream.spec.name == streams.log(self.live.zone) and self.lost_s:
            event = codec.event_of(stored.data)
            if event is not None:
                self.said.append((self.loop.now_s - self.lost_s, stored, event))

    def _program(self, heartbeat: Heartbeat) -> Program:
        serve: Serve = {
            "orchestrator": self._orchestrate, "zone-supervisor": self._supervise, "pod-agent": self._own_pods,
        }[heartbeat.service]  # fmt: skip
        limits = self.live.limits
        settings = {
            "zone": heartbeat.zone,
            "labels": dict(heartbeat.labels),
            "capacity": heartbeat.capacity,
            "heartbeat_s": limits.heartbeat_s,
            "device": SHARED_DEVICE,
        }
        program = Program(
            heartbeat.name,
            serve,
            loop=self.loop,
            server=self.server,
            seed=f"what-if/{heartbeat.instance}",
            trace=self.trace,
            settings=settings,
            limits=lambda _: limits,
            latency_s=LATENCY_S,
            instance=heartbeat.instance,
        )
        program.clock.skew_s = self.live.now_s - EPOCH_S
        return program

    async def _orchestrate(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        presences = Presences(context)
        await presences.follow()
        self.questions[program.instance] = program, Questions(context, presences)
        await Orchestrator(context).run(stopping)

    async def _supervise(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Supervisor(context, lambda address: self._link(program, address)).run(stopping)

    async def _own_pods(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Agent(context, lambda address: self._link(program, address)).run(stopping)

    def _link(self, program: Program, address: str) -> Device:
        return program.device_link(DeviceLink(self.devices[address], self.loop, program.chance, program.call))

    def _device(self, address: str) -> StillDevice:
        device = StillDevice(address, self.loop, Random(f"what-if/{address}"), self.trace, self.books, self._call_s)
        device.trouble = DeviceTrouble(hang=1.0)
        return device

    def _fill_devices(self) -> None:
        """What the log says to exist, and the fence: the life and the last ticket that the device knows of."""
        own = own_devices(self.live)
        owners = claims_of(self.live.streams)
        for key, event in last_events(self.live).items():
            pod = pod_of(event)
            if pod is None or event.kind in ("zone", "pod"):
                continue
            device = self.devices[own.get(pod, SHARED_DEVICE)]
            name = f"{event.zone}.{key}"
            if event.definition is not None and not event.existed:
                device.things[name] = Thing(event.host, dict(event.definition))
            record = device.records[name] = device.record(name)
            record.high, record.owner = event.life, owners.get(f"pod.{pod}") or ""


def claims_of(copied: ZoneStreams) -> dict[str, str]:
    """Key of each branch in the log of a zone (its own, and its pods) -> the instance that the last claim names."""
    found = {}
    for stored in copied.log:
        event = codec.event_of(stored.data)
        if event is not None and event.type is EventType.CLAIMED and event.owner is not None:
            found[event.key] = event.owner
    return found


def unanswered(live: Live) -> dict[int, str]:
    """Ticket -> key of the units without an outcome, as of the snapshot."""
    events = last_events(live)
    found = {}
    for stored in live.streams.work:
        key = subjects.parse_work(stored.subject)[1]
        if key not in events or stored.position > events[key].answered:
            found[stored.position] = key
    return found
