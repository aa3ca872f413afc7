"""An appender: what the owner of a branch says, in order, under the guard of its claim, and each thing once.

**How it is sent.** On a stream with one replica single messages are pipelined: the server checks the guard of each, and
an atomic batch would cost it a file. Only what the pipeline has no room for becomes a batch (`OVERFLOW_MIN`). On a
replicated stream the server refuses a second message under a guard while the first is being replicated (10164), so
there an appender has one atomic batch in flight, and what is appended meanwhile is the next batch; its guard stands on
the first message and is evaluated at the commit.

**Several drafts in one call** appear to readers as all of them or the first ones. In a batch they commit together. On
one replica the second is sent when the first is acknowledged (0.2 ms, while other calls go on), because a server may
refuse one of two pipelined messages for a passing reason and take the next; more than `CHAIN_MAX` of them are a batch.

**Order.** On one replica calls in flight may be stored in any order: one may be refused for a passing reason, or lost
with its link, and a later one taken. So a call is held back while another for the same resource is on its way: the last
event of a resource is never older than one before it, and no outcome stands without those that came first (H16).

**When an answer does not come** the same messages are sent again with the same message ids, on the same link after some
seconds or on the next one at once: the server recognizes what it has. On one replica it checks the guard before the
id, so a refusal of a repeated message proves nothing and what is stored is looked up. Repeating ends well before the
server forgets the ids; then the owner is in doubt.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from treeward.bus.connection import HEADROOM_BYTES, Connection
from treeward.bus.interface import AppendResult, BusError, Draft, Guard, InDoubt, Refused
from treeward.bus.requests import NO_RESPONDERS, Answer, Requests, api_error
from treeward.bus.shipment import Call, Encoder, Shipment
from treeward.bus.streams import Streams

PIPELINE_MAX: Final = 128
"""Shipments in flight on a stream with one replica."""
OVERFLOW_MIN: Final = 64
"""So many calls that the pipeline has no room for become a batch: one answer for all, and one write where the server
writes through (`sync_interval: always`: 10,000 appends a second instead of 2,500)."""
BATCH_MAX: Final = 1000
"""Messages in an atomic batch: the server's own limit."""
CHAIN_MAX: Final = 16
"""Drafts of one call that are sent one after the other rather than as a batch, on one replica: a batch costs the server
as much as about 40 single messages, and 3 ms."""
REPEAT_S: Final = 2.0
"""Without an answer for so long a shipment is sent again."""
RETRY_S: Final = 0.05
"""Pause before sending again what the server has refused for a passing reason."""
SETTLE_S: Final = 60.0
"""From the first sending on; at most half of the stream's duplicate window."""

_TOO_LARGE: Final = 10054
_ALREADY_COMMITTED: Final = 10201
_PASSING: Final = frozenset({
    10008,  # JetStream temporarily unavailable
    10010,  # cluster not available
    10118,  # stream is offline
    10158,  # the same message is being replicated: its first sending is on its way
    10164,  # another message under this guard is being replicated
    10167,  # too many requests
    10176,  # the batch is incomplete: other owners have as many open as the stream allows (50), or its leader changed
})  # fmt: skip

logger = logging.getLogger(__name__)


