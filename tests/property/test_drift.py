"""What is done about a device that others have changed: rules that hold for everything that a device may report."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Drift, Event, EventType
from treeward.schemas.policies import OnDrift
from treeward.supervision.drift import Accept, Desired, Found, Nothing, Report, decide_drift, desired_by, find_drift

AT = datetime(2026, 1, 1, tzinfo=UTC)
definitions = st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2))
numbers = st.integers(0, 6)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    last = draw(numbers)
    definition = draw(definitions)
    return Answer(
        seq=1,
        status=draw(st.sampled_from(Status)),
        last=last,
        begun=last + draw(st.integers(0, 2)),
        exists=definition is not None,
        definition=definition,
    )


@given(definitions, numbers, answers())
def test_a_difference_is_found_only_where_all_that_was_begun_is_answered(
    definition: dict[str, Any] | None, answered: int, answer: Answer
) -> None:
    found = find_drift(Desired(definition, answered), answer)
    if found is None:
        return
    assert answer.status is Status.OK and definition is not None
    assert max(answer.last, answer.begun) <= answered
    assert found.definition != definition


@given(definitions, numbers)
def test_a_device_that_reports_what_is_desired_has_no_drift(definition: dict[str, Any] | None, answered: int) -> None:
    answer = Answer(seq=1, status=Status.OK, last=answered, exists=definition is not None, definition=definition)
    assert find_drift(Desired(definition, answered), answer) is None


found = st.builds(lambda definition: Found(definition is not None, definition), definitions)


@st.composite
def drifts(draw: st.DrawFn) -> Drift | None:
    if draw(st.booleans()):
        return None
    exists, definition = draw(found)
    policy = draw(st.sampled_from([OnDrift.REPORT, OnDrift.RESTORE]))
    return Drift(exists=exists, definition=definition, since=AT, policy=policy, answered=draw(numbers))


@given(found, drifts(), st.sampled_from(OnDrift), numbers, st.booleans())
def test_what_is_said_is_what_was_found_and_said_once(
    one: Found, known: Drift | None, policy: OnDrift, answered: int, busy: bool
) -> None:
    decided = decide_drift(one, known, policy, answered=answered, busy=busy, now_s=1.0)
    if isinstance(decided, Nothing):
        assert known is not None and (known.exists, known.definition) == one, "only what was said before is not said"
        return
    drift = decided.drift
    assert (drift.exists, drift.definition, drift.answered) == (*one, answered)
    assert isinstance(decided, Accept) == (drift.policy is OnDrift.ACCEPT)
    if isinstance(decided, Report):
        again = decide_drift(one, drift, policy, answered=answered, busy=busy, now_s=2.0)
        assert isinstance(again, Nothing), "said twice"


@given(found, drifts(), st.sampled_from(OnDrift), numbers)
def test_while_a_unit_waits_nothing_is_accepted_and_nothing_restored(
    one: Found, known: Drift | None, policy: OnDrift, answered: int
) -> None:
    decided = decide_drift(one, known, policy, answered=answered, busy=True, now_s=1.0)
    assert not isinstance(decided, Accept)
    assert not isinstance(decided, Report) or decided.drift.policy is OnDrift.REPORT


@given(
    st.sampled_from(EventType), st.one_of(st.none(), numbers), st.booleans(), st.booleans(), st.booleans(), definitions
)
def test_nothing_is_desired_of_what_is_in_hand_moving_or_quarantined(
    type_: EventType,
    ticket: int | None,
    existed: bool,
    removed: bool,
    quarantined: bool,
    definition: dict[str, Any] | None,
) -> None:
    event = Event(
        type=type_, zone="z", kind="vm", id="a", life=1, at=AT, ticket=ticket,
        existed=existed, removed=removed, quarantined=quarantined, definition=definition, answered=3,
    )  # fmt: skip
    desired = desired_by(event)
    if desired is None:
        return
    assert desired == Desired(definition, 3)
    assert ticket is None or event.is_outcome
    assert not (existed or removed or quarantined)
