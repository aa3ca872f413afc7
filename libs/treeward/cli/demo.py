"""`treeward demo`: a data centre on this machine, killed in the middle of its work, and judged by its books."""

import asyncio
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treeward.cli import demo_report
from treeward.cli.apply import apply_topology
from treeward.cli.ask import ask
from treeward.cli.connection import run
from treeward.cli.demo_scenes import Scenes
from treeward.cli.demo_story import Clients, Story
from treeward.cli.output import FINE, INTERRUPTED, NO, UNAVAILABLE, CommandError, console, fail, say
from treeward.cli.tree import draw
from treeward.runtime.books import BooksError, read_books
from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import Layout, default_topology
from treeward.runtime.data_centre.nats_child import StartError
from treeward.runtime.judge import Judgement, judge
from treeward.schemas.address import ROOT
from treeward.schemas.api.tree import TreeAnswer, TreeRequest

if TYPE_CHECKING:
    from rich.console import Console

CLIENTS = 4


def command(
    keep: Annotated[bool, typer.Option("--keep", help="keep the data, for `treeward up --data`")] = False,
    seed: Annotated[int, typer.Option(help="of the load")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the figures there as JSON")
    ] = None,
) -> None:
    """Start a data centre in a temporary folder, kill a pod agent in the middle of its work, and judge the books.

    Takes less than a minute. Exit 0 only if every unit was answered once and in order, nothing took effect twice, and
    nothing dangles.
    """
    if json_file is not None and not json_file.absolute().parent.is_dir():
        fail(CommandError(f"{json_file}: its folder does not exist"))
    folder = Folder(Path(tempfile.mkdtemp(prefix="treeward-demo-")))
    folder.open()
    try:
        run(_demo(folder, seed, json_file))
    finally:
        folder.close()
        if keep:
            say(f"the data is kept: treeward up --data {folder.path}")
        else:
            shutil.rmtree(folder.path, ignore_errors=True)


async def _demo(folder: Folder, seed: int, json_file: Path | None) -> int:
    playing = asyncio.create_task(_play(folder, seed, json_file), name="demo")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    try:
        return await playing
    except StartError as error:
        raise CommandError(str(error), UNAVAILABLE) from None
    except BooksError as error:
        raise CommandError(str(error), NO) from None
    except asyncio.CancelledError:
        if not playing.cancelled():  # Ctrl-C cancelled us, not the play
            playing.cancel()
            await asyncio.wait({playing})
        return INTERRUPTED


async def _play(folder: Folder, seed: int, json_file: Path | None) -> int:
    out, begun_s = console(), time.monotonic()
    centre = DataCentre(folder, Layout(default_topology()))
    hurry = asyncio.Event()
    hurry.set()  # whoever hands over here has no successor to wait for: everything ends
    try:
        judgement, killed = await _scenes(centre, out, seed)
    finally:
        await centre.end(hurry=hurry)
    duration_s = time.monotonic() - begun_s
    _title(out, "What the books say")
    demo_report.show(out, judgement)
    if json_file is not None:
        _write(json_file, demo_report.as_json(judgement, seed=seed, duration_s=duration_s, kill=killed))
    if judgement.violations:
        out.print(f"FAILED: {len(judgement.violations)} violations", style="bold red")
        return NO
    out.print(
        f"Every unit was answered once and in order, nothing took effect twice, nothing dangles. {duration_s:.0f} s.",
        style="bold green",
    )
    return FINE


async def _scenes(centre: DataCentre, out: "Console", seed: int) -> tuple[Judgement, dict[str, Any]]:
    _title(out, f"A data centre on this machine: {len(centre.programs)} programs")
    await centre.start()
    async with Clients(centre.url, CLIENTS) as clients:
        bus = clients.buses[0]
        report = await apply_topology(bus, centre.layout.topology)
        if not report.fine:
            wrong = [f"{row.step.zone}.{row.step.key} {row.result}" for row in report.done if row.result != "completed"]
            raise CommandError(f"the zones, pods and hosts could not be made: {', '.join(wrong)}", NO)
        zones = list(centre.layout.topology.zones)
        story = Story(bus)
        await story.follow(zones)
        await story.until(lambda: _all_pods_are_owned(story, centre), "owner of every pod")
        await _show_tree(clients, out, zones, hosts=False)
        scenes = Scenes(centre, clients, story, out, Random(seed))
        _title(out, "Two clients and one VM: client 1 creates it, client 2 destroys it at once")
        await scenes.create_and_destroy()
        _title(out, "Load from all clients, and kill -9 of a pod agent in the middle of a call")
        await scenes.kill_in_the_middle()
        await _show_tree(clients, out, zones[:1], hosts=True)
        _title(out, "A call that fails halfway: its process crashes, what waits behind it is flushed and done later")
        await scenes.fail_halfway()
        return judge(await read_books(bus, [ROOT, *zones], [centre.folder.device])), scenes.killed


def _all_pods_are_owned(story: Story, centre: DataCentre) -> bool:
    topology = centre.layout.topology
    return all(story.owner_of(zone, pod) for zone, what in topology.zones.items() for pod in what.pods)


async def _show_tree(clients: Clients, out: "Console", zones: list[str], *, hosts: bool) -> None:
    for zone in zones:
        try:
            answer = await ask(clients.buses[0], "tree", zone, TreeRequest(), TreeAnswer, timeout_s=5.0)
        except CommandError as error:
            say(f"no tree: {error}")
        else:
            out.print(draw(answer, hosts=hosts))


def _write(file: Path, report: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(report, indent=1, default=str) + "\n")
    except OSError as error:
        raise CommandError(f"{file}: cannot be written ({error.strerror})") from None


def _title(out: "Console", text: str) -> None:
    out.print()
    out.print(text, style="bold")