class GuardedAppender:
    """Appends to one stream under one guard; made by `NatsBus.appender`."""

    def __init__(self, connection: Connection, requests: Requests, streams: Streams, stream: str, guard: Guard) -> None:
        self._connection = connection
        self._requests = requests
        self._streams = streams
        self._stream = stream
        self._guard = guard
        self._encoder = Encoder(guard)
        self._next_id = 0
        self._waiting: deque[Call] = deque()
        self._unsettled: deque[Call] = deque()
        """Every call without a result, in the order in which `done` is owed; who waits for its turn holds up nobody."""
        self._held: dict[str, deque[Call]] = {}
        """On one replica: the resources with a call on its way, and the calls for them that wait for that."""
        self._in_flight: dict[int, Shipment] = {}
        self._batch: Shipment | None = None
        """The atomic batch in flight; nothing else is sent for the first time meanwhile."""
        self._failure: Refused | InDoubt | None = None
        self._closed = False
        self._replicated: bool | None = None
        self._settle_s = SETTLE_S
        self._ticker = connection.every_tick(self._tick)
        connection.on_change(self._change)
        self._beginning: asyncio.Task[None] = connection.spawn(self._learn_stream())

    # The interface

    def append(self, drafts: Sequence[Draft], done: Callable[[AppendResult], None]) -> None:
        """Append `drafts` together; `done` is called once, later, of calls for one resource in their order."""
        assert drafts, "nothing to append"
        if self._closed:
            return
        call = Call(drafts, done)
        self._unsettled.append(call)
        largest = len(drafts[0].data) if len(drafts) == 1 else max(len(draft.data) for draft in drafts)
        if self._failure is not None:
            call.result = self._failure
            asyncio.get_running_loop().call_soon(self._settle)
        elif largest + HEADROOM_BYTES > self._connection.payload_bytes_max:
            refused = Refused(_TOO_LARGE, f"a message of {largest} bytes is more than the server takes")
            asyncio.get_running_loop().call_soon(self._fail, refused)
        else:
            self._waiting.append(call)
            self._advance()

    def close(self) -> None:
        """Forget what waits; `done` of it is never called."""
        self._closed = True
        self._connection.forget_tick(self._ticker)
        self._connection.forget_change(self._change)
        self._beginning.cancel()
        for shipment in self._in_flight.values():
            self._recall(shipment)
        self._in_flight.clear()
        self._waiting.clear()
        self._held.clear()
        self._unsettled.clear()

    # Sending

    async def _learn_stream(self) -> None:
        while self._replicated is None:
            try:
                info = await self._streams.info(self._stream)
            except BusError as error:
                logger.info("appender waits for its stream", extra={"stream": self._stream, "error": str(error)})
                continue
            if info is None:
                self._fail(Refused(NO_RESPONDERS, f"no stream {self._stream}"))
                return
            config = info["config"]
            self._settle_s = min(SETTLE_S, config["duplicate_window"] / 1e9 / 2)
            self._replicated = config["num_replicas"] > 1
        self._advance()

    def _advance(self) -> None:
        """Send what may be sent now."""
        if self._replicated is None or not self._connection.connected:
            return
        if self._replicated:
            if self._waiting and not self._in_flight:
                self._ship(self._take_batch())
            return
        while self._may_go() and self._batch is None and len(self._in_flight) < PIPELINE_MAX:
            overflows = len(self._waiting) >= OVERFLOW_MIN
            self._ship(self._take_batch() if overflows else self._take_next())

    def _may_go(self) -> bool:
        """Whether the first call that waits may be sent; on one replica those that may not are put aside."""
        waiting = self._waiting
        if self._replicated:
            return bool(waiting)
        while waiting:
            call = waiting[0]
            if call.has_turn:
                return True
            held = self._held.get(call.resource)
            if held is None:
                self._held[call.resource] = deque()
                call.has_turn = True
                return True
            call.parked = True
            held.append(waiting.popleft())
        return False

    def _pass_turn(self, call: Call) -> None:
        """A call is stored: the next one for its resource may go, before those that came later."""
        held = self._held.get(call.resource)
        if held:
            following = held.popleft()
            following.has_turn = True
            self._waiting.appendleft(following)
            self._unsettled.append(following)
        elif held is not None:
            del self._held[call.resource]

    def _take_batch(self) -> Shipment:
        """What waits, up to the server's limit for one batch; a call that does not fit whole is the next batch's."""
        shipment = Shipment(self._next_id)
        while self._may_go():
            room = BATCH_MAX - len(shipment.drafts)
            if self._waiting[0].left > room and shipment.drafts:
                break
            call = self._waiting.popleft()
            shipment.load(call, min(call.left, room))
        return shipment

    def _take_next(self) -> Shipment:
        """The next part of one call: a single message, or a batch if the call is long."""
        shipment = Shipment(self._next_id)
        call = self._waiting.popleft()
        shipment.load(call, 1 if len(call.drafts) <= CHAIN_MAX else min(call.left, BATCH_MAX))
        return shipment

    def _ship(self, shipment: Shipment) -> None:
        """Send a shipment, for the first time or again."""
        now_s = asyncio.get_running_loop().time()
        if not shipment.first_sent_s:
            shipment.first_sent_s = now_s
            self._next_id += len(shipment.drafts)
            self._in_flight[shipment.first_id] = shipment
            if shipment.is_batch:
                self._batch = shipment
        shipment.sent_s = now_s
        shipment.token, reply = self._requests.reserve(partial(self._hear, shipment))
        for command in self._encoder.commands(shipment, reply):
            self._connection.send(command)

    # Hearing

    def _hear(self, shipment: Shipment, answer: Answer | None) -> None:
        shipment.token = None
        if answer is None:
            shipment.unanswered = True  # sent again when the link is back
            return
        if answer.status == NO_RESPONDERS:
            self._retry(shipment, Refused(NO_RESPONDERS, "no responders"))
            return
        reply = json.loads(answer.data)
        error = api_error(reply)
        if error is None:
            self._store(shipment, reply["seq"])
        elif error.code in _PASSING:
            self._retry(shipment, Refused(error.code, error.description))
        elif error.code == _ALREADY_COMMITTED or shipment.unanswered:
            self._connection.spawn(self._look_up(shipment, Refused(error.code, error.description)))
        else:
            self._fail(Refused(error.code, error.description))

    def _store(self, shipment: Shipment, last: int) -> None:
        """All of it is stored, its last message at position `last`; the members of a batch are adjacent."""
        if self._in_flight.pop(shipment.first_id, None) is None:
            return  # settled already, by an answer and by a look-up
        if self._batch is shipment:
            self._batch = None
        first = last - len(shipment.drafts) + 1
        for call, index in shipment.members:
            if call.left:
                self._waiting.appendleft(call)  # its next part, ahead of calls that have not begun
            else:
                call.result = first + index
                self._pass_turn(call)
        self._settle()
        self._advance()

    def _settle(self) -> None:
        unsettled = self._unsettled
        while unsettled:
            call = unsettled[0]
            if call.result is None and not call.parked:
                return
            unsettled.popleft()
            if call.parked:
                call.parked = False
            elif call.result is not None and not self._closed:
                call.done(call.result)

    def _fail(self, failure: Refused | InDoubt) -> None:
        """From here on everything has the same result: an owner that was refused or is in doubt does not reason."""
        if self._failure is not None or self._closed:
            return
        self._failure = failure
        for shipment in self._in_flight.values():
            self._recall(shipment)
        self._in_flight.clear()
        self._waiting.clear()
        for held in self._held.values():
            self._unsettled.extend(held)
        self._held.clear()
        for call in self._unsettled:
            if call.result is None:
                call.result = failure
        self._settle()

    # Again

    def _recall(self, shipment: Shipment) -> None:
        if shipment.token is not None:
            self._requests.forget(shipment.token)
            shipment.token = None
        if shipment.retry is not None:
            shipment.retry.cancel()
            shipment.retry = None

    def _retry(self, shipment: Shipment, refused: Refused) -> None:
        """Send again, soon, what the server has refused for a passing reason; give up like any other in time."""
        loop = asyncio.get_running_loop()
        if loop.time() - shipment.first_sent_s > self._settle_s:
            self._fail(InDoubt(refused.description) if shipment.unanswered else refused)
        else:
            shipment.retry = loop.call_later(RETRY_S, self._repeat, shipment)

    def _repeat(self, shipment: Shipment) -> None:
        self._recall(shipment)
        if self._connection.connected and shipment.first_id in self._in_flight:
            self._ship(shipment)

    def _change(self, connected: bool) -> None:
        if connected:
            for shipment in tuple(self._in_flight.values()):
                self._repeat(shipment)
            self._advance()

    def _tick(self, now_s: float) -> None:
        for shipment in tuple(self._in_flight.values()):
            if now_s - shipment.first_sent_s > self._settle_s:
                self._fail(InDoubt(f"no answer within {self._settle_s} s"))
                return
            if shipment.token is not None and now_s - shipment.sent_s > REPEAT_S:
                shipment.unanswered = True
                self._repeat(shipment)

    async def _look_up(self, shipment: Shipment, refused: Refused) -> None:
        """Find out whether a shipment whose answer was lost is stored, by the message ids of what is last there."""
        certainly_not = refused.code != _ALREADY_COMMITTED
        try:
            for index in range(len(shipment.drafts) - 1, -1, -1):
                draft = shipment.drafts[index]
                last = await self._streams.leader_get(self._stream, {"last_by_subj": draft.subject})
                if last is None:
                    continue
                if last.headers and last.headers.get("Nats-Msg-Id") == self._encoder.message_id(
                    shipment.first_id + index
                ):
                    self._store(shipment, last.position + len(shipment.drafts) - 1 - index)
                    return
                if last.position > self._guard.position:
                    certainly_not = False  # ours may lie below it
        except BusError as error:
            self._fail(InDoubt(f"{refused.description}; looking it up: {error}"))
            return
        if certainly_not:
            self._fail(refused)
        else:
            self._fail(InDoubt(f"{refused.description} ({refused.code}) after an answer was lost"))
