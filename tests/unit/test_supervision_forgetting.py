"""A dispatcher forgets resources for which nothing waits, beyond a bound; what it forgot it asks for again."""

from tests.support.sending import PLACED, Sending

from treeward.supervision.effects import Fetch

NAMES = [f"vm.v{number}" for number in range(5)]


def answered_once() -> Sending:
    """Each of the five has had one unit, in this order."""
    sending = Sending()
    for number, key in enumerate(NAMES):
        sending.work(10 + number, key=key)
        sending.known(key)
        sending.answer(PLACED + 1 + number, 10 + number, key=key)
    sending.take()
    return sending


def kept(sending: Sending) -> list[str]:
    return [key for key in sending.fold.queues if key in NAMES]


def test_what_was_idle_longest_is_forgotten_beyond_the_bound() -> None:
    sending = answered_once()
    sending.fold.forget_idle(3)  # the pod is one of them
    assert kept(sending) == NAMES[3:]
    sending.fold.forget_idle(3)
    assert kept(sending) == NAMES[3:]


def test_a_resource_for_which_a_unit_waits_is_never_forgotten() -> None:
    sending = answered_once()
    sending.work(20, key=NAMES[0])
    sending.fold.forget_idle(0)
    assert kept(sending) == NAMES[:1]


def test_a_forgotten_resource_is_fetched_when_work_names_it_again() -> None:
    sending = answered_once()
    sending.fold.forget_idle(0)
    sending.work(20, key=NAMES[0])
    (fetch,) = sending.take()
    assert isinstance(fetch, Fetch)
    assert fetch.key == NAMES[0]
