"""What a dispatcher knows does not depend on where it began, nor on how WORK, log and fetches come in between."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as some
from tests.support.history import KEYS, PODS, ZONE, History, histories

from treeward.schemas import subjects
from treeward.schemas.events import EventType
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Fetch, Send
from treeward.supervision.limits import Limits

LIMITS = Limits(window=3, credit=100)
BODY = b'{"operation":"start"}'


class Reading:
    """A dispatcher that begins at a position of the log and reads on, in an order that the test chooses."""

    def __init__(self, history: History, begin: tuple[int, int]) -> None:
        """`begin`: the end of the log when it was asked for, and when the claims were read, a little later."""
        begin_at, claims_at = (position % (history.last + 1) for position in begin)
        claims_at = max(begin_at, claims_at)
        self.history = history
        self.fold = Dispatcher(ZONE, replace(LIMITS))
        self.fold.log_read_up_to = begin_at
        self.log_at = begin_at
        self.work_at = 0
        self.fetches: list[Fetch] = []
        self.sends: list[Send] = []
        claims: dict[str, int] = {}
        for position, event in history.log[:claims_at]:
            if event.type is EventType.CLAIMED:
                claims[event.key] = position
        for position in sorted(claims.values()):
            self.fold.on_claim(position, history.log[position - 1][1], 0.0)
        while self.fold.log_read_up_to < self.fold.newest_claim:
            self.read_log()
        for pod in self.fold.pod_epochs:
            self.fold.know_pod(pod)
        self._collect()

    def _collect(self) -> None:
        effects, self.fold.effects = self.fold.effects, []
        for effect in effects:
            if isinstance(effect, Fetch):
                self.fetches.append(effect)
            elif isinstance(effect, Send):
                self._check(effect)
                self.sends.append(effect)

    def _check(self, send: Send) -> None:
        """R3: sent to a life only by one who has read the log up to what began it, without what was answered then."""
        life = send.message.life
        for position, event in self.history.log[:life]:
            if event.key == send.key and event.is_outcome:
                assert event.ticket is not None
                assert send.message.ticket > event.ticket, f"{send} repeats what {position} has answered"

    def read_log(self) -> None:
        if self.log_at < self.history.last:
            position, event = self.history.log[self.log_at]
            self.log_at += 1
            self.fold.on_event(position, event, 0.0)
            self._collect()

    def read_work(self) -> None:
        if self.work_at < len(self.history.work):
            ticket, key = self.history.work[self.work_at]
            self.work_at += 1
            self.fold.on_work(ticket, subjects.work(ZONE, key), BODY, None, 0.0, 0.0)
            self._collect()

    def fetch(self, freshness: int) -> None:
        """The oldest fetch is answered by a replica that has what was asked for, and perhaps more."""
        if self.fetches:
            key, at_least = self.fetches.pop(0)
            up_to = at_least + freshness % (self.history.last - at_least + 1)
            self.fold.on_fetched(key, *self.history.last_of(key, up_to), 0.0)
            self._collect()

    def step(self, what: str, freshness: int) -> None:
        match what:
            case "log":
                self.read_log()
            case "work":
                self.read_work()
            case "fetch":
                self.fetch(freshness)

    def read_all(self) -> None:
        while self.fetches or self.log_at < self.history.last or self.work_at < len(self.history.work):
            self.read_work()
            self.read_log()
            self.fetch(0)

    def knowledge(self) -> dict[str, tuple[str | None, int, int, list[int]]]:
        """Of each resource: where it is, its life, what was answered, and what is still to be."""
        return {
            key: (queue.pod, self.fold._life(queue), queue.answered, list(queue.tickets))
            for key in KEYS
            if (queue := self.fold.queues.get(key)) is not None and queue.tickets
        }


BEGIN = some.tuples(some.integers(0, 200), some.integers(0, 200))
ORDER = some.lists(some.tuples(some.sampled_from(("log", "work", "fetch")), some.integers(0, 100)), max_size=120)


@settings(max_examples=200)
@given(histories, BEGIN, ORDER)
def test_wherever_it_begins_and_however_it_reads_it_comes_to_know_the_same(
    history: History, begin: tuple[int, int], order: list[tuple[str, int]]
) -> None:
    reading = Reading(history, begin)
    for what, freshness in order:
        reading.step(what, freshness)
    reading.read_all()
    truth = {
        key: (resource.pod, history.life(key), resource.answered, resource.tickets)
        for key, resource in history.resources.items()
        if resource.tickets
    }
    assert reading.knowledge() == truth


@settings(max_examples=200)
@given(histories, BEGIN)
def test_in_the_end_every_first_unit_is_in_the_mailbox_of_its_present_life(
    history: History, begin: tuple[int, int]
) -> None:
    reading = Reading(history, begin)
    reading.read_all()
    for key, resource in history.resources.items():
        sent = [send for send in reading.sends if send.key == key and send.message.life == history.life(key)]
        expected = resource.tickets[: LIMITS.window]
        last = sent[len(sent) - len(expected) :]
        assert [send.message.ticket for send in last] == expected
        epoch = history.epochs[resource.pod or ZONE]
        assert all(send.message.epoch == epoch for send in sent)
        assert {send.partition for send in sent} <= {resource.pod or "zone"}


@settings(max_examples=200)
@given(histories, BEGIN, ORDER)
def test_what_it_lets_go_from_work_was_answered(
    history: History, begin: tuple[int, int], order: list[tuple[str, int]]
) -> None:
    """History says what was answered in the end; nothing else may ever leave, whatever was read by then."""
    keys = dict(history.work)
    reading = Reading(history, begin)
    for what, freshness in order:
        reading.step(what, freshness)
        let_go = range(1, reading.fold.low_water())
        assert [ticket for ticket in let_go if ticket > history.resources[keys[ticket]].answered] == []


@settings(max_examples=100)
@given(histories)
def test_each_message_names_the_unit_before_it_that_has_no_outcome(history: History) -> None:
    reading = Reading(history, (0, 0))
    reading.read_all()
    reading.sends.clear()
    reading.fold.send_again(0.0)
    reading._collect()
    for key in KEYS:
        tickets = history.resources[key].tickets
        for send in (send for send in reading.sends if send.key == key):
            before = [ticket for ticket in tickets if ticket < send.message.ticket]
            assert send.message.previous == (before[-1] if before else 0)


def test_the_pods_of_a_history_are_claimed() -> None:
    assert set(Reading(History([]), (3, 3)).fold.pod_epochs) == set(PODS)
