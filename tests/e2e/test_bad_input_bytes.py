"""What no client library would send: subjects and bodies of arbitrary bytes, and garbage on the inner subjects."""

import asyncio
import json
import os
import socket
import time
from collections import Counter
from random import Random

import pytest
from tests.support.until import until
from tests.support.user import User

from treeward.bus.interface import Draft
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

RANDOM_BODIES = int(os.environ.get("TREEWARD_RANDOM_BODIES", "20000"))
WAVE = 5_000
FRAGMENTS = (
    b'{"operation":"create"}', b'{"operation":"destroy"', b'"spec":', b"{", b"}", b"[", b"]", b":", b",", b'"', b"null",
    b"true", b"1e400", b"-0", b"9" * 40, b"\\u0000", b"\\ud800", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"NaN", b" ",
    b'"after":[1]', b'"ticket":0', b'"deadline":"2020-01-01T00:00:00Z"', b'"labels":{"a":"b"}', b"\n", b"\r\n",
)  # fmt: skip

STRANGE = {
    "star": b"vm.*", "greater": b"vm.>", "star in place of the kind": b"*.web-1", "not UTF-8": b"vm.\xff\xfe",
    "half a letter": b"vm.x\xc3", "control characters": b"vm.\x00\x01\x7f", "white space to some": b"vm.a\x0bb\x0cc",
    "an emoji": "vm.🦔".encode(), "quotes": b"vm.\"'\\", "percent": b"vm.%2A", "a long one": b"vm." + b"y" * 900,
}  # fmt: skip


