"""An appender on the in-memory bus: in order, under one guard, each thing once, and honest about what it cannot know.

It does what the appender on NATS does with one replica: messages are on their way at the same time, one may be refused
for a passing reason and come behind later ones, answers may be lost, and in the end the owner may be in doubt. Only
what is for one resource keeps its order: a call waits until the one before it is stored.
"""

from collections import deque
from collections.abc import Callable, Sequence

from treeward.bus.interface import AppendResult, Draft, Guard, InDoubt, Refused
from treeward.simulation.link import Link
from treeward.simulation.server import BusServer

REPEAT_S = 2.0
PASSING_S = 0.05
SETTLE_S = 20.0


class _Call:
    def __init__(
        self, drafts: Sequence[Draft], done: Callable[[AppendResult], None], number: int, first_sent_s: float
    ) -> None:
        self.drafts = drafts
        self.done = done
        self.number = number
        self.resource = drafts[0].subject.rpartition(".")[0]
        self.first_sent_s = first_sent_s
        self.result: AppendResult | None = None
        self.unanswered = False
        self.sendings = 0


class SimulatedAppender:
    """Appends to one stream under one guard; made by `SimulatedBus.appender`."""

    def __init__(self, server: BusServer, link: Link, stream: str, guard: Guard, name: str) -> None:
        self._server = server
        self._link = link
        self._stream = stream
        self._guard = guard
        self._name = name
        self._unsettled: deque[_Call] = deque()
        self._held: dict[str, deque[_Call]] = {}
        """Resources with a call on its way, and the calls for them that wait for that."""
        self._failure: Refused | InDoubt | None = None
        self._closed = False
        self._number = 0
        link.listeners.append(self._change)

    def append(self, drafts: Sequence[Draft], done: Callable[[AppendResult], None]) -> None:
        """Append `drafts` together; `done` is called once, later, in the order of the calls."""
        assert drafts, "nothing to append"
        if self._closed:
            return
        self._number += 1
        call = _Call(drafts, done, self._number, self._server.loop.now_s)
        self._unsettled.append(call)
        if self._failure is not None:
            call.result = self._failure
            self._link.call_program(self._settle)
        elif call.resource in self._held:
            self._held[call.resource].append(call)
        else:
            self._held[call.resource] = deque()
            self._send(call)

    def close(self) -> None:
        """Forget what waits; `done` of it is never called."""
        self._closed = True
        self._unsettled.clear()
        self._held.clear()
        if self._change in self._link.listeners:
            self._link.listeners.remove(self._change)

    # sending

    def _send(self, call: _Call) -> None:
        call.sendings += 1
        sending = call.sendings
        self._link.up(lambda: self._arrive(call))
        self._link.call_program(lambda: self._repeat(call, sending), REPEAT_S)

    def _repeat(self, call: _Call, sending: int) -> None:
        if self._closed or call.result is not None or call.sendings != sending:
            return
        if self._server.loop.now_s - call.first_sent_s > SETTLE_S:
            self._fail(InDoubt(f"no answer within {SETTLE_S} s"))
            return
        call.unanswered = True
        self._send(call)

    def _change(self, connected: bool) -> None:
        for call in list(self._unsettled):
            if call.result is None and call.sendings:
                call.unanswered = True
                if connected:
                    self._send(call)

    # at the server

    def _arrive(self, call: _Call) -> None:
        server, chance = self._server, self._server.chance
        trouble = server.trouble
        if trouble.passing and chance.random() < trouble.passing:
            self._link.down(lambda: self._hear_passing(call))
            return
        result: AppendResult = 0
        for index, draft in enumerate(call.drafts):
            result = server.append(self._stream, draft, self._guard, f"{self._name}-{call.number}-{index}")
            if not isinstance(result, int):
                break
        answer: AppendResult = result
        if isinstance(result, Refused) and call.unanswered:
            answer = self._look_up(call, result)
        if trouble.doubt and chance.random() < trouble.doubt:
            answer = InDoubt("the answer was lost, and repeating did not settle it")
        elif trouble.lose_answer and chance.random() < trouble.lose_answer:
            return
        self._link.down(lambda: self._hear(call, answer))

    def _look_up(self, call: _Call, refused: Refused) -> AppendResult:
        """Whether what was sent before is stored: a refusal of a repeated message proves nothing."""
        stream = self._server.stream(self._stream)
        last = stream.last_matching(call.drafts[-1].subject)
        if last is None:
            return refused
        stored = stream.ids.get(f"{self._name}-{call.number}-{len(call.drafts) - 1}")
        if stored is not None and stored == last.position:
            return stored
        return (
            InDoubt(f"{refused.description} after an answer was lost")
            if last.position > self._guard.position
            else refused
        )

    # hearing

    def _hear_passing(self, call: _Call) -> None:
        if not self._closed and call.result is None:
            self._link.call_program(
                lambda: None if self._closed or call.result is not None else self._send(call), PASSING_S
            )

    def _hear(self, call: _Call, result: AppendResult) -> None:
        if self._closed or call.result is not None:
            return
        if isinstance(result, int):
            call.result = result
            self._pass_turn(call)
            self._settle()
        else:
            self._fail(result)

    def _pass_turn(self, call: _Call) -> None:
        held = self._held[call.resource]
        if held:
            following = held.popleft()
            following.first_sent_s = self._server.loop.now_s
            self._send(following)
        else:
            del self._held[call.resource]

    def _fail(self, failure: Refused | InDoubt) -> None:
        """From here on everything has the same result."""
        if self._failure is not None or self._closed:
            return
        self._failure = failure
        self._held.clear()
        for call in self._unsettled:
            if call.result is None:
                call.result = failure
        self._settle()

    def _settle(self) -> None:
        while self._unsettled and self._unsettled[0].result is not None and not self._closed:
            call = self._unsettled.popleft()
            assert call.result is not None
            call.done(call.result)
