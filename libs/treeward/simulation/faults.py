"""Carries out the faults of a plan, and in the end undoes whatever still stands."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from treeward.orchestrator.dispatching import Dispatching
from treeward.runtime.context import Context
from treeward.schemas import streams
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.plan import Fault, device_of
from treeward.simulation.program import Program
from treeward.simulation.server import Trouble
from treeward.simulation.tampering import tamper

if TYPE_CHECKING:
    from treeward.simulation.run import Run

BUS_TROUBLES = (
    "lose_answer",
    "doubt",
    "passing",
    "mailbox_lost",
    "mailbox_doubled",
    "mailbox_late",
    "replica_lag",
    "unavailable",
)

OF_STREAMS = {
    "wipe_mailbox": streams.mailbox,
    "leaderless_mailbox": streams.mailbox,
    "stall_bucket": streams.state,
    "stall_history": streams.work_history,
}


class Faults:
    """The faults of one run."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._extra: list[Program] = []
        self._over = False

    def schedule(self, faults: Sequence[Fault]) -> None:
        """Let each begin at its time."""
        loop = self._run.loop
        for index, fault in enumerate(faults):
            loop.call_at(fault.at_s, self._begin, index, fault, context=loop.world)

    def heal(self) -> None:
        """No faults from now on: every program runs, every connection works, nothing hangs."""
        self._over = True
        run = self._run
        run.trace.add("healed")
        run.server.trouble = Trouble()
        for name in list(run.server.streams):
            run.server.resume(name)
            run.server.elect(name)
        for device in run.devices.values():
            device.clear()
        for program in self._extra:
            program.restarts = False
            program.kill()
        for program in run.programs.values():
            program.thaw()
            for device_link in program.devices:
                device_link.cut = False
            if program.link is not None:
                program.link.mend()
            asyncio._set_running_loop(run.loop)
            program.start()
            asyncio._set_running_loop(None)

    def _begin(self, index: int, fault: Fault) -> None:
        if self._over:
            return
        run, kind = self._run, fault.kind
        run.trace.add("fault", kind, fault.target, f"{fault.duration_s:.2f} s", f"{fault.value:.2f}")
        program = run.programs.get(fault.target)
        if kind in BUS_TROUBLES:
            setattr(run.server.trouble, kind, fault.value)
            self._later(fault, lambda: setattr(run.server.trouble, kind, 0.0))
        elif kind == "second_dispatcher":
            self._second_dispatcher(index, fault)
        elif kind in OF_STREAMS:
            self._stream(fault)
        elif kind == "device_cut":
            assert program is not None
            self._cut_from_devices(fault, list(program.devices))
        elif kind == "device_tamper":
            self._tamper(fault)
        elif kind == "device_dies":
            self._device_dies(fault)
        elif kind.startswith("device_"):
            self._device(fault, kind.removeprefix("device_"))
        elif program is not None:
            self._program(fault, program)

    def _stream(self, fault: Fault) -> None:
        server, name = self._run.server, OF_STREAMS[fault.kind](fault.target)
        if name not in server.streams:
            return
        if fault.kind == "wipe_mailbox":
            server.wipe(name)
        elif fault.kind == "leaderless_mailbox":
            server.lose_leader(name)
            self._later(fault, lambda: server.elect(name))
        else:
            server.stall(name)
            self._later(fault, lambda: server.resume(name))

    def _program(self, fault: Fault, program: Program) -> None:
        kind, link = fault.kind, program.link
        assert link is not None, "it was started"
        match kind:
            case "kill":
                program.kill()
                self._later(fault, program.start)
            case "freeze":
                program.freeze()
                self._later(fault, program.thaw)
            case "stop":
                program.stop()
            case "cut" | "cut_up" | "cut_down":
                link.cut(*{"cut": (0, 1), "cut_up": (0,), "cut_down": (1,)}[kind])
                self._later(fault, link.mend)
            case "cut_off":
                has = {name: stream.last for name, stream in self._run.server.streams.items()}
                link.cut_off_server(has)
                self._later(fault, link.mend)
            case "reset":
                link.lose()
            case "delay_up" | "delay_down":
                link.extra_s[kind == "delay_down"] = fault.value
                self._later(fault, link.mend)
            case "clock":
                program.clock.skew_s += fault.value
            case _:
                raise AssertionError(f"there is no fault {kind}")

    def _device_dies(self, fault: Fault) -> None:
        """A pod's power is off for good; the first pod keeps its own, or nothing could go on anywhere."""
        shape = self._run.plan.shape
        if shape.device_per_pod and shape.pods > 1:
            pod = f"pod-{1 + int(fault.at_s * 1000) % (shape.pods - 1)}"
            device = self._run.devices[device_of(shape, fault.target, pod)]
            if not device.dead:
                device.die()
                self._run.judge.lost_pods.append((fault.target, pod))

    def _tamper(self, fault: Fault) -> None:
        """Somebody changes something at a device of a zone, or takes it away."""
        run, pick = self._run, int(fault.at_s * 1000)
        devices = [device for name, device in sorted(run.devices.items()) if fault.target in name or "all" in name]
        key = tamper(devices[pick % len(devices)], fault.target, pick, run.trace, remove=fault.value < 0.5)
        if key is not None:
            run.judge.tampered.add(key)

    def _cut_from_devices(self, fault: Fault, links: list[DeviceLink]) -> None:
        for link in links:
            link.cut = True

        def undo() -> None:
            for link in links:
                link.cut = False

        self._later(fault, undo)

    def _device(self, fault: Fault, what: str) -> None:
        """At every device of a zone."""
        devices = [
            device for name, device in self._run.devices.items() if fault.target in name or name == "tcp://all:1"
        ]
        for device in devices:
            if what == "unreachable":
                device.trouble = replace(
                    device.trouble, unreachable=frozenset({f"host-{round(fault.value * 20) % 2}0"})
                )
            elif what == "unwilling":
                device.trouble = replace(device.trouble, unwilling=self._unwilling(fault.value))
            else:
                device.trouble = replace(device.trouble)
                setattr(device.trouble, what, fault.value)

        def undo() -> None:
            for device in devices:
                device.clear()

        self._later(fault, undo)

    def _unwilling(self, value: float) -> frozenset[str]:
        """All hosts, or those of one pod."""
        shape = self._run.plan.shape
        pods = range(shape.pods) if value < 0.3 else [int(value * 1000) % shape.pods]
        return frozenset(f"host-{pod}{number}" for pod in pods for number in range(shape.hosts_per_pod))

    def _second_dispatcher(self, index: int, fault: Fault) -> None:
        """One more dispatcher of a zone, far away: what it knows is old, and what it sends comes late."""

        async def serve(program: Program, context: Context, _stopping: asyncio.Event) -> None:
            assert program.link is not None
            program.link.extra_s = [fault.value, fault.value / 4]
            await Dispatching(context, fault.target).run()

        program = self._run._add(f"dispatcher-{index}", serve)
        self._extra.append(program)
        program.start()
        self._run.loop.call_later(fault.duration_s + 2.0, self._end, program, context=self._run.loop.world)

    def _end(self, program: Program) -> None:
        program.restarts = False
        program.kill()

    def _later(self, fault: Fault, undo: Callable[[], object]) -> None:
        def end() -> None:
            if not self._over:
                undo()

        self._run.loop.call_later(fault.duration_s, end, context=self._run.loop.world)
