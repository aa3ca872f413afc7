"""The record of one address against a plain retelling of PROTOCOL table 4, over any sequence of requests."""

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.device import Remembered

LIVES = st.integers(1, 4)
OWNERS = st.sampled_from(["agent-1", "agent-2"])
TICKETS = st.integers(1, 9)


class Told(NamedTuple):
    """What a ticket was answered, as the one who called it was told."""

    ticket: int
    applied: bool
    reason: str | None


class AddressAtADevice(RuleBasedStateMachine):
    """Drives a record as a device does; keeps its own account of what took effect and what was told."""

    def __init__(self) -> None:
        super().__init__()
        self.remembers = 1
        self.record = DeviceRecord()
        self.accepted: list[tuple[int, str]] = []
        self.answered: list[Told] = []
        self.kept: list[Told] = []
        """What the last ones were answered, as many as are remembered."""
        self.running: tuple[int, int, str] | None = None
        self.began: set[int] = set()

    @initialize(remembers=st.integers(1, 4))
    def it_remembers_so_many(self, remembers: int) -> None:
        self.remembers = remembers
        self.record = DeviceRecord(remembers=remembers)

    def tell(self, told: Told) -> None:
        self.answered.append(told)
        self.kept.append(told)
        while len(self.kept) > self.remembers:
            del self.kept[0]

    def expected_common(self, life: int, owner: str) -> Decision | None:
        high = max(self.accepted, default=None)
        if high is not None and (life < high[0] or (life == high[0] and owner != high[1])):
            return Decision.FENCED
        if self.running is not None and (high is None or life > high[0]):
            return Decision.BUSY
        return None

    @rule(life=LIVES, owner=OWNERS)
    def synchronize(self, life: int, owner: str) -> None:
        decision = self.record.decide_synchronize(life=life, owner=owner)
        assert decision is (self.expected_common(life, owner) or Decision.ACCEPT)
        if decision is Decision.ACCEPT:
            self.record.become_accepted(life=life, owner=owner)
            self.accepted.append((life, owner))

    @rule(life=LIVES, owner=OWNERS, ticket=TICKETS)
    def call(self, life: int, owner: str, ticket: int) -> None:
        decision = self.record.decide_call(life=life, owner=owner, ticket=ticket)
        last = self.answered[-1].ticket if self.answered else 0
        if (common := self.expected_common(life, owner)) is not None:
            assert decision is common
        elif told := [told for told in self.kept if told.ticket == ticket]:
            assert decision is Decision.REMEMBERED
            known = self.record.recall(ticket)
            assert [(known.ticket, known.applied, known.reason)] == told
        elif ticket < last:
            assert decision is Decision.OLDER
        elif self.running is not None:
            assert decision is (Decision.JOIN if self.running[0] == ticket else Decision.BUSY)
        else:
            assert decision is Decision.RUN
        if decision is Decision.RUN:
            self.record.become_begun(life=life, owner=owner, ticket=ticket)
            self.accepted.append((life, owner))
            self.running = (ticket, life, owner)
            self.began.add(ticket)

    @precondition(lambda self: self.running is not None)
    @rule(applied=st.booleans())
    def the_call_is_answered(self, applied: bool) -> None:
        assert self.running is not None
        ticket = self.running[0]
        self.record.become_answered(applied=applied, reason=f"why not {ticket}")
        assert ticket > (self.answered[-1].ticket if self.answered else 0), "answered in the order of tickets"
        self.tell(Told(ticket, applied, None if applied else f"why not {ticket}"))
        self.running = None

    @precondition(lambda self: self.running is not None)
    @rule()
    def the_call_is_broken_off(self) -> None:
        self.record.become_broken_off()
        self.running = None

    @precondition(lambda self: self.running is not None)
    @rule()
    def the_call_turns_out_to_have_done_nothing(self) -> None:
        assert self.running is not None
        ticket = self.running[0]
        before = max(self.began - {ticket}, default=0)
        if before <= ticket:
            self.record.become_withdrawn(begun=before)
            self.began.discard(ticket)
            self.running = None

    @precondition(lambda self: self.running is None and max(self.began, default=0) > (self.answered or [(0,)])[-1][0])
    @rule()
    def what_ended_halfway_is_found_to_have_taken_effect(self) -> None:
        self.record.become_found_applied()
        self.tell(Told(max(self.began), True, None))

    @rule(remembers=st.integers(1, 4))
    def it_is_read_back_by_one_that_remembers_more(self, remembers: int) -> None:
        """What was forgotten before stays forgotten."""
        self.remembers = self.record.remembers = max(self.remembers, remembers)

    @invariant()
    def the_record_tells_what_happened(self) -> None:
        assert (self.record.high, self.record.owner) == max(self.accepted, default=(0, None))
        last = self.answered[-1] if self.answered else Told(0, False, None)
        assert (self.record.last, self.record.applied, self.record.reason) == last
        assert self.record.recent == tuple(Remembered(**told._asdict()) for told in self.kept[:-1])
        assert self.record.begun == max(self.began, default=0)
        assert self.record.in_progress == (None if self.running is None else self.running[0])

    @invariant()
    def one_life_has_one_owner_and_lives_only_rise(self) -> None:
        lives = [life for life, _ in self.accepted]
        assert lives == sorted(lives)
        assert len(set(self.accepted)) == len(set(lives))


TestAddressAtADevice = AddressAtADevice.TestCase
TestAddressAtADevice.settings = settings(max_examples=150, stateful_step_count=30)
