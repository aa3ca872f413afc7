"""One connection to a device on trial: lines out, lines in, whatever is in them."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ValidationError

from treeward.schemas.device import Answer

LINE_BYTES_MAX = 1 << 20


class RuleBrokenError(Exception):
    """The device did what the rule forbids; the sentence says what."""


class NoDeviceError(Exception):
    """Nobody listens at the address; nothing was tried."""


class Wire:
    """A connection on which requests are numbered and answers are found again by their number.

    Every answer waits at most `timeout_s`. `stray` holds lines that answer nothing that was asked.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, timeout_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self._seq = 0
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self.stray: list[str] = []
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, address: str, *, timeout_s: float) -> Self:
        """Connect to `tcp://HOST:PORT` or `unix:///PATH`; raises NoDeviceError."""
        parts = urlsplit(address)
        try:
            async with asyncio.timeout(timeout_s):
                if parts.scheme == "unix" and parts.path:
                    pair = await asyncio.open_unix_connection(parts.path, limit=2 * LINE_BYTES_MAX)
                elif parts.scheme == "tcp" and parts.hostname and parts.port:
                    pair = await asyncio.open_connection(parts.hostname, parts.port, limit=2 * LINE_BYTES_MAX)
                else:
                    raise NoDeviceError(f"{address!r} is no address; it must be tcp://HOST:PORT or unix:///PATH")
        except (OSError, TimeoutError, ValueError) as error:
            raise NoDeviceError(f"nobody serves {address}: {error or 'no connection in time'}") from None
        return cls(*pair, timeout_s=timeout_s)

    def number(self) -> int:
        """A `seq` that was not used on this connection."""
        self._seq += 1
        return self._seq

    def send(self, fields: dict[str, Any]) -> "asyncio.Future[Answer]":
        """Write one request at once; the future is its answer."""
        seq = self.number()
        answer = self.expect(seq)
        self.write(line_of({"seq": seq, **fields}))
        return answer

    def expect(self, seq: int) -> "asyncio.Future[Answer]":
        """The answer that will carry this number."""
        answer = self._waiting[seq] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        return answer

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(data)

    async def push(self) -> None:
        """Wait until what was written is with the system, so that a cut does not take it back."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()

    async def answer_of(self, waiting: "asyncio.Future[Answer]", what: str) -> Answer:
        """Wait for an answer; raises RuleBrokenError if it does not come or the connection ends before."""
        done, _ = await asyncio.wait([waiting], timeout=self._timeout_s)
        if not done:
            raise RuleBrokenError(f"no answer to {what} within {self._timeout_s:g} s")
        return waiting.result()

    def cut(self, *, reset: bool) -> None:
        """End the connection without reading what comes; `reset`: not even politely."""
        raw = self._writer.get_extra_info("socket")
        if reset and raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()

    async def close(self) -> None:
        """Give the connection up."""
        self._writer.close()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener
        self._lose("the connection was closed")

    async def _listen(self) -> None:
        why = "the device closed the connection"
        try:
            while line := await self._reader.readline():
                self._hear(line)
        except (OSError, ValueError) as error:
            why = f"the connection broke: {error}"
        self._lose(why)

    def _hear(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError as error:
            self._lose(f"{text[:200]!r} is no answer: {error.errors(include_url=False)[0]['msg']}")
            return
        waiting = self._waiting.pop(answer.seq, None)
        if waiting is None:
            self.stray.append(text[:200])
        elif not waiting.done():
            waiting.set_result(answer)

    def _lose(self, why: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RuleBrokenError(f"{why} before it answered"))
        self._waiting.clear()


def line_of(fields: dict[str, Any]) -> bytes:
    """One request as it is sent."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


async def close_all(wires: Iterable[Wire]) -> None:
    """Give all of them up."""
    for wire in wires:
        await wire.close()
