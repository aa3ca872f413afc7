"""The take rule: whatever a mailbox loses, doubles and reorders, each unit is taken once, in order, without gaps."""

from hypothesis import given
from hypothesis import strategies as some

from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.row import Phase, Row

LIFE = 7
WINDOW = 4
TICKETS = some.lists(some.integers(1, 40), min_size=1, max_size=12, unique=True).map(sorted)


def messages_of(tickets: list[int], answered: int) -> list[Message]:
    """What a dispatcher sends for these unanswered tickets, to a process that has answered up to `answered`."""
    left = [ticket for ticket in tickets if ticket > answered]
    return [
        Message(epoch=1, life=LIFE, ticket=ticket, previous=left[index - 1] if index else 0)
        for index, ticket in enumerate(left)
    ]


def living() -> Row:
    row = Row("vm.web-1", LIFE)
    row.phase = Phase.READY
    return row


def take(row: Row) -> int | None:
    """Take the next unit, if it is its turn, and answer it."""
    if not row.take_next(0.0):
        return None
    assert row.hand is not None
    ticket = row.hand.ticket
    row.answered, row.hand = ticket, None
    row.drop_answered()
    return ticket


@given(TICKETS, some.lists(some.tuples(some.integers(0, 11), some.booleans(), some.integers(0, 40)), max_size=80))
def test_units_are_taken_in_order_once_and_none_is_passed_over(
    tickets: list[int], arrivals: list[tuple[int, bool, int]]
) -> None:
    row = living()
    taken: list[int] = []
    for index, takes, known_answered in arrivals:
        # a dispatcher may be behind: it knows of fewer answers than there are, never of more
        sent = messages_of(tickets, min(known_answered, row.answered))
        if sent:
            message = sent[index % len(sent)]
            if row.may_keep(message):
                row.put(message, WINDOW)
        if takes and (ticket := take(row)) is not None:
            taken.append(ticket)
    assert taken == tickets[: len(taken)]


@given(TICKETS, some.randoms(use_true_random=False))
def test_what_is_sent_again_until_it_is_answered_is_answered(tickets: list[int], chance: object) -> None:
    row = living()
    taken: list[int] = []
    for _ in range(len(tickets)):
        sent = messages_of(tickets, row.answered)[:WINDOW]
        chance.shuffle(sent)  # type: ignore[attr-defined]
        for message in sent:
            if row.may_keep(message):
                row.put(message, WINDOW)
        while (ticket := take(row)) is not None:
            taken.append(ticket)
    assert taken == tickets


@given(some.integers(0, 10), some.integers(1, 12), some.integers(0, 12), some.integers(0, 12))
def test_a_unit_is_taken_only_if_nothing_unanswered_is_before_it(
    life: int, ticket: int, previous: int, answered: int
) -> None:
    row = Row("vm.web-1", 5)
    row.phase = Phase.READY
    row.answered = answered
    message = Message(epoch=1, life=life, ticket=ticket, previous=previous)
    if row.may_keep(message):
        row.put(message, WINDOW)
    assert row.take_next(0.0) == (life == 5 and previous <= answered < ticket)


@given(some.lists(some.booleans(), min_size=1, max_size=6), some.integers(0, 6))
def test_a_mark_stays_once_it_has_arrived(marked: list[bool], taken_before: int) -> None:
    row = living()
    for number, has_mark in enumerate(marked):
        if number == taken_before:
            row.take_next(0.0)
        mark = Mark(outcome=Outcome.CANCELLED, reason=str(number)) if has_mark else None
        row.put(Message(epoch=1, life=LIFE, ticket=3, previous=0, mark=mark), WINDOW)
    if row.hand is None:
        row.take_next(0.0)
    assert row.hand is not None
    first = next((str(number) for number, has_mark in enumerate(marked) if has_mark), None)
    assert (row.hand.mark.reason if row.hand.mark is not None else None) == first


@given(some.integers(1, 6), some.integers(0, 60))
def test_a_mailbox_is_bounded_whatever_is_sent(window: int, count: int) -> None:
    row = living()
    for ticket in range(1, count + 1):
        row.put(Message(epoch=1, life=LIFE, ticket=ticket, previous=ticket - 1), window)
    assert len(row.queue) == min(count, 2 * window)


@given(TICKETS)
def test_a_new_life_has_an_empty_mailbox_and_nothing_in_hand(tickets: list[int]) -> None:
    row = living()
    for message in messages_of(tickets, 0):
        row.put(message, 50)
    row.take_next(0.0)
    row.become_living(LIFE + 1)
    assert (row.hand, row.queue, row.phase) == (None, [], Phase.INITIALIZED)
    assert not any(row.may_keep(message) for message in messages_of(tickets, 0))
