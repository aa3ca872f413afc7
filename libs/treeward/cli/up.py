"""`treeward up`: NATS, the device simulator and every service on this machine, kept running until Ctrl-C."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treeward.bus.interface import BusError
from treeward.bus.nats_bus import NatsBus
from treeward.cli.apply import apply_topology
from treeward.cli.connection import run
from treeward.cli.output import FINE, UNAVAILABLE, CommandError, clean, console, fail, say, table
from treeward.cli.topology_file import read_topology
from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder, FolderError
from treeward.runtime.data_centre.layout import Layout, default_topology
from treeward.runtime.data_centre.nats_child import StartError
from treeward.schemas.topology import Topology

if TYPE_CHECKING:
    from rich.console import Console

MEND_S = 0.1
QUIET_S = 60.0
PORTS_S = 10.0


def command(
    data: Annotated[Path, typer.Option(metavar="DIR", help="what survives a restart")] = Path(".treeward"),
    topology: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="zones, pods and hosts", show_default="the last one, else 2 zones"),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of NATS, on 127.0.0.1")] = 4222,
    agents: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="pod agents in all", show_default="one for each pod")
    ] = None,
) -> None:
    """Run NATS, a simulated data centre and every service on this machine until Ctrl-C.

    Everything listens on the loopback interface only. Started again on the same folder, it goes on where it was. A
    program that dies is started again.
    """
    folder = Folder(data)
    try:
        wanted = _topology(folder, topology)
        try:
            folder.open()
        except FolderError as error:
            raise CommandError(str(error)) from None
    except CommandError as error:
        fail(error)
    try:
        run(_up(folder, wanted, port, agents))
    finally:
        folder.close()


def _topology(folder: Folder, file: Path | None) -> Topology:
    """The file named, else what the folder was last started with, else the default."""
    if file is not None:
        return read_topology(file)
    if folder.topology.exists():
        return read_topology(folder.topology)
    return default_topology()


async def _up(folder: Folder, topology: Topology, port: int, agents: int | None) -> int:
    centre = DataCentre(folder, Layout(topology, pod_agents=agents), port=port)
    asked, hurry = asyncio.Event(), asyncio.Event()
    _on_signals(asked, hurry)
    out = console()
    serving = asyncio.create_task(_serve(centre, out), name="up")
    asking = asyncio.create_task(asked.wait(), name="asked to end")
    try:
        await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()  # it only ends by an error
        say("\nending in order; Ctrl-C again does not wait for what is in hand")
        serving.cancel()
        await asyncio.wait({serving})
        return FINE
    except StartError as error:
        raise CommandError(_advice(str(error), port), UNAVAILABLE) from None
    finally:
        asking.cancel()
        serving.cancel()
        if centre.process_ids:
            killed = await centre.end(hurry=hurry)
            if killed:
                say(f"did not end in time and were killed: {', '.join(killed)}")
            say(f"everything has ended; the data stays in {folder.path}")


def _on_signals(asked: asyncio.Event, hurry: asyncio.Event) -> None:
    def ask() -> None:
        (hurry if asked.is_set() else asked).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ask)


def _advice(sentence: str, port: int) -> str:
    return f"{sentence}; choose another with --port" if sentence.startswith(f"port {port} ") else sentence


async def _serve(centre: DataCentre, out: "Console") -> None:
    say(f"starting NATS and {len(centre.programs) - 1} programs in {centre.folder.path}")
    await centre.start()
    introduction = asyncio.create_task(_introduce(centre, out), name="introduction")
    try:
        while True:
            for mended in centre.mend(time.monotonic()):
                say(str(mended))
            if introduction.done() and introduction.exception() is not None:
                introduction.result()
            await asyncio.sleep(MEND_S)
    finally:
        introduction.cancel()
        await asyncio.gather(introduction, return_exceptions=True)


async def _introduce(centre: DataCentre, out: "Console") -> None:
    """Make the topology exist, then say what there is and what one can try."""
    bus = await NatsBus.connect(centre.url, name="treeward-up", timeout_s=QUIET_S)
    try:
        report = await apply_topology(bus, centre.layout.topology, quiet_s=QUIET_S)
    except (BusError, CommandError) as error:
        say(f"the topology is not there yet: {error}; programs keep running, `treeward apply` tries again")
        return
    finally:
        await bus.close()
    for done in report.done:
        if done.result != "completed":
            say(f"{done.step.zone}.{done.step.key}: {done.step.operation} {done.result}: {clean(done.reason or '')}")
    for difference in report.differences:
        say(f"differs: {clean(difference)}")
    if report.fine:
        text = centre.layout.topology.model_dump_json(indent=1)
        centre.folder.topology.write_text(text + "\n")  # read again by the next `up` that names none
    await _ports_are_known(centre)
    _show(centre, out, new=len(report.done), known=report.unchanged)


async def _ports_are_known(centre: DataCentre) -> None:
    try:
        async with asyncio.timeout(PORTS_S):
            while None in (_http_port(centre, name) for name in centre.layout.services()):
                await asyncio.sleep(MEND_S)
    except TimeoutError:
        pass


def _http_port(centre: DataCentre, name: str) -> int | None:
    """The port for health and metrics, which a service writes into its log when it starts; None: not yet."""
    path = centre.folder.logs / f"{name}.log"
    if not path.exists():
        return None
    for line in reversed(path.read_text(errors="replace").splitlines()):
        if '"started"' in line and line.startswith("{"):
            entry = json.loads(line)
            if entry.get("pid") == centre.process_ids.get(name):
                found = entry.get("http_port")
                return found if isinstance(found, int) else None
    return None


def _show(centre: DataCentre, out: "Console", *, new: int, known: int) -> None:
    programs = table("program", "process>", "listens on")
    for name, process_id in centre.process_ids.items():
        where = {"nats-server": centre.url, "device-simulator": f"{centre.device}, faults {centre.control}"}.get(name)
        programs.add_row(name, str(process_id), where or f"http://127.0.0.1:{_http_port(centre, name)}/metrics")
    out.print(programs)
    elsewhere = f"export TREEWARD_NATS_URL={centre.url} NATS_URL={centre.url}\n  "
    out.print(_WORDS.format(
        url=centre.url, folder=centre.folder.path, new=new, known=known, zone=next(iter(centre.layout.topology.zones)),
        server="" if centre.url.endswith(":4222") else elsewhere,
    ))  # fmt: skip


_WORDS = """Ready: {new} zones, pods and hosts were made, {known} were there. In another terminal:

  {server}treeward tree
  treeward events &
  treeward submit {zone}.vm.web-1 create --spec '{{"cpus":2,"memory_mib":512}}' --wait
  treeward state {zone}.vm.web-1
  treeward submit {zone}.vm.web-1 destroy --wait

The same with the nats program, which knows nothing of treeward:

  nats sub 'tw.event.{zone}.vm.web-1.>' &
  nats pub -J --no-templates tw.work.{zone}.vm.web-1 '{{"operation":"create","spec":{{"cpus":2,"memory_mib":512}}}}'
  nats pub -J --no-templates tw.work.{zone}.vm.web-1 '{{"operation":"destroy"}}'

Kill anything (`kill -9` with a number from the table): it is started again, and no unit is lost or done twice.
Traces: start an OTLP receiver such as Jaeger, and this with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318.
Data and logs: {folder} (logs in logs/, the device's books in device.sqlite). Ctrl-C ends everything in order."""
