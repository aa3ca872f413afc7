"""Starts a data centre on this machine, mends what dies in it, and ends it in order."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.data_centre.child import Child, ChildProcess, leashed
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import SIMULATOR, Layout, service_of
from treeward.runtime.data_centre.nats_child import NATS, NatsChild, StartError
from treeward.runtime.embedded_nats import EmbeddedNats, free_port
from treeward.runtime.settings import Settings
from treeward.schemas.address import ROOT
from treeward.supervision.policies import RestartPolicy
from treeward.supervision.restart import Restart, decide_restart

ORDER_OF_END = ("pod-agent", "zone-supervisor", "orchestrator", SIMULATOR, NATS)
"""Whoever needs something ends before it."""
MEND = RestartPolicy(restarts_max=1_000_000, period_s=60.0, backoff_s_min=0.2, backoff_s_max=10.0)
"""A program is started again without end: whoever runs this is told each time, and decides."""
CONNECT_S = 10.0
DEVICE_READY_S = 15.0
END_S = 40.0
"""More than a service's own `stop_timeout_s`: it can say by itself why it did not end in time."""
HURRY_AFTER_S = 0.3
"""A second SIGTERM that comes too soon after the first is one and the same to a program that was busy."""
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Mended:
    """Something happened to a program: it died or could not be started (again in `restart_in_s`), or runs again."""

    name: str
    exit_code: int | None
    """Of the run that ended, negative for a signal; None: it was started again."""
    restart_in_s: float = 0.0
    problem: str | None = None
    """Why it could not be started."""

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self.name} does not start: {self.problem}; it is tried again in {self.restart_in_s:.1f} s"
        if self.exit_code is None:
            return f"{self.name} runs again"
        how = f"ended with code {self.exit_code}"
        if self.exit_code < 0:
            how = f"was killed by {signal.Signals(-self.exit_code).name}"
        return f"{self.name} {how}; it is started again in {self.restart_in_s:.1f} s"


