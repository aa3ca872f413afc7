"""What an appender sends at once: one message, or an atomic batch, always under the same message ids."""

from asyncio import TimerHandle
from collections.abc import Callable, Iterator, Sequence

from nats.nuid import NUID

from treeward.bus.interface import AppendResult, Draft, Guard
from treeward.bus.wire import header_lines, publish_command


class Call:
    """One `append`: its drafts, how many of them have been put on their way, and in the end its result."""

    __slots__ = ("done", "drafts", "has_turn", "parked", "resource", "result", "shipped")

    def __init__(self, drafts: Sequence[Draft], done: Callable[[AppendResult], None]) -> None:
        self.drafts = drafts
        self.done = done
        self.resource = drafts[0].subject.rpartition(".")[0]
        """Whose events these are: calls for one resource are stored in their order."""
        self.has_turn = False
        """Whether all calls for its resource before it are stored."""
        self.parked = False
        """Whether it gave up its place among those that are owed an answer; it gets another one with its turn."""
        self.shipped = 0
        self.result: AppendResult | None = None

    @property
    def left(self) -> int:
        """Drafts that have not been put on their way."""
        return len(self.drafts) - self.shipped


class Shipment:
    """Messages that are sent together, once or several times."""

    __slots__ = ("drafts", "first_id", "first_sent_s", "members", "retry", "sent_s", "token", "unanswered")

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self.drafts: list[Draft] = []
        self.members: list[tuple[Call, int]] = []
        """Each call in it, with the index of its last draft here."""
        self.token: int | None = None
        self.sent_s = 0.0
        self.first_sent_s = 0.0
        self.retry: TimerHandle | None = None
        self.unanswered = False
        """Whether a sending of it was lost: from then on a refusal does not prove that it is not stored."""

    @property
    def is_batch(self) -> bool:
        """Whether it is stored as a whole or not at all."""
        return len(self.drafts) > 1

    def load(self, call: Call, count: int) -> None:
        """Put the next `count` drafts of a call on their way."""
        self.drafts.extend(call.drafts[call.shipped : call.shipped + count])
        call.shipped += count
        self.members.append((call, len(self.drafts) - 1))


class Encoder:
    """Turns shipments into protocol commands, under one guard and with message ids that no other appender uses."""

    def __init__(self, guard: Guard) -> None:
        self._guard_lines = header_lines({
            "Nats-Expected-Last-Subject-Sequence": str(guard.position),
            "Nats-Expected-Last-Subject-Sequence-Subject": guard.subject,
        })  # fmt: skip
        self._id = f"{guard.position}-{NUID().next().decode()}"

    def message_id(self, number: int) -> str:
        """The id under which the server recognizes a message that it has."""
        return f"{self._id}-{number}"

    def commands(self, shipment: Shipment, reply: str) -> Iterator[bytes]:
        """The commands of one sending; the answer to the last one is the answer to all.

        A batch has its guard on the first message and gets a new batch id each time, so that what the server may still
        hold of an earlier sending is not taken for a part of it.
        """
        if not shipment.is_batch:
            yield self._command(shipment.drafts[0], shipment.first_id, self._guard_lines, reply)
            return
        batch, last = NUID().next().decode(), len(shipment.drafts)
        for number, draft in enumerate(shipment.drafts, start=1):
            lines = f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n"
            if number == 1:
                lines += self._guard_lines
            if number == last:
                lines += "Nats-Batch-Commit: 1\r\n"
            yield self._command(draft, shipment.first_id + number - 1, lines, reply if number == last else "")

    def _command(self, draft: Draft, number: int, lines: str, reply: str) -> bytes:
        lines = f"Nats-Msg-Id: {self._id}-{number}\r\n{lines}"
        if draft.never_expires:
            lines += "Nats-TTL: never\r\n"
        if draft.headers:
            lines += header_lines(draft.headers)
        return publish_command(draft.subject, reply, draft.data, lines)
