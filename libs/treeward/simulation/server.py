"""The bus itself, in memory: streams, mirrors, buckets filled from a log, republishing, core subscriptions, services.

What is durable here is durable for good: programs crash, the bus only loses connections, answers and mailboxes, is
slow, and lets mirrors, buckets and replicas lag. (What NATS itself does when its servers die is tried on real ones.)
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from treeward.bus.interface import (
    AppendResult,
    Draft,
    Guard,
    NoSuchZoneError,
    Receipt,
    Refused,
    Stored,
    StreamDiffersError,
)
from treeward.schemas.streams import Retention, streams_of
from treeward.simulation.link import Link
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.streams import Stream, matches
from treeward.simulation.trace import Trace

Headers = Mapping[str, str] | None
CONSUMER_GONE_S = 3.0
"""A reader notices within so long that its consumer is gone."""
EPOCH_S = 1_700_000_000.0
"""Unix time at which every run begins."""


class UnansweredError(Exception):
    """A stream has no leader: nobody answers the question."""


@dataclass(slots=True)
class Trouble:
    """How likely things go wrong on the way, each in [0, 1]; the faults of a run turn these up and down."""

    lose_answer: float = 0.0
    """The answer to an append or a submit is lost although the connection lives."""
    doubt: float = 0.0
    """An append is not settled by repeating it."""
    passing: float = 0.0
    """The server refuses an append for a passing reason: it is sent again, behind others."""
    mailbox_lost: float = 0.0
    mailbox_doubled: float = 0.0
    mailbox_late: float = 0.0
    replica_lag: float = 0.0
    """A direct get is answered by a replica that is behind."""
    unavailable: float = 0.0
    """A question is not answered at all."""


class Subscriber:
    """A core subscription."""

    def __init__(self, subject: str, link: Link, deliver: Callable[[str, bytes, Headers], None]) -> None:
        self.subject = subject
        self.link = link
        self.deliver = deliver


class Service:
    """Somebody who answers requests."""

    def __init__(self, subject: str, link: Link, answer: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        self.subject = subject
        self.link = link
        self.answer = answer


class BusServer:
    """Everything that all clients share."""

    def __init__(self, loop: VirtualLoop, chance: Random, trace: Trace) -> None:
        self.loop = loop
        self.chance = chance
        self.trace = trace
        self.trouble = Trouble()
        self.streams: dict[str, Stream] = {}
        self.subscribers: dict[Subscriber, None] = {}
        self.services: dict[Service, None] = {}
        self.on_stored: list[Callable[[Stream, Stored], None]] = []
        """Those who watch and judge while the run goes on."""
        self.on_purged: list[Callable[[Stream, list[Stored]], None]] = []
        self.leaderless: dict[str, list[Callable[[], None]]] = {}
        """Mailbox stream without a leader -> readers that wait for one."""
        self._stalled: dict[str, list[Stored]] = {}
        """Stream (mirror or bucket) -> what it should have copied by now."""
        self._takes: dict[str, Stream | None] = {}

    def now_s(self) -> float:
        """Unix seconds by the servers' clocks."""
        return EPOCH_S + self.loop.now_s

    # streams

    def provision(self, zone: str, retention: Retention) -> tuple[str, ...]:
        """Make what is missing of a zone's streams."""
        made = []
        for spec in streams_of(zone, retention):
            if spec.name in self.leaderless:
                raise UnansweredError
            known = self.streams.get(spec.name)
            if known is None:
                self.streams[spec.name] = Stream(spec, self.now_s())
                made.append(spec.name)
            elif known.spec != spec:
                raise StreamDiffersError(f"{spec.name}: is {known.spec}, wanted {spec}")
        self._takes.clear()
        return tuple(made)

    def stream(self, name: str) -> Stream:
        """A stream; raises NoSuchZoneError, and UnansweredError if it has no leader."""
        if name in self.leaderless:
            raise UnansweredError
        stream = self.streams.get(name)
        if stream is None:
            raise NoSuchZoneError(f"no stream {name}")
        return stream

    def taker_of(self, subject: str) -> Stream | None:
        """The stream that stores what is published on a subject."""
        if subject not in self._takes:
            takers = (
                each for each in self.streams.values() if any(matches(taken, subject) for taken in each.spec.subjects)
            )
            self._takes[subject] = next(takers, None)
        return self._takes[subject]

    def append(self, stream_name: str, draft: Draft, guard: Guard | None, message_id: str | None) -> AppendResult:
        """Store one message; a known id gives the position that it has."""
        stream = self.streams.get(stream_name)
        if stream is None or stream_name in self.leaderless:
            return Refused(503, "no responders")
        before = stream.last
        result = stream.append(draft, self.now_s(), guard=guard, message_id=message_id)
        if isinstance(result, int):
            if stream.last > before:
                self._stored(stream, stream.messages[result])
        else:
            self.trace.add("refused", stream_name, draft.subject, str(guard.position if guard else 0))
        return result

    def submit(self, subject: str, data: bytes, headers: Headers, message_id: str | None) -> Receipt:
        """Store a unit; raises NoSuchZoneError."""
        stream = self.taker_of(subject)
        if stream is None:
            raise NoSuchZoneError(f"{subject}: no stream takes it")
        known = stream.ids.get(message_id) if message_id is not None else None
        if known is not None:
            return Receipt(stream.spec.name, known, True)
        result = self.append(stream.spec.name, Draft(subject, data, headers), None, message_id)
        assert isinstance(result, int), "nothing guards WORK"
        return Receipt(stream.spec.name, result, False)

    def last(self, stream_name: str, subject_filter: str, at_least: int) -> Stored | None:
        """The last message on a subject, from a replica that has `at_least`, and perhaps not much more."""
        stream = self.stream(stream_name)
        up_to = None
        if self.trouble.replica_lag and self.chance.random() < self.trouble.replica_lag and stream.last > at_least:
            up_to = max(at_least, self.chance.choice((stream.last - 1, self.chance.randint(at_least, stream.last))))
        return stream.last_matching(subject_filter, up_to=up_to)

    def purge(self, stream_name: str, below: int, subject: str | None = None) -> None:
        """Remove everything below a position, or only what is on one subject."""
        stream = self.stream(stream_name)
        removed = stream.purge(below, subject)
        if removed:
            self.trace.add("purged", stream_name, str(below), *([subject] if subject is not None else []))
            for watch in self.on_purged:
                watch(stream, removed)

    def wipe(self, stream_name: str) -> None:
        """What a memory stream holds is lost."""
        stream = self.streams.get(stream_name)
        if stream is not None:
            stream.wipe(self.now_s())

    def lose_leader(self, stream_name: str) -> None:
        """Too few of those are there that have copies of a stream: it answers nothing and stores nothing."""
        self.leaderless.setdefault(stream_name, [])

    def elect(self, stream_name: str) -> None:
        """They are back: it goes on with what it had."""
        for make_consumer in self.leaderless.pop(stream_name, ()):
            make_consumer()

    def make_mailbox_anew(self, stream_name: str) -> None:
        """Delete a mailbox and make it again: its readers find out within a while."""
        stream = self.streams.get(stream_name)
        if stream is None:
            return
        self.trace.add("made anew", stream_name)
        stream.wipe(self.now_s())
        for consumer in stream.consumers:
            self.loop.call_later(self.chance.random() * CONSUMER_GONE_S, consumer.gone, context=self.loop.world)
        stream.consumers.clear()
        self.elect(stream_name)

    # core

    def publish(self, subject: str, data: bytes, headers: Headers = None) -> None:
        """To whoever listens, and into the stream that takes the subject."""
        for subscriber in [each for each in self.subscribers if matches(each.subject, subject)]:
            self._deliver(subscriber, subject, data, headers)
        stream = self.taker_of(subject)
        if stream is not None:
            if stream.spec.storage == "memory":
                self._into_mailbox(stream, Draft(subject, data, headers))
            else:
                self.append(stream.spec.name, Draft(subject, data, headers), None, (headers or {}).get("Nats-Msg-Id"))

    def publish_in_minority(self, subject: str, data: bytes, headers: Headers) -> None:
        """To those who listen on the servers that are cut off from the others."""
        for subscriber in [each for each in self.subscribers if matches(each.subject, subject)]:
            if subscriber.link.minority_since_s is not None:
                subscriber.link.call_program(partial(subscriber.deliver, subject, data, headers))

    def stall(self, stream_name: str) -> None:
        """A mirror or bucket stands still."""
        self._stalled.setdefault(stream_name, [])

    def resume(self, stream_name: str) -> None:
        """It goes on where it stood."""
        for stored in self._stalled.pop(stream_name, ()):
            self._copy(self.streams[stream_name], stored)

    # inside

    def _into_mailbox(self, stream: Stream, draft: Draft) -> None:
        """Mailboxes may lose, double and reorder."""
        trouble, chance = self.trouble, self.chance
        if trouble.mailbox_lost and chance.random() < trouble.mailbox_lost:
            return
        if trouble.mailbox_doubled and chance.random() < trouble.mailbox_doubled:
            self.loop.call_later(
                chance.random() * chance.choice((0.01, 1.0, 20.0)),
                self.append,
                stream.spec.name,
                draft,
                None,
                None,
                context=self.loop.world,
            )
        if trouble.mailbox_late and chance.random() < trouble.mailbox_late:
            self.loop.call_later(
                chance.random() * chance.choice((0.01, 1.0, 20.0)),
                self.append,
                stream.spec.name,
                draft,
                None,
                None,
                context=self.loop.world,
            )
        else:
            self.append(stream.spec.name, draft, None, None)

    def _stored(self, stream: Stream, stored: Stored) -> None:
        for watch in self.on_stored:
            watch(stream, stored)
        if stream.spec.republish is not None:
            self._republish(stream, stored)
        for other in self.streams.values():
            if other.spec.mirror == stream.spec.name or (
                other.spec.source is not None and other.spec.source[0] == stream.spec.name
            ):
                if other.spec.name in self._stalled:
                    self._stalled[other.spec.name].append(stored)
                else:
                    self._copy(other, stored)

    def _republish(self, stream: Stream, stored: Stored) -> None:
        assert stream.spec.republish is not None
        subject = "tw.event." + stored.subject.removeprefix("tw.log.")
        headers = {
            **(stored.headers or {}),
            "Nats-Stream": stream.spec.name,
            "Nats-Subject": stored.subject,
            "Nats-Sequence": str(stored.position),
        }
        for subscriber in [each for each in self.subscribers if matches(each.subject, subject)]:
            self._deliver(subscriber, subject, stored.data, headers)

    def _copy(self, copy: Stream, stored: Stored) -> None:
        """A mirror keeps positions and misses what was purged before it came to it; a bucket names its origin."""
        if copy.spec.mirror is not None:
            if stored.position in self.streams[copy.spec.mirror].messages:
                copy.store(stored)
            return
        assert copy.spec.source is not None
        origin, _, destination = copy.spec.source
        tokens = stored.subject.split(".")
        subject = destination.replace("{{wildcard(1)}}", tokens[3]).replace("{{wildcard(2)}}", tokens[4])
        headers = {
            **(stored.headers or {}),
            "Nats-Stream-Source": f"{origin} {stored.position} {copy.spec.source[1]} {destination} {stored.subject}",
        }
        copy.store(Stored(copy.last + 1, subject, stored.data, headers, stored.time_s))

    def _deliver(self, subscriber: Subscriber, subject: str, data: bytes, headers: Headers) -> None:
        def arrive() -> None:
            if subscriber in self.subscribers:
                subscriber.deliver(subject, data, headers)

        subscriber.link.down(arrive)
