"""What a server sends is read the same however the link cuts it."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError

from treeward.bus.parser import Parser

Said = tuple[Any, ...]


class Hearer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.at_error: Callable[[], None] = lambda: None

    def deliver(self, sid: int, subject: bytes, reply: bytes, data: bytes, header_block: bytes | None) -> None:
        self.said.append((sid, subject, reply, data, header_block))

    async def _process_ping(self) -> None:
        self.said.append(("ping",))

    async def _process_pong(self) -> None:
        self.said.append(("pong",))

    async def _process_info(self, info: Any) -> None:
        self.said.append(("info", info))

    async def _process_err(self, err_msg: str) -> None:
        self.said.append(("error", err_msg))
        self.at_error()


def written(said: Said) -> bytes:
    """As the server writes it."""
    match said:
        case ("ping",):
            return b"PING\r\n"
        case ("pong",):
            return b"PONG\r\n"
        case ("info", _):
            return b'INFO {"max_payload": 1048576} \r\n'
        case ("error", text):
            return b"-ERR %s\r\n" % text.encode()
    sid, subject, reply, data, header_block = said
    words = [subject, b"%d" % sid, *([reply] if reply else [])]
    if header_block is None:
        return b"MSG %s %d\r\n%s\r\n" % (b" ".join(words), len(data), data)
    sizes = b"%d %d" % (len(header_block), len(header_block) + len(data))
    return b"HMSG %s %s\r\n%s%s\r\n" % (b" ".join(words), sizes, header_block, data)


word = st.text(alphabet="ab.$\x0b\x0c\x00é", min_size=1, max_size=12).map(str.encode)
body = st.binary(max_size=40) | st.just(b"\r\nMSG a 1 0\r\n\r\n") | st.binary(min_size=300, max_size=300)
headers = st.none() | st.sampled_from([b"NATS/1.0\r\n\r\n", b"NATS/1.0 100\r\nNats-Last-Stream: 4\r\n\r\n"])
message = st.tuples(st.integers(0, 10**6), word, st.just(b"") | word, body, headers)
control: st.SearchStrategy[Said] = st.sampled_from(
    [("ping",), ("pong",), ("info", {"max_payload": 1048576}), ("error", "'permissions violation'")]
)


def heard(pieces: list[bytes]) -> list[Said]:
    hearer = Hearer()
    parser = Parser(hearer)

    async def hear() -> None:
        for piece in pieces:
            await parser.parse(piece)

    asyncio.run(hear())
    return hearer.said


@given(st.lists(message | control, max_size=8), st.lists(st.integers(0, 2000), max_size=12))
def test_what_was_sent_is_heard_in_order_wherever_the_link_cuts_it(sent: list[Said], cuts: list[int]) -> None:
    stream = b"".join(written(said) for said in sent)
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert heard([stream[begin:end] for begin, end in pairwise(at)]) == sent


@given(st.lists(message | control, min_size=1, max_size=3))
def test_a_byte_at_a_time_is_enough(sent: list[Said]) -> None:
    stream = b"".join(written(said) for said in sent)
    assert heard([stream[at : at + 1] for at in range(len(stream))]) == sent


@pytest.mark.parametrize("line", [b"HELLO\r\n", b"\r\n", b"MSG a 1 many\r\n", b"HMSG a 1 no 2\r\n", b"MSG\r\n"])
def test_what_is_no_protocol_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        heard([line])


def test_nothing_of_a_link_that_was_given_up_is_heard() -> None:
    hearer = Hearer()
    parser = Parser(hearer)
    hearer.at_error = parser.reset
    asyncio.run(parser.parse(b"-ERR 'stale'\r\nPING\r\nMSG a 1 1\r"))
    asyncio.run(parser.parse(b"PONG\r\n"))
    assert hearer.said == [("error", "'stale'"), ("pong",)]