class RawClient:
    """Speaks the client protocol by hand."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self._socket.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB raw.inbox 1\r\n')

    def submit(self, subject: bytes, body: bytes) -> int:
        """Publish with a reply subject and return the ticket of the receipt."""
        self._socket.sendall(b"PUB %s raw.inbox %d\r\n%s\r\n" % (subject, len(body), body))
        while not self._lines.readline().startswith(b"MSG "):
            pass
        return int(json.loads(self._lines.readline())["seq"])

    def flood(self, messages: list[tuple[bytes, bytes]]) -> None:
        """Publish without waiting, and return when the server has read all of it."""
        block = b"".join(b"PUB %s %d\r\n%s\r\n" % (subject, len(body), body) for subject, body in messages)
        self._socket.sendall(block + b"PING\r\n")
        while self._lines.readline() != b"PONG\r\n":
            pass

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def raw(user: User) -> RawClient:
    return RawClient(int(user.centre.url.rpartition(":")[2]))


@pytest.mark.parametrize("name", STRANGE)
async def test_a_subject_of_strange_bytes_is_answered_and_stops_nobody(user: User, raw: RawClient, name: str) -> None:
    await user.done("vm.before", "create")
    ticket = raw.submit(b"tw.work.zone-a." + STRANGE[name], b'{"operation":"create"}')
    raw.close()
    event = await user.outcome(ticket)
    assert (event.type, "must be 1 to 64 of the characters" in (event.reason or "")) == ("rejected", True), event
    await user.done("vm.before", "destroy")


@pytest.mark.timeout(600)
async def test_random_bodies_are_each_rejected_once_while_good_units_pass_between_them(
    user: User, raw: RawClient
) -> None:
    """Waves that come faster than they are answered; between them another resource is created and destroyed.

    `TREEWARD_RANDOM_BODIES` says how many in all: 100,000 take a minute or more.
    """
    random = Random(20261123)
    before = await user.bus.state(streams.work("zone-a"))
    assert before is not None
    began_s = time.monotonic()
    good: list[Event] = []
    slowest_s = 0.0
    for start in range(0, RANDOM_BODIES, WAVE):
        raw.flood([
            (b"tw.work.zone-a.vm.noise-%d" % (number % 200), _random_body(random))
            for number in range(start, start + WAVE)
        ])  # fmt: skip
        submitted_s = time.monotonic()
        await until(lambda: len(user.outcomes) >= start, "the wave before", timeout_s=60)  # noqa: B023  asked at once
        good.append(await user.done("vm.calm", "destroy" if len(good) % 2 else "create"))
        slowest_s = max(slowest_s, time.monotonic() - submitted_s)
    raw.close()
    last = good[-1].ticket
    assert last is not None
    noise = set(range(before.last + 1, last)) - {event.ticket for event in good}
    assert len(noise) == RANDOM_BODIES
    await until(lambda: len(user.outcomes) >= len(noise) + len(good), "an outcome of each", timeout_s=60)
    took_s = time.monotonic() - began_s
    print(f"{RANDOM_BODIES} random bodies answered in {took_s:.1f} s; a good unit behind {WAVE}: {slowest_s:.1f} s")
    assert all(len(user.outcomes[ticket]) == 1 for ticket in noise)
    assert Counter(user.outcomes[ticket][0].type.value for ticket in noise) == {"rejected": RANDOM_BODIES}
    assert all(user.outcomes[ticket][0].reason for ticket in noise)
    assert not user.books("SELECT 1 FROM calls WHERE resource LIKE 'noise-%' AND ticket IS NOT NULL")


def _random_body(random: Random) -> bytes:
    """Never a unit, at whatever depth that shows: it is no JSON, or has an unknown field, or a number that is none."""
    chance = random.random()
    if chance < 0.5:
        return random.randbytes(random.randrange(120))
    glued = b"".join(random.choices(FRAGMENTS, k=random.randrange(12)))
    if chance < 0.7:
        return glued + b"~"
    if chance < 0.85:
        return b'{"operation":"create","surprise":' + (glued or b"1") + b"}"
    return b'{"operation":"create","spec":{"cpus":' + glued + b"}}"


INNER = (
    "tw.mailbox.zone-a.a1.vm.calm", "tw.mailbox.zone-a.zone.vm.calm", "tw.mailbox.zone-a.nowhere.vm.calm",
    "tw.presence.pod-agent.nobody", "tw.presence.zone-supervisor.nobody", "tw.presence.orchestrator.nobody",
    "tw.event.zone-a.pod.a1.claimed", "tw.event.zone-a.zone.zone-a.claimed", "tw.event.root.zone.root.claimed",
    "tw.api.state.zone-a", "tw.api.explain.zone-a", "tw.api.tree.zone-a", "tw.api.queued.zone-a",
    "tw.owner.explain.zone-a.a1", "tw.owner.explain.zone-a.zone", "tw.owner.queued.zone-a.dispatcher",
)  # fmt: skip
GARBAGE = (
    b"",
    b"garbage",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"7",
    b'"x"',
    b"{}",
    b'{"service":"pod-agent"}',
    b"{" * 5000,
)


async def test_garbage_on_the_inner_subjects_harms_nobody(user: User, raw: RawClient) -> None:
    """Whoever may publish there can lie; but what cannot be read is dropped, by every program that hears it."""
    instances = await _instances(user)
    assert len(instances) == 4
    inner = [*INNER, *(f"tw.control.{instance}" for instance in instances)]
    raw.flood([(subject.encode(), body) for subject in inner for body in GARBAGE])
    raw.close()
    await user.done("vm.calm", "create")
    await user.done("vm.calm", "stop")
    await user.done("vm.calm", "destroy")
    assert await _instances(user) == instances


@pytest.mark.parametrize("branch", ["zone-a.pod.a1", "zone-a.zone.zone-a", "root.zone.root"])
async def test_a_claim_that_cannot_be_read_costs_its_branch_a_new_owner(user: User, branch: str) -> None:
    """Whoever may write into the log can fence an owner, with any bytes; the branch is claimed anew behind them."""
    zone = branch.partition(".")[0]
    garbage = await user.bus.append_expecting(
        streams.log(zone), Draft(f"tw.log.{branch}.claimed", b"\xffgarbage"), subject="tw.log.x.x.x.x", position=0
    )
    assert isinstance(garbage, int)

    async def claimed_anew() -> bool:
        last = await user.bus.last(streams.log(zone), f"tw.log.{branch}.claimed")
        return last is not None and last.position > garbage

    async with asyncio.timeout(30):
        await user.done("vm.claimed", "create")  # an owner notices when it appends
        await user.raw("vm.claimed", b"noise")
        if zone == "root":
            await user.bus.submit("tw.work.root.zone.nothing", b"noise")
        await until(claimed_anew)
    await user.done("vm.claimed", "destroy")
    await user.done("vm.claimed", "create")
    await user.done("vm.claimed", "destroy")


async def _instances(user: User) -> set[str]:
    """Who says that it is there, and holds what it should."""
    heard: set[str] = set()

    def hear(_subject: str, data: bytes, _headers: object) -> None:
        if b'"holds":[{' in data:
            heard.add(json.loads(data)["instance"])

    subscription = await user.bus.subscribe("tw.presence.>", hear)
    await until(lambda: len(heard) == 4, "four instances that own something")
    await subscription.close()
    return heard


async def test_messages_that_can_be_read_but_break_the_take_rule_are_not_taken(user: User) -> None:
    """Another epoch, an earlier or later life, a gap before it: none is called, and what is real goes on."""
    await user.done("vm.calm", "create")
    life, pod = user.seen("vm.calm", "ready")[-1].life, user.events["vm.calm"][-1].pod
    assert pod is not None
    claim = await user.bus.last(streams.log("zone-a"), subjects.claim_of_pod("zone-a", pod))
    assert claim is not None
    message = {"operation": "destroy", "ticket": 10**9, "sent_s": 0.0}
    for epoch, its_life, previous in (
        (claim.position - 1, life, 0), (claim.position + 1, life, 0), (claim.position, life - 1, 0),
        (claim.position, life + 1, 0), (claim.position, life, 10**8),
    ):  # fmt: skip
        body = json.dumps({**message, "epoch": epoch, "life": its_life, "previous": previous}).encode()
        user.bus.publish(subjects.mailbox("zone-a", pod, "vm.calm"), body)
    stopped = await user.done("vm.calm", "stop")
    destroyed = await user.done("vm.calm", "destroy")
    assert user.effects("vm.calm")[-2:] == [(stopped.ticket, "stop"), (destroyed.ticket, "destroy")]
    assert not user.seen("vm.calm", "crashed")
