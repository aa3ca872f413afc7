"""`treeward backup` and `treeward restore`: copies of everything that NATS keeps for us, but for the mailboxes.

Of each zone WORK is copied first and the log last. So the log of a copy has at least every outcome for the units in
its WORK: what was answered is never done again, whatever happened while the copy was made.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from treeward.bus import snapshot
from treeward.bus.interface import BusError
from treeward.bus.nats_bus import NatsBus
from treeward.bus.permissions import PADDING
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server
from treeward.cli.output import FINE, NO, CommandError, say, say_json
from treeward.schemas import streams, subjects

ORDER = (streams.work, streams.work_history, streams.state, streams.log)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER")]


def backup(
    folder: Folder,
    keep: Annotated[
        int, typer.Option(min=1, help="copies to keep; older ones are removed when the new one is whole")
    ] = 7,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Copy WORK, its history, states and log of every zone into a new folder inside FOLDER, named by the time.

    The files are those of `nats stream backup`. Mailboxes are not copied: what was in them is sent again.
    """
    run(_backup(server, folder, keep, as_json=as_json))


def restore(
    folder: Folder,
    above: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=0, help="let tickets and positions go on above it; see docs/backup.md"),
    ] = 0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make the streams of a copy (a folder that `backup` made) anew, on a NATS that has none of them.

    Nothing else may run meanwhile. Devices remember the numbers that they were given after the copy was made: with
    `--above` all new ones are higher than those.
    """
    run(_restore(server, folder, above, as_json=as_json))


async def _backup(server: str | None, folder: Path, keep: int, *, as_json: bool) -> int:
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    part = folder / f".{name}.part"
    sizes: dict[str, int] = {}
    async with connected(server) as bus:
        there = set(await snapshot.stream_names(bus))
        for zone in zones_of(there):
            for stream in (of(zone) for of in ORDER):
                if stream in there:
                    _made(part / stream)
                    sizes[stream] = await snapshot.save(bus, stream, part / stream)
    if not sizes:
        raise CommandError("there are no streams of treeward here", NO)
    os.sync()
    part.rename(folder / name)
    for old in copies(folder)[:-keep]:
        shutil.rmtree(old)
    if as_json:
        say_json({"folder": str(folder / name), "bytes": sizes})
    else:
        typer.echo(f"{folder / name}: {len(sizes)} streams, {sum(sizes.values()):,} bytes")
    return FINE


async def _restore(server: str | None, folder: Path, above: int, *, as_json: bool) -> int:
    made: dict[str, dict[str, Any]] = {}
    wanted = streams_in(folder)
    if not wanted:
        raise CommandError(f"{folder}: is not a copy that `treeward backup` made", NO)
    async with connected(server) as bus:
        already = sorted(set(await snapshot.stream_names(bus)) & wanted.keys())
        if already:
            raise CommandError(f"there are streams already: {', '.join(already)}; nothing was changed", NO)
        for zone in zones_of(wanted):
            for stream in (of(zone) for of in ORDER):
                if stream in wanted:
                    try:
                        state = (await snapshot.load(bus, wanted[stream]))["state"]
                    except (OSError, ValueError) as error:
                        raise CommandError(f"{wanted[stream]}: cannot be read: {error}") from None
                    made[stream] = {"messages": state["messages"], "last": state["last_seq"]}
                    say(f"{stream}: {state['messages']:,} messages, up to {state['last_seq']:,}")
            if above:
                await _raise(bus, zone, above, made)
    if as_json:
        say_json({"made": made})
    else:
        typer.echo(f"made {len(made)} streams from {folder}")
    return FINE


async def _raise(bus: NatsBus, zone: str, above: int, made: dict[str, dict[str, Any]]) -> None:
    padding = {
        streams.work(zone): subjects.work(zone, PADDING),
        streams.log(zone): subjects.log(zone, PADDING, "forgotten"),
    }
    for stream, subject in padding.items():
        if stream in made:
            made[stream]["last"] = await snapshot.raise_to(bus, stream, subject, above)
            say(f"{stream}: goes on above {made[stream]['last']:,}")
    copied = {streams.work_history(zone): padding[streams.work(zone)]}
    copied[streams.state(zone)] = streams.state_subject(zone, PADDING)
    for stream in copied.keys() & made.keys():
        await _until_copied(bus, stream, above)
    for stream, subject in (padding | copied).items():
        if stream in made:
            await snapshot.purge_subject(bus, stream, subject)


async def _until_copied(bus: NatsBus, stream: str, above: int) -> None:
    """The history has caught up when it has the last number; the bucket when it has got the last padding."""
    try:
        async with asyncio.timeout(snapshot.SILENT_S * 4):
            while True:
                info = await bus.streams.info(stream) or {}
                lag = sum(one.get("lag", 0) for one in [info.get("mirror") or {}, *(info.get("sources") or [])])
                if lag == 0 and (
                    not stream.startswith("WORK_HISTORY") or info.get("state", {}).get("last_seq", 0) >= above
                ):
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise BusError(f"{stream} does not catch up") from None


def zones_of(names: Iterable[str]) -> list[str]:
    """The zones that have a log among these streams; root first, since it says which zones there are."""
    prefix = streams.log("")
    zones = sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return sorted(zones, key=lambda zone: zone != "root")


def streams_in(folder: Path) -> dict[str, Path]:
    """The streams of a copy, and where each is."""
    return {path.parent.name: path.parent for path in folder.glob(f"*/{snapshot.META}")}


def _made(folder: Path) -> None:
    folder.mkdir(parents=True)


def copies(folder: Path) -> list[Path]:
    """The whole copies in a folder, the oldest first."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
