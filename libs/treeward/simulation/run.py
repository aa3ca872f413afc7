"""One run: the services of a small data centre, its clients and its faults, from a plan to a verdict."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from treeward.bus.interface import BusError, BusUnavailableError, NoSuchZoneError, Receipt
from treeward.orchestrator.orchestrator import Orchestrator
from treeward.pod_agent.agent import Agent
from treeward.runtime.context import Context
from treeward.runtime.device_client import Device
from treeward.schemas import subjects
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.simulation.device import Books, SimulatedDevice
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.faults import Faults
from treeward.simulation.judge import Judge, Violation
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.plan import Plan, Wish, device_of, zone_name
from treeward.simulation.program import Program, Serve
from treeward.simulation.server import BusServer
from treeward.simulation.trace import Trace
from treeward.supervision.limits import AHEAD_MOST, Limits
from treeward.zone_supervisor.supervisor import Supervisor

ANSWERED_WITHIN_S = 150.0
"""So long after the last fault everything must be answered."""
QUIET_S = 1.0
LATE_S = 60.0
"""After the end, with all programs dead, what is still on its way arrives."""
CLIENTS = 2
REMEMBERS_IN = ((1, 2, 8), (1, 1, 6))
"""How many answered tickets a device remembers, and how likely that is: drawn apart from the rest of a seed."""
OPERATOR_S = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run."""

    seed: int
    violations: tuple[Violation, ...]
    digest: str
    trace: Trace
    units: int
    outcomes: dict[str, int]
    crashes: int
    called_ahead: int
    """Calls that began while the outcome of the unit before was not stored."""
    recalled: int
    """Outcomes that an owner knew from its device, which had applied a later unit meanwhile."""
    steps: int
    virtual_s: float
    healed_s: float
    """Virtual time at which the last fault ended."""
    answered_s: float
    """Virtual time at which the last unit was answered."""


