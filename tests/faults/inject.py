"""Carries out one planned fault after the other, and writes down what was really done to whom.

The sleeps are the plan's own times: when a fault comes and how long it lasts, at real processes. Nothing waits for an
effect by one.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from nats.aio.client import Client
from tests.faults.load import Receipt, submit
from tests.faults.observer import Observer
from tests.faults.plan import Kind, Planned
from tests.faults.site import Site
from tests.support.until import until

from treeward.bus.interface import BusError
from treeward.runtime.data_centre.layout import SIMULATOR
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.device_control import Distribution, Fault, FaultAdd, FaultClear, FaultEffect
from treeward.schemas.streams import Retention

CONTROL_S = 5.0
RELEASE_AFTER_S = 2.0
ROLLED_S = 120.0
"""A server that takes longer to come back from a rolling restart than that does not."""


@dataclass(slots=True)
class Injected:
    """A fault as it happened. `target` None: nobody was there to strike, so nothing happened."""

    planned: Planned
    at_s: float
    target: str | None = None
    held: list[str] = field(default_factory=list)
    """What the program owned at that moment."""
    dispatched: list[str] = field(default_factory=list)
    """The zones that it dispatched for."""
    ended_s: float | None = None
    note: str = ""
    recovered_s: list[float] = field(default_factory=list)
    """How long each affected resource waited, if that was measured."""


class Injector:
    """Has a site to break, and a client to ask for moves as any operator would."""

    def __init__(self, site: Site, observer: Observer, client: Client, load_receipts: list[Receipt], seed: int) -> None:
        self.site = site
        self.observer = observer
        self.done: list[Injected] = []
        self.released = 0
        self._client = client
        self._receipts = load_receipts
        self._chance = Random(seed)
        self._frozen: set[str] = set()
        self._units = 0
        self._prefix = f"operator-{seed}"

    async def run(self, plan: Sequence[Planned]) -> None:
        """Carry the plan out; returns when the last fault is over."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, begun_s + fault.at_s - loop.time()))
                group.create_task(self._inject(fault))

    async def end_all(self) -> None:
        """Whatever is still broken is mended: links, device faults, frozen programs."""
        for name in list(self._frozen):
            self._wake(name)
        self.site.heal()
        await self._control(FaultClear())

    async def release_for_ever(self) -> None:
        """An operator who releases what was quarantined, after a look at it."""
        while True:
            await asyncio.sleep(0.5)
            for (zone, key), since_s in list(self.observer.quarantined.items()):
                if time.monotonic() - since_s > RELEASE_AFTER_S:
                    self.observer.quarantined[zone, key] = time.monotonic()
                    self.released += 1
                    await self._submit(zone, key, "release", reason="looked at by an operator")

    async def _inject(self, fault: Planned) -> None:
        injected = Injected(fault, time.time())
        self.done.append(injected)
        await _ACTIONS[fault.kind](self, fault, injected)
        injected.ended_s = time.time()

    # --- whom --------------------------------------------------------------------------------------------------

    def _choose(self, role: str, fault: Planned, injected: Injected) -> str | None:
        """A living program of a role; one that owns something, if its recovery is to be measured."""
        able = [name for name in self.site.of(role) if self.site.runs(name) and name not in self._frozen]
        if fault.measured:
            able = [name for name in able if self._serves(name)] or able
        if not able:
            injected.note = f"no {role} was there"
            return None
        name = able[fault.target % len(able)]
        self._note(name, injected)
        return name

    def _serves(self, name: str) -> bool:
        """Whether work of a zone needs this program now."""
        return any(branch != ROOT for branch in (*self.observer.held_by(name), *self.observer.dispatched_by(name)))

    def _note(self, name: str, injected: Injected) -> None:
        injected.target = name
        injected.held = self.observer.held_by(name)
        injected.dispatched = self.observer.dispatched_by(name)
        injected.at_s = time.time()

    # --- programs ----------------------------------------------------------------------------------------------

    async def _kill(self, fault: Planned, injected: Injected) -> None:
        if fault.kind is Kind.KILL_ROOT_OWNER:
            owners = [name for name in self.site.of("orchestrator") if ROOT in self.observer.held_by(name)]
            if not owners or not self.site.runs(owners[0]) or owners[0] in self._frozen:
                injected.note = "nobody owned root"
                return
            name: str | None = owners[0]
            self._note(owners[0], injected)
        elif fault.kind is Kind.KILL_SIMULATOR:
            name = injected.target = SIMULATOR if self.site.runs(SIMULATOR) else None
        else:
            name = self._choose(fault.kind.removeprefix("kill_").replace("_", "-"), fault, injected)
        if name is not None:
            self.site.kill(name, fault.duration_s)

    async def _pause(self, fault: Planned, injected: Injected) -> None:
        name = self._choose(fault.kind.removeprefix("pause_").replace("_", "-"), fault, injected)
        if name is None:
            return
        self._frozen.add(name)
        self.site.programs[name].pause()
        await asyncio.sleep(fault.duration_s)
        self._wake(name)

    def _wake(self, name: str) -> None:
        self._frozen.discard(name)
        if self.site.programs[name].process_id is not None:
            self.site.programs[name].resume()

    async def _end(self, fault: Planned, injected: Injected) -> None:
        name = self._choose(fault.kind.removeprefix("end_").replace("_", "-"), fault, injected)
        if name is not None:
            self.site.ask_to_end(name)

    async def _hand_off_root(self, fault: Planned, injected: Injected) -> None:
        owners = [name for name in self.site.of("orchestrator") if ROOT in self.observer.held_by(name)]
        instance = self.observer.instance_of(owners[0]) if owners else None
        if instance is None:
            injected.note = "nobody owned root"
            return
        answer = await self.observer.bus.request(
            subjects.control(instance), b'{"command":"hand_off_root"}', timeout_s=CONTROL_S
        )
        injected.note = (answer or b"no answer").decode()
        if "done" in json.loads(answer or b"{}"):
            self._note(owners[0], injected)

    # --- links -------------------------------------------------------------------------------------------------

    async def _cut(self, fault: Planned, injected: Injected) -> None:
        every = [name for name in self.site.nats_links if self.site.runs(name)]
        if "device" in fault.kind:
            every = [name for name in every if name in self.site.of("pod-agent")]
        if not every:
            injected.note = "nobody was there"
            return
        name = every[fault.target % len(every)]
        self._note(name, injected)
        links = [self.site.device_links[name]] if "device" in fault.kind else self.site.nats_links[name]
        if fault.kind.startswith("reset"):
            for link in links:
                link.reset()
            return
        for link in links:
            if fault.kind.startswith("delay"):
                link.slow(0.02 + 0.3 * fault.strength**2)
            else:
                to_server = not fault.kind.endswith("to_client")
                to_client = not fault.kind.endswith("to_server")
                link.cut(to_server=to_server, to_client=to_client)
        await asyncio.sleep(fault.duration_s)
        for link in links:
            link.heal(reset=fault.strength < 0.5 and not fault.kind.startswith("delay"))

    # --- the device --------------------------------------------------------------------------------------------

    async def _device(self, fault: Planned, injected: Injected) -> None:
        zone = self.site.zones[fault.target % len(self.site.zones)]
        times = 1 + int(fault.strength * 5)
        match fault.kind:
            case Kind.LOSE_ANSWER | Kind.CLOSE_CONNECTION:
                close = fault.kind is Kind.CLOSE_CONNECTION
                wanted = Fault(effect=FaultEffect.LOSE, zone=zone, times=times, close=close)
            case Kind.HANG:
                wanted = Fault(effect=FaultEffect.HANG, zone=zone, times=times)
            case Kind.SLOW:
                spread = Distribution.LOGNORMAL
                wanted = Fault(effect=FaultEffect.LATENCY, zone=zone, seconds=0.2, seconds_max=2.0, distribution=spread)
            case Kind.FAIL_HALFWAY:
                wanted = Fault(effect=FaultEffect.FAIL, zone=zone, times=times)
            case Kind.REFUSE:
                wanted = Fault(effect=FaultEffect.REFUSE, zone=zone, times=times)
            case _:
                host = self._host(zone, fault)
                wanted = Fault(effect=FaultEffect.UNREACHABLE, zone=zone, host=host)
                zone = f"{zone}.host.{host}"
        injected.target, injected.at_s = zone, time.time()
        number = await self._control(FaultAdd(fault=wanted))
        await asyncio.sleep(fault.duration_s)
        if number is not None:  # a simulator that was killed meanwhile has forgotten it
            await self._control(FaultClear(number=number))

    async def _control(self, request: FaultAdd | FaultClear) -> int | None:
        """The number of the fault that was added; None if the simulator is not there."""
        host, port = self.site.control.removeprefix("tcp://").split(":")
        try:
            async with asyncio.timeout(CONTROL_S):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request.model_dump_json(exclude_none=True).encode() + b"\n")
                answer = json.loads(await reader.readline() or b"{}")
                writer.close()
        except (OSError, TimeoutError):
            return None
        faults = answer.get("faults") or [{}]
        number: int | None = faults[0].get("number")
        return number

    def _host(self, zone: str, fault: Planned) -> str:
        hosts = [host for pod in self.site.topology.zones[zone].pods.values() for host in pod.hosts]
        return hosts[fault.target // 7 % len(hosts)]

    # --- NATS --------------------------------------------------------------------------------------------------

    async def _nats(self, fault: Planned, injected: Injected) -> None:
        names = self.site.servers.names
        if fault.measured:  # the storm before it may have a rolling restart under way
            await self.site.wait_for_servers()
        running = [name for name in names if self.site.runs(name)]
        if len(running) < len(names) and fault.kind is not Kind.KILL_NATS_CLUSTER:
            injected.note = "a server was down already"  # two of three would be a loss of the majority: another fault
            return
        injected.target, injected.at_s = "cluster", time.time()
        match fault.kind:
            case Kind.KILL_NATS_CLUSTER:
                for name in names:
                    self.site.kill(name, fault.duration_s)
            case Kind.KILL_NATS_SERVER:
                injected.target = names[fault.target % len(names)]
                self.site.kill(injected.target, fault.duration_s)
            case Kind.ISOLATE_NATS_SERVER:
                injected.target = names[fault.target % len(names)]
                self.site.servers.isolate(injected.target)
                await asyncio.sleep(fault.duration_s)
                self.site.servers.rejoin(injected.target)
            case Kind.LOSE_MAILBOX_COPIES:
                await self._lose_mailbox_copies(fault, injected)
            case Kind.DISK_FULL:
                await self._fill_disk(fault, injected)
            case _:
                for name in names:
                    if not self.site.runs(name):
                        continue
                    self.site.lame_duck(name)
                    await until(
                        lambda: self.site.runs(name) and self.site.servers.greets(name),  # noqa: B023  awaited here
                        f"{name} greets again",
                        timeout_s=ROLLED_S,
                    )

    async def _lose_mailbox_copies(self, fault: Planned, injected: Injected) -> None:
        """One server comes back with nothing, and meets nobody before the second is gone: no leader for a mailbox."""
        names = self.site.servers.names
        first, second = (names[(fault.target + number) % len(names)] for number in (0, 1))
        injected.target = f"{first}, {second}"
        self.site.servers.isolate(first)
        self.site.kill(first, 0.0)
        await until(
            lambda: self.site.runs(first) and self.site.servers.greets(first), f"{first} greets again", ROLLED_S
        )
        self.site.kill(second, fault.duration_s)
        self.site.servers.rejoin(first)
        await until(lambda: self.site.runs(second), f"{second} runs again", ROLLED_S)

    async def _fill_disk(self, fault: Planned, injected: Injected) -> None:
        """NATS switches JetStream off in a server that cannot write, until somebody makes room and starts it again."""
        names = self.site.servers.names
        name = names[fault.target % len(names)]
        disk = self.site.servers.disks.get(name)
        if disk is None:
            injected.target, injected.note = None, "no disk of its own: --disk-mib"
            return
        injected.target = name
        disk.fill()
        await asyncio.sleep(fault.duration_s)
        disk.make_room()
        self.site.kill(name, 0.0)

    async def _make_mailbox_anew(self, fault: Planned, injected: Injected) -> None:
        """As an owner of root does that was replaced and does not know it."""
        zone = self.site.zones[fault.target % len(self.site.zones)]
        try:
            await self.observer.bus.make_mailbox_anew(zone, Retention(replicas=self.site.size.servers))
        except BusError as error:  # no majority of the servers is there now
            injected.note = str(error)
            return
        injected.target = streams.mailbox(zone)

    # --- moves -------------------------------------------------------------------------------------------------

    async def _move(self, fault: Planned, injected: Injected) -> None:
        zone = self.site.zones[fault.target % len(self.site.zones)]
        recent = sorted({receipt.key for receipt in self._receipts[-500:] if receipt.zone == zone})
        injected.target = zone
        for key in self._chance.sample(recent, min(len(recent), 1 + int(fault.strength * 10))):
            await self._submit(zone, key, "migrate")

    async def _drain(self, fault: Planned, injected: Injected) -> None:
        zone = self.site.zones[fault.target % len(self.site.zones)]
        pods = list(self.site.topology.zones[zone].pods)
        if fault.kind is Kind.DRAIN_POD:
            key = f"pod.{pods[fault.target // 7 % len(pods)]}"
        else:
            key = f"host.{self._host(zone, fault)}"
        injected.target, injected.at_s = f"{zone}.{key}", time.time()
        await self._submit(zone, key, "drain", reason="a fault plan")
        await asyncio.sleep(fault.duration_s)
        await self._submit(zone, key, "resume", reason="a fault plan")

    async def _submit(self, zone: str, key: str, operation: str, **fields: str) -> None:
        self._units += 1
        body = json.dumps({"operation": operation, **fields}).encode()
        receipt = await submit(self._client, zone, key, body, f"{self._prefix}-{self._units}")
        self._receipts.append(receipt)


Action = Callable[[Injector, Planned, Injected], Awaitable[None]]


def _action_of(kind: Kind) -> Action:
    for beginning, action in (
        ("kill_nats", Injector._nats), ("roll_nats", Injector._nats), ("isolate_nats", Injector._nats),
        ("kill", Injector._kill), ("pause", Injector._pause), ("end", Injector._end),
        ("hand_off", Injector._hand_off_root), ("cut", Injector._cut), ("delay", Injector._cut),
        ("reset", Injector._cut), ("lose_mailbox", Injector._nats), ("disk", Injector._nats),
        ("make_mailbox", Injector._make_mailbox_anew), ("move", Injector._move), ("drain", Injector._drain),
    ):  # fmt: skip
        if kind.startswith(beginning):
            return action
    return Injector._device


_ACTIONS: dict[Kind, Action] = {kind: _action_of(kind) for kind in Kind}
