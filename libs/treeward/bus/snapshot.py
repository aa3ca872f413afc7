"""Copies of whole streams: out of JetStream into files, and back.

The files are those of `nats stream backup`: `backup.json` (settings and state) and `stream.tar.s2` (the messages), so
either program restores what the other has saved. A restored stream goes on with the numbers of the saved one. Since
devices remember higher ones than an older copy knows, numbering can be raised before anything is started (`raise_to`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from treeward.bus.interface import BusError, BusUnavailableError
from treeward.bus.nats_bus import NatsBus
from treeward.bus.requests import api_error

CHUNK_BYTES: Final = 128 * 1024
SILENT_S: Final = 30.0
"""A copy that does not go on for so long has failed."""
META, MESSAGES = "backup.json", "stream.tar.s2"


async def stream_names(bus: NatsBus) -> list[str]:
    """Every stream of the account, in order."""
    names: list[str] = []
    while True:
        reply = await _api(bus, "STREAM.NAMES", {"offset": len(names)})
        names += reply.get("streams") or []
        if len(names) >= reply.get("total", 0) or not reply.get("streams"):
            return sorted(names)


async def save(bus: NatsBus, stream: str, folder: Path) -> int:
    """Copy a stream into the folder `folder` and return its size in bytes; raises BusError and OSError.

    The server takes the copy at one moment, while the stream goes on. What is there already is replaced when all of it
    has come; cancelled or failed, files that end in `.part` remain.
    """
    part = folder / f"{MESSAGES}.part"
    async with _chunks(bus) as (subject, chunks):
        question = {"deliver_subject": subject, "no_consumers": True, "chunk_size": CHUNK_BYTES}
        reply = await _api(bus, f"STREAM.SNAPSHOT.{stream}", question)
        with part.open("wb") as file:
            while True:
                async with _in_time(f"{stream}: the copy does not go on"):
                    data, acknowledge, status = await chunks.get()
                if not data:
                    if status not in ("", "204"):
                        raise BusError(f"{stream}: the server broke the copy off ({status})")
                    break
                file.write(data)
                if acknowledge:
                    bus.connection.publish(acknowledge, b"")
            file.flush()
    meta = {"config": reply["config"], "state": reply["state"]}
    (folder / f"{META}.part").write_text(json.dumps(meta, indent=1))
    part.replace(folder / MESSAGES)
    (folder / f"{META}.part").replace(folder / META)
    return (folder / MESSAGES).stat().st_size


def saved(folder: Path) -> Mapping[str, Any]:
    """Settings and state of a saved stream; raises OSError and ValueError."""
    meta: Mapping[str, Any] = json.loads((folder / META).read_text())
    if not isinstance(meta, dict) or not {"config", "state"} <= meta.keys():
        raise ValueError(f"{folder / META}: is not the description of a stream")
    return meta


async def load(bus: NatsBus, folder: Path) -> Mapping[str, Any]:
    """Make a stream of what `save` has saved and return the server's description of it; raises BusError.

    Nothing happens if there is a stream of that name. Cancelled or failed, the server forgets what it was sent.
    """
    meta = saved(folder)
    name = meta["config"]["name"]
    reply = await _api(bus, f"STREAM.RESTORE.{name}", {"config": meta["config"], "state": meta["state"]})
    answer: Mapping[str, Any] = {}
    with (folder / MESSAGES).open("rb") as file:
        while True:
            data = file.read(CHUNK_BYTES)
            got = await bus.requests.ask(reply["deliver_subject"], data, timeout_s=SILENT_S)
            if got is None:
                raise BusUnavailableError(f"{name}: the server does not go on with the copy")
            answer = json.loads(got.data) if got.data else {}
            error = api_error(answer)
            if error is not None:
                raise BusError(f"{name}: {error.description} ({error.code})")
            if not data:
                return answer


async def raise_to(bus: NatsBus, stream: str, subject: str, position: int) -> int:
    """Let the next message of a stream be numbered above `position`; returns the last number. Nobody may use it yet.

    JetStream gives numbers only to messages, so messages on `subject` are stored. They are to be purged, from the
    stream and from its mirrors, once each mirror has them: one that finds them gone stays below.
    """
    info = await bus.streams.info(stream)
    assert info is not None, stream
    last: int = info["state"]["last_seq"]
    while last < position:
        count = min(500, position - last)
        tries = [bus.requests.ask(subject, b"", timeout_s=SILENT_S) for _ in range(count)]
        for got in await asyncio.gather(*tries):
            if got is None:
                raise BusUnavailableError(f"{stream}: no receipt within {SILENT_S:g} s")
            receipt = json.loads(got.data)
            error = api_error(receipt)
            if error is not None:
                raise BusError(f"{stream}: {error.description} ({error.code})")
            last = max(last, receipt["seq"])
    return last


async def purge_subject(bus: NatsBus, stream: str, subject: str) -> None:
    """Remove every message of one subject."""
    await _api(bus, f"STREAM.PURGE.{stream}", {"filter": subject})


@asynccontextmanager
async def _chunks(bus: NatsBus) -> AsyncIterator[tuple[str, asyncio.Queue[tuple[bytes, str, str]]]]:
    """A subject of our own, and what arrives there: data, whom to acknowledge it to, and a status in its place.

    The server sends no more than a window without acknowledgement, so what waits here is bounded by that.
    """
    queue: asyncio.Queue[tuple[bytes, str, str]] = asyncio.Queue()
    subject = f"{bus.connection.inbox}.snapshot"  # one copy at a time on a connection

    def receive(_subject: str, reply: bytes, data: bytes, header_block: bytes | None) -> None:
        status = header_block.split(b"\r\n", 1)[0].removeprefix(b"NATS/1.0").strip() if header_block else b""
        queue.put_nowait((data, reply.decode(), status.decode()))

    sid = bus.connection.subscribe(subject, receive)
    try:
        yield subject, queue
    finally:
        bus.connection.unsubscribe(sid)


@asynccontextmanager
async def _in_time(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(SILENT_S):
            yield
    except TimeoutError:
        raise BusUnavailableError(f"{what} for {SILENT_S:g} s") from None


async def _api(bus: NatsBus, endpoint: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Asked once only: a repeat would begin a second copy."""
    subject = f"{bus.requests.api_prefix}.{endpoint}"
    answer = await bus.requests.ask(subject, json.dumps(question).encode(), timeout_s=SILENT_S)
    if answer is None or not answer.data:
        raise BusUnavailableError(f"{endpoint}: no answer within {SILENT_S:g} s")
    reply: Mapping[str, Any] = json.loads(answer.data)
    error = api_error(reply)
    if error is not None:
        raise BusError(f"{endpoint}: {error.description} ({error.code})")
    return reply
