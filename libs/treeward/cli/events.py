"""`treeward events`: what happens, live or from a position of a zone's log."""

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from pydantic import ValidationError

from treeward.bus.interface import Reader, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.cli.connection import connected, run
from treeward.cli.lines import line_of
from treeward.cli.options import Json, Server
from treeward.cli.output import FINE, UNAVAILABLE, CommandError, console, fail, say
from treeward.schemas import streams, subjects
from treeward.schemas.address import is_token
from treeward.schemas.events import Event, EventType

if TYPE_CHECKING:
    from rich.console import Console

WAITING_MAX = 10_000
"""Events that may wait to be written: a log is read no further then; of live ones the oldest are dropped."""
POSITION_HEADER = "Nats-Sequence"


class Filter(NamedTuple):
    """`zone.kind.id.type`, each `*` for any."""

    zone: str = "*"
    kind: str = "*"
    id: str = "*"
    type: str = "*"

    @property
    def key(self) -> str:
        """`kind.id`."""
        return f"{self.kind}.{self.id}"


class Source:
    """Events on their way from the bus to the terminal."""

    def __init__(self) -> None:
        self.dropped = 0
        self.reader: Reader | None = None
        self._waiting: deque[tuple[int | None, bytes]] = deque()
        self._changed = asyncio.Event()
        self._ended = ""
        self._stop_at_end = False

    def put(self, position: int | None, data: bytes) -> None:
        """One more event."""
        if len(self._waiting) >= WAITING_MAX:
            if self.reader is None:
                self._waiting.popleft()
                self.dropped += 1
            else:
                self.reader.pause()
        self._waiting.append((position, data))
        self._changed.set()

    def end(self, why: str) -> None:
        """No more will come; `why` is empty if that was wanted."""
        self._ended = why
        self._stop_at_end = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[tuple[int | None, bytes]]:
        """Each event, until `end`; raises CommandError if that was not wanted."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self.reader is not None:
                self.reader.resume()
            if self._stop_at_end:
                break
            await self._changed.wait()
            self._changed.clear()
        if self._ended:
            raise CommandError(self._ended, UNAVAILABLE)


def parse_filter(text: str | None) -> Filter:
    """`zone-a`, `zone-a.vm`, `zone-a.vm.web-1`, `zone-a.vm.web-1.completed`, each part or `*`."""
    parts = (text or "*").rstrip(".>").split(".") if text != ">" else ["*"]
    if len(parts) > 4 or not all(part == "*" or is_token(part) for part in parts):
        raise CommandError(f"filter {text!r}: must be ZONE[.KIND[.ID[.TYPE]]], each a name or *")
    wanted = Filter(*parts)
    if wanted.type != "*" and wanted.type not in set(EventType):
        raise CommandError(f"filter {text!r}: the type must be one of {', '.join(EventType)}")
    return wanted


def command(
    which: Annotated[str | None, typer.Argument(metavar="ZONE[.KIND[.ID[.TYPE]]]", show_default=False)] = None,
    since: Annotated[str | None, typer.Option(metavar="POSITION|all", help="from the log of the zone")] = None,
    follow: Annotated[bool, typer.Option(help="with --since: go on when the end is reached")] = True,
    count: Annotated[int, typer.Option(min=0, metavar="N", help="stop after N events; 0: never")] = 0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Follow what happens, one line for each event.

    Live events come from the server's republishing: what happens while nobody listens is not seen. With --since they
    come from the zone's log, in order and without gaps.
    """
    try:
        wanted = parse_filter(which)
        position = _position(since)
        if position is not None and wanted.zone == "*":
            raise CommandError("--since reads the log of one zone: name it, for example `treeward events zone-a`")
        if position is None and not follow:
            raise CommandError("--no-follow needs --since: without it there is nothing to read but what comes")
    except CommandError as error:
        fail(error)
    run(_events(server, wanted, position, follow=follow, count=count, as_json=as_json))


def _position(since: str | None) -> int | None:
    if since is None:
        return None
    if since == "all":
        return 1
    if not since.isdigit() or int(since) < 1:
        raise CommandError(f"--since {since!r}: must be a position (1 or higher) or `all`")
    return int(since)


async def _events(
    server: str | None, wanted: Filter, position: int | None, *, follow: bool, count: int, as_json: bool
) -> int:
    source = Source()
    async with connected(server) as bus:
        if position is None:
            await _live(bus, wanted, source)
        else:
            await _logged(bus, wanted, source, position, follow=follow)
        out, seen = console(), 0
        with contextlib.suppress(BrokenPipeError):  # whoever read our output has had enough
            async for at, data in source:
                _write(out, at, data, as_json=as_json)
                seen += 1
                if seen == count:
                    break
        if source.reader is not None:
            await source.reader.close()
    if source.dropped:
        say(f"{source.dropped} live events came faster than they could be written and were dropped; use --since")
    return FINE


async def _live(bus: NatsBus, wanted: Filter, source: Source) -> None:
    def deliver(_subject: str, data: bytes, headers: Mapping[str, str] | None) -> None:
        position = (headers or {}).get(POSITION_HEADER, "")
        source.put(int(position) if position.isdigit() else None, data)

    await bus.subscribe(subjects.event(wanted.zone, wanted.key, wanted.type), deliver)


async def _logged(bus: NatsBus, wanted: Filter, source: Source, position: int, *, follow: bool) -> None:
    def deliver(stored: Stored) -> None:
        source.put(stored.position, stored.data)

    source.reader = await bus.read(
        streams.log(wanted.zone),
        subjects.log(wanted.zone, wanted.key, wanted.type),
        position,
        deliver,
        on_lost=lambda: source.end("the log no longer has what comes next; read again with --since all"),
        on_caught_up=None if follow else lambda: source.end(""),
    )


def _write(out: "Console", position: int | None, data: bytes, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"position": position, **json.loads(data)}) + "\n")
        sys.stdout.flush()
        return
    try:
        event = Event.model_validate_json(data)
    except ValidationError as error:
        say(f"position {position}: an event that this version cannot read ({error.error_count()} problems)")
        return
    out.print(line_of(event, position), soft_wrap=True)