class Run:
    """A run of a plan; `go` carries it through."""

    def __init__(self, plan: Plan, *, loud: bool = False) -> None:
        self.plan = plan
        self.loop = VirtualLoop()
        self.trace = Trace(loud=loud)
        self.trace.at_s = self.loop.time
        seed = str(plan.seed)
        self.server = BusServer(self.loop, Random(f"{seed}/bus"), self.trace)
        self.books = Books()
        self.devices: dict[str, SimulatedDevice] = {}
        for number in range(plan.shape.zones):
            for pod in range(plan.shape.pods):
                name = device_of(plan.shape, zone_name(number), f"pod-{pod}")
                if name not in self.devices:
                    self.devices[name] = SimulatedDevice(
                        name, self.loop, Random(f"{seed}/{name}"), self.trace, self.books, plan.shape.call_s,
                        remembers=Random(f"remembers/{seed}/{name}").choices(*REMEMBERS_IN)[0],
                    )  # fmt: skip
        self.judge = Judge(self.server, self.books, self.devices, self.trace)
        self.programs: dict[str, Program] = {}
        self.receipts: dict[int, Receipt | None] = {}
        """Number of a wish -> its receipt; None: it was not, or perhaps not, accepted."""
        self.healed = False
        self.looked_after = False
        """Whether the operator has made room since the faults ended."""
        shape = plan.shape
        for number in range(shape.orchestrators):
            self._add(f"orchestrator-{number}", _serve_orchestrator)
        for number in range(shape.zone_supervisors):
            self._add(f"supervisor-{number}", self._serve_supervisor)
        for number in range(shape.pod_agents):
            self._add(f"agent-{number}", self._serve_agent)
        for number in range(CLIENTS):
            self._add(f"client-{number}", self._serve_client(number))
        self.faults = Faults(self)

    def _add(self, name: str, serve: Serve) -> Program:
        shape = self.plan.shape

        def limits(limits: Limits) -> Limits:
            above_max = 2 if shape.bodies_max < 100 else limits.answered_above_max
            return replace(
                limits,
                ahead_max=AHEAD_MOST,  # as far as a device remembers; its plan draws that
                bodies_max=shape.bodies_max,
                idle_row_s=shape.idle_row_s,
                answered_above_max=above_max,
                failed_at_once_min=shape.failed_at_once_min,
            )

        settings: dict[str, Any] = {
            "window": shape.window,
            "credit": shape.credit,
            "resend_s": shape.resend_s,
            "resend_max_s": 4 * shape.resend_s,
            "call_timeout_s": shape.call_timeout_s,
            "restarts_max": shape.restarts_max,
            "restart_period_s": shape.restart_period_s,
            "pod_restarts_per_s": shape.pod_restarts_per_s,
            "pod_restarts_at_once": shape.pod_restarts_at_once,
            "backoff_max_s": 1.0,
            "mailbox_leaderless_s": 4.0,
            "background_synchronization_s": shape.background_s,
            "device": None if shape.device_per_pod else "tcp://all:1",
        }
        program = Program(
            name,
            serve,
            loop=self.loop,
            server=self.server,
            seed=str(self.plan.seed),
            trace=self.trace,
            settings=settings,
            limits=limits,
            latency_s=shape.latency_s,
        )
        self.programs[name] = program
        return program

    def go(self) -> Verdict:
        """Run it to the end; deterministic, whatever ran before."""
        before = random.getstate()
        random.seed(f"{self.plan.seed}/library")
        try:
            return self._go()
        finally:
            random.setstate(before)
            self.loop.close()

    def _go(self) -> Verdict:
        loop, plan, judge = self.loop, self.plan, self.judge
        self.server.provision(ROOT, Retention())
        self.faults.schedule(plan.faults)
        asyncio._set_running_loop(loop)
        for program in self.programs.values():
            program.start()
        asyncio._set_running_loop(None)
        loop.run_until(lambda: False, deadline_s=plan.faults_end_s)
        self.faults.heal()
        self.healed = True
        self._add("operator", self._serve_operator)
        asyncio._set_running_loop(loop)
        self.programs["operator"].start()
        asyncio._set_running_loop(None)
        loop.run_until(lambda: self._over, deadline_s=plan.faults_end_s + ANSWERED_WITHIN_S)
        answered_s = loop.now_s
        loop.run_until(lambda: False, deadline_s=loop.now_s + QUIET_S)
        # A drain may just have asked for its next move.
        loop.run_until(lambda: self._over, deadline_s=plan.faults_end_s + ANSWERED_WITHIN_S)
        judge.judge_end()
        for program in self.programs.values():
            program.restarts = False
            for at_s, where, error in program.crashed_by:
                judge.note("crash", f"{program.name} at {at_s:.3f}: {_describe(error)} ({where})")
        for error in loop.escaped:
            judge.note("crash", f"of the simulation: {error!r}")
        for program in self.programs.values():
            program.kill("put down")
        loop.call_later(LATE_S, lambda: None, context=loop.world)
        loop.run_until(lambda: False, deadline_s=loop.now_s + LATE_S - 0.1)
        judge.judge_late()
        outcomes: dict[str, int] = {}
        for answer in judge.answered.values():
            outcomes[answer.type.value] = outcomes.get(answer.type.value, 0) + 1
        crashes = sum(event.what == "event" and event.words[2] == "crashed" for event in self.trace.lines)
        return Verdict(
            seed=plan.seed,
            violations=tuple(judge.violations),
            digest=self.trace.digest(),
            trace=self.trace,
            units=len(judge.submitted),
            outcomes=outcomes,
            crashes=crashes,
            called_ahead=judge.called_ahead,
            recalled=judge.recalled,
            steps=loop.steps,
            virtual_s=loop.now_s,
            healed_s=plan.faults_end_s,
            answered_s=answered_s,
        )

    @property
    def _over(self) -> bool:
        """Whether all wishes are settled, what was lost is back, and what others have changed is known."""
        asked = self.looked_after and len(self.receipts) == len(self.plan.wishes)
        judge = self.judge
        return asked and judge.open == 0 and not judge.is_something_lost() and not judge.is_something_unnoticed()

    # programs

    def _way_to_devices(self, program: Program) -> Callable[[str], Device]:
        def connect(address: str) -> Device:
            return program.device_link(DeviceLink(self.devices[address], self.loop, program.chance, program.call))

        return connect

    async def _serve_agent(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Agent(context, self._way_to_devices(program)).run(stopping)

    async def _serve_supervisor(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        await Supervisor(context, self._way_to_devices(program)).run(stopping)

    def _serve_client(self, number: int) -> Serve:
        async def serve(program: Program, context: Context, stopping: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                for wish in self.plan.wishes:
                    if wish.client == number:
                        group.create_task(self._submit(context, wish))
            await stopping.wait()

        return serve

    async def _submit(self, context: Context, wish: Wish) -> None:
        """Submit one unit, once its time has come and the tickets are known that it names."""
        await asyncio.sleep(wish.at_s)
        body = await self._body(wish)
        if body is None:
            self.receipts[wish.number] = None
            return
        subject = subjects.work(wish.zone, wish.key)
        if not wish.receipt:
            context.bus.publish(subject, body)
            self.receipts[wish.number] = None
            return
        while True:
            try:
                self.receipts[wish.number] = await context.bus.submit(subject, body, message_id=f"wish-{wish.number}")
                return
            except NoSuchZoneError:
                await asyncio.sleep(0.2)
            except BusUnavailableError:
                if not self.healed:  # else the same id again: whatever was lost, it is one unit
                    self.receipts[wish.number] = None
                    return

    def ticket_of(self, number: int) -> int:
        """The ticket of a wish that was accepted."""
        receipt = self.receipts[number]
        assert receipt is not None, "only what has a receipt has a ticket"
        return receipt.ticket

    async def _body(self, wish: Wish) -> bytes | None:
        if isinstance(wish.body, bytes):
            return wish.body
        known = {each.number for each in self.plan.wishes}
        needed = [number for number in (wish.names, *wish.after) if number is not None and number in known]
        while any(number not in self.receipts for number in needed):
            await asyncio.sleep(0.05)
        body = dict(wish.body)
        if wish.names is not None:
            if self.receipts.get(wish.names) is None:
                return None
            body["ticket"] = self.ticket_of(wish.names)
        after = [self.ticket_of(number) for number in wish.after if self.receipts.get(number) is not None]
        if after:
            body["after"] = after
        return json.dumps(body).encode()

    async def _serve_operator(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        """When the faults are over a person looks after what they left: room, paused and quarantined resources."""
        shape = self.plan.shape
        for number in range(shape.zones):
            spec = {"pod": "pod-0", "cpus": 256, "memory_mib": 1 << 20, "disk_gib": 1 << 20}
            zone = zone_name(number)
            pod = next(wish.number for wish in self.plan.wishes if (wish.zone, wish.key) == (zone, "pod.pod-0"))
            while self.receipts.get(pod) is None:
                await asyncio.sleep(0.1)
            body = {"operation": "create", "spec": spec, "after": [self.ticket_of(pod)]}
            await self._order(context, zone, "host.spare", body)
        self.looked_after = True
        while not stopping.is_set():
            for zone, name in self.judge.lost_pods:
                lost = self.judge.last.get((zone, f"pod.{name}"))
                if lost is not None and lost[1].definition is not None and not lost[1].isolated:
                    body = {"operation": "isolate", "reason": "its power is off"}
                    await self._order(context, zone, f"pod.{name}", body)
            for (zone, key), (_, pod_event) in sorted(self.judge.last.items()):
                if key.startswith("pod.") and pod_event.quarantined:
                    await self._order(context, zone, key, {"operation": "release"})
            for zone, key in sorted({(zone, unit.key) for zone, _, unit in self.judge.unanswered()}):
                last = self.judge.last.get((zone, key))
                if last is not None and last[1].quarantined:
                    await self._order(context, zone, key, {"operation": "release"})
                if self.judge.is_paused(zone, key):
                    await self._order(context, zone, key, {"operation": "resume"})
            await asyncio.sleep(OPERATOR_S)

    async def _order(self, context: Context, zone: str, key: str, body: dict[str, Any]) -> None:
        while True:
            try:
                await context.bus.submit(subjects.work(zone, key), json.dumps(body).encode())
                return
            except BusError:
                await asyncio.sleep(0.5)


async def _serve_orchestrator(_program: Program, context: Context, stopping: asyncio.Event) -> None:
    await Orchestrator(context).run(stopping)


def _describe(error: BaseException) -> str:
    """The innermost exceptions of a group, each with the line that raised it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_describe, error.exceptions))
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = (
        f" at {frame.tb_frame.f_code.co_filename.rpartition('treeward/')[2]}:{frame.tb_lineno}"
        if frame is not None
        else ""
    )
    return f"{error!r}{where}"


def run_plan(plan: Plan, *, loud: bool = False) -> Verdict:
    """Carry a plan through and judge it."""
    return Run(plan, loud=loud).go()
