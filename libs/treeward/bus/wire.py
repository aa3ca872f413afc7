"""Bytes of the NATS protocol that are built or read once per message, so they are written for speed."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

HEADER_LINE = "NATS/1.0\r\n"
_TIME = re.compile(r"([^.]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_LINE_BREAKS = str.maketrans({"\r": " ", "\n": " "})


def header_lines(headers: Mapping[str, str]) -> str:
    """Headers as lines; a line break in a value becomes a blank, so that no value can smuggle in a header."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        text = "".join(
            f"{name.translate(_LINE_BREAKS)}: {value.translate(_LINE_BREAKS)}\r\n" for name, value in headers.items()
        )
    return text


def publish_command(subject: str, reply: str, data: bytes, lines: str = "") -> bytes:
    """The command that publishes `data`; `lines` are header lines, each ended by CR LF."""
    if not lines:
        return b"".join((f"PUB {subject} {reply} {len(data)}\r\n".encode(), data, b"\r\n"))
    block = f"{HEADER_LINE}{lines}\r\n".encode()
    size = len(block)
    return b"".join((f"HPUB {subject} {reply} {size} {size + len(data)}\r\n".encode(), block, data, b"\r\n"))


def parse_headers(block: bytes | None) -> dict[str, str] | None:
    """The headers of a message; None if it has none. A name that occurs twice has its last value."""
    if not block:
        return None
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers or None


class LazyHeaders(Mapping[str, str]):
    """The headers of a message, read when somebody asks: most of what is stored is read without a look at them.

    Who asks for one header has it looked for, and the others are not read.
    """

    __slots__ = ("_block", "_parsed")

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._parsed: dict[str, str] | None = None

    def _read(self) -> dict[str, str]:
        if self._parsed is None:
            self._parsed = parse_headers(self._block) or {}
        return self._parsed

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def get(self, name: str, default: Any = None, /) -> Any:
        """The header of that name, as `parse_headers` would have it."""
        _, found, behind = self._block.rpartition(f"\r\n{name}:".encode())
        return behind.partition(b"\r\n")[0].decode("utf-8", "replace").strip() if found else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())


def parse_status(block: bytes | None) -> tuple[int, str]:
    """`(status, description)` of the first header line; status 0 for a normal message."""
    if not block:
        return 0, ""
    first, _, _ = block.partition(b"\r\n")
    status, _, description = first[8:].strip().partition(b" ")
    return (int(status), description.decode("utf-8", "replace")) if status.isdigit() else (0, "")


def parse_delivery(reply: bytes) -> tuple[int, int, int]:
    """`(position, consumer sequence, time in ns)` of a `$JS.ACK` subject.

    It has 9 tokens, or, in its newer form, two more for domain and account, and maybe another.
    """
    tokens = reply.split(b".")
    if len(tokens) == 9:
        return int(tokens[5]), int(tokens[6]), int(tokens[7])
    return int(tokens[7]), int(tokens[8]), int(tokens[9])


def parse_time_s(text: str) -> float:
    """Unix seconds of a server's time stamp, which has up to nine digits behind the point."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"not a time stamp: {text!r}")
    whole, fraction, zone = found.groups(default="")
    seconds = int(datetime.fromisoformat(whole + zone).timestamp())
    return (seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))) / 1_000_000_000  # as a reader has it