class DataCentre:
    """All programs of one data centre, by name: `nats-server`, `device-simulator`, and `<service>-<number>`.

    Start and end it in the main thread: the programs die with the thread that started them (see `child.leashed`).
    """

    def __init__(
        self,
        folder: Folder,
        layout: Layout,
        *,
        port: int | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.folder = folder
        self.layout = layout
        server = EmbeddedNats(folder.nats, port=free_port() if port is None else port, command_prefix=leashed())
        self.url = server.url
        self.device = f"tcp://127.0.0.1:{free_port()}"
        self.control = f"tcp://127.0.0.1:{free_port()}"
        """Where the simulator is asked for faults."""
        self.programs: dict[str, ChildProcess] = {NATS: NatsChild(server)}
        self._environment = _environment(environment, layout.settings, self.url)
        self.programs[SIMULATOR] = self._simulator()
        for name, own in layout.services().items():
            self.programs[name] = self._service(name, own)
        self._restarted_at_s: dict[str, list[float]] = {}
        self._restart_at_s: dict[str, float] = {}
        self._chance = Random()

    @property
    def process_ids(self) -> dict[str, int]:
        """Name > process id of each program that runs."""
        return {name: child.process_id for name, child in self.programs.items() if child.process_id is not None}

    async def start(self) -> None:
        """Start everything: when it returns, root's streams are there and every program was started.

        Raises StartError, or what the bus raises; then, as when cancelled, call `kill` or `end`.
        """
        self.programs[NATS].start()
        self.programs[SIMULATOR].start()
        bus = await NatsBus.connect(self.url, name="data-centre", timeout_s=CONNECT_S)
        try:
            await bus.provision(ROOT, Settings.load().retention())
        finally:
            await bus.close()
        await self._device_is_ready()
        for name, child in self.programs.items():
            if name not in (NATS, SIMULATOR):
                child.start()

    def mend(self, now_s: float) -> Sequence[Mended]:
        """Start again what has died, each after a pause that grows; call it often. Returns what happened since."""
        said: list[Mended] = []
        for name, child in self.programs.items():
            due_s = self._restart_at_s.get(name)
            if due_s is None:
                code = child.exit_code
                if code is not None:
                    delay_s = self._pause_s(name, now_s)
                    self._restart_at_s[name] = now_s + delay_s
                    said.append(Mended(name, code, delay_s))
            elif due_s <= now_s:
                del self._restart_at_s[name]
                self._restarted_at_s.setdefault(name, []).append(now_s)
                try:
                    child.start()
                except (
                    StartError
                ):  # nats-server did not come up: its exit code is seen next time, and it is tried again
                    continue
                said.append(Mended(name, None))
        return said

    def _pause_s(self, name: str, now_s: float) -> float:
        recent = [at_s for at_s in self._restarted_at_s.get(name, []) if now_s - at_s < MEND.period_s]
        self._restarted_at_s[name] = recent
        decision = decide_restart(MEND, restarted_at_s=recent, now_s=now_s, jitter=self._chance.random())
        return decision.delay_s if isinstance(decision, Restart) else MEND.backoff_s_max

    async def end(self, *, hurry: asyncio.Event | None = None) -> list[str]:
        """End everything in order, each service after those that need it; returns who had to be killed.

        When `hurry` is set, services are told a second time, and do not wait for a successor. Cancelled, it kills.
        """
        killed: list[str] = []
        try:
            for service in ORDER_OF_END:
                children = [child for name, child in self.programs.items() if service_of(name) == service]
                killed += await _end_all(children, hurry)
        finally:
            self.kill()
        return killed

    def kill(self) -> None:
        """End every program at once (SIGKILL) and wait for that, by its process id."""
        for child in reversed(self.programs.values()):
            child.kill()

    def _simulator(self) -> Child:
        arguments = ("--data", str(self.folder.device), "--listen", self.device, "--control", self.control)
        return self._child(SIMULATOR, "treeward.device_simulator", self._environment, arguments)

    def _service(self, name: str, own: Mapping[str, str]) -> Child:
        environment = {**self._environment, "TREEWARD_NAME": name, "TREEWARD_DEVICE": self.device, **own}
        return self._child(name, f"treeward.{service_of(name).replace('-', '_')}", environment)

    def _child(self, name: str, module: str, environment: Mapping[str, str], arguments: Sequence[str] = ()) -> Child:
        # -P: the folder in which somebody happens to stand must not shadow a module.
        command = (sys.executable, "-P", "-m", module, *arguments)
        return Child(name, command, environment, self.folder.logs / f"{name}.log")

    async def _device_is_ready(self) -> None:
        simulator = self.programs[SIMULATOR]
        host, port = self.device.removeprefix("tcp://").split(":")
        try:
            async with asyncio.timeout(DEVICE_READY_S):
                while not _listens(host, int(port)):
                    if simulator.exit_code is not None:
                        raise StartError(f"the device simulator ended at once; see {self.folder.logs / SIMULATOR}.log")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log = self.folder.logs / f"{SIMULATOR}.log"
            raise StartError(f"the device simulator does not answer at {self.device}; see {log}") from None


async def _end_all(children: Sequence[ChildProcess], hurry: asyncio.Event | None) -> list[str]:
    """Ask all, one timer for all, kill the rest."""
    for child in children:
        child.ask_to_end()
    asked_again = False
    began_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(END_S):
            while any(child.process_id is not None for child in children):
                late = asyncio.get_running_loop().time() - began_s > HURRY_AFTER_S
                if hurry is not None and hurry.is_set() and late and not asked_again:
                    asked_again = True
                    for child in children:
                        child.ask_to_end()
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    remaining = [child for child in children if child.process_id is not None]
    for child in remaining:
        child.kill()
    return [child.name for child in remaining]


_OURS = (
    "TREEWARD_NATS_", "TREEWARD_HTTP_PORT", "TREEWARD_NAME", "TREEWARD_ZONE", "TREEWARD_LABELS", "TREEWARD_DEVICE",
)  # fmt: skip


def _environment(outer: Mapping[str, str], settings: Mapping[str, str], url: str) -> dict[str, str]:
    """What the programs see: the user's choices, but nothing that would lead them elsewhere or make them collide."""
    kept = {name: value for name, value in outer.items() if not name.startswith(_OURS)}
    return {**kept, "TREEWARD_LOG_FORMAT": "json", **settings, "TREEWARD_NATS_URL": url}


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True
