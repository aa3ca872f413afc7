"""Many questions at once over one inbox: an integer names each, a dict holds what to do with its answer.

This replaces nats-py's request and publish_async, whose futures are never resolved when the link is lost.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from treeward.bus.connection import Connection
from treeward.bus.interface import BusUnavailableError
from treeward.bus.wire import parse_status

NO_RESPONDERS: Final = 503
RETRY_WAIT_S: Final = 0.1


class Answer(NamedTuple):
    """What came back: `status` is 0 for content, 503 if nobody listens, 404 and others from direct gets."""

    data: bytes
    header_block: bytes | None
    status: int


Continuation = Callable[[Answer | None], None]
"""Called once with the answer, or with None when the link was lost before there was one."""


class Requests:
    """The open questions of one connection. All are failed when the link is lost: none waits for what cannot come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.api_prefix = connection.api_prefix
        self._prefix = f"{connection.inbox}.q."
        self._open: dict[int, Continuation] = {}
        self._tokens = itertools.count()
        connection.subscribe(f"{self._prefix}*", self._receive)
        connection.on_change(self._change)

    def reserve(self, continuation: Continuation) -> tuple[int, str]:
        """A token and the reply subject whose answer goes to `continuation`."""
        token = next(self._tokens)
        self._open[token] = continuation
        return token, f"{self._prefix}{token}"

    def forget(self, token: int) -> None:
        """Ignore the answer, should it still come."""
        self._open.pop(token, None)

    def send(
        self, subject: str, data: bytes, continuation: Continuation, headers: Mapping[str, str] | None = None
    ) -> int:
        """Ask; returns the token. Not connected: the continuation is called soon, with None."""
        token, reply = self.reserve(continuation)
        if not self._connection.publish(subject, data, headers, reply):
            asyncio.get_running_loop().call_soon(self._fail, token)
        return token

    async def ask(
        self, subject: str, data: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Answer | None:
        """Ask once; None if there was no answer in time or the link was lost. Cancellation forgets the question."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        token = self.send(subject, data, partial(_resolve, future), headers)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self.forget(token)

    async def ask_until(
        self,
        subject: str,
        data: bytes,
        *,
        timeout_s: float,
        attempt_s: float = 1.0,
        headers: Mapping[str, str] | None = None,
        good: Callable[[Answer], bool],
    ) -> Answer:
        """Ask again and again until an answer is `good`; raises BusUnavailableError after `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + timeout_s
        heard: Answer | None = None
        while (left_s := give_up_s - loop.time()) > 0:
            answer = await self.ask(subject, data, timeout_s=min(attempt_s, left_s), headers=headers)
            if answer is not None:
                if good(answer):
                    return answer
                heard = answer
            await asyncio.sleep(min(RETRY_WAIT_S, max(0.0, give_up_s - loop.time())))
        said = "nothing" if heard is None else f"{heard.status} {heard.data[:200].decode(errors='replace')}"
        raise BusUnavailableError(f"no usable answer to {subject} within {timeout_s} s; last heard: {said}")

    def _receive(self, subject: str, _reply: bytes, data: bytes, header_block: bytes | None) -> None:
        continuation = self._open.pop(int(subject[len(self._prefix) :]), None)
        if continuation is not None:
            continuation(Answer(data, header_block, parse_status(header_block)[0] if header_block else 0))

    def _change(self, connected: bool) -> None:
        if not connected:
            lost, self._open = self._open, {}
            for continuation in lost.values():
                continuation(None)

    def _fail(self, token: int) -> None:
        continuation = self._open.pop(token, None)
        if continuation is not None:
            continuation(None)


def _resolve(future: asyncio.Future[Answer | None], answer: Answer | None) -> None:
    if not future.done():
        future.set_result(answer)


class ApiError(NamedTuple):
    """JetStream's own error: `code` is its `err_code`."""

    code: int
    description: str


STREAM_NOT_FOUND: Final = 10059
_TRANSIENT: Final = frozenset({
    10008,  # JetStream temporarily unavailable
    10009,  # no suitable peers for placement
    10010,  # cluster not available
    10023,  # insufficient resources, also while a server recovers
    10118,  # stream is offline
    10180,  # the replica that answered has not got that far
})  # fmt: skip


def api_error(reply: Mapping[str, Any]) -> ApiError | None:
    """The error in an answer of `$JS.API`; None if it is none."""
    error = reply.get("error")
    if error is None:
        return None
    return ApiError(error.get("err_code", error.get("code", 0)), error.get("description", ""))


def is_settled(answer: Answer) -> bool:
    """Whether an answer of `$JS.API` is worth believing: not "no responders", nor an error that passes.

    Nor what a single replica says of a stream that has no leader: ten seconds after their start they all answer then.
    """
    if answer.status == NO_RESPONDERS:
        return False
    reply = json.loads(answer.data) if answer.data else {}
    if "state" in reply and reply.get("cluster") and not reply["cluster"].get("leader"):
        return False
    error = api_error(reply)
    return error is None or error.code not in _TRANSIENT
