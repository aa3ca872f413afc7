"""A subject is read back as what it was built from, and nothing else matches its wildcard."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treeward.schemas import streams, subjects
from treeward.schemas.address import Address, InvalidAddressError, is_token, problem_of
from treeward.schemas.events import EventType

TOKENS = st.text("ABCXYZabcxyz0189_-", min_size=1, max_size=64)
KEYS = st.tuples(TOKENS, TOKENS).map(".".join)


def matches(subject_filter: str, subject: str) -> bool:
    """NATS's `*`: exactly one token."""
    pattern = re.escape(subject_filter).replace(r"\*", "[^.]+")
    return re.fullmatch(pattern, subject) is not None


@given(TOKENS, TOKENS, TOKENS)
def test_an_address_is_read_back_as_written(zone: str, kind: str, id_: str) -> None:
    address = Address(zone, kind, id_)
    assert Address.parse(str(address)) == address
    assert address.key == f"{kind}.{id_}"


@given(TOKENS, KEYS)
def test_a_work_subject_is_read_back_and_in_its_zones_filter(zone: str, key: str) -> None:
    subject = subjects.work(zone, key)
    assert subjects.parse_work(subject) == (zone, key)
    assert matches(subjects.work_of_zone(zone), subject)
    assert not matches(subjects.work_of_zone(zone + "x"), subject)


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("vm.*", "vm.%2A"),
        (">.web-1", "%3E.web-1"),
        ("vm.a\x0bb", "vm.a%0Bb"),
        ("vm.web$1", "vm.web$1"),
        ("vm.w\xe9b", "vm.w\xe9b"),
    ],
)
def test_a_key_that_nobody_could_be_told_of_is_read_as_one_that_is_no_address_either(key: str, read: str) -> None:
    assert subjects.parse_work(subjects.work("zone-a", key)) == ("zone-a", read)
    assert problem_of("zone-a", read) is not None


@given(TOKENS, KEYS, st.sampled_from(subjects.EVENT_TYPES))
def test_a_log_subject_is_read_back_and_in_its_filters(zone: str, key: str, type_: str) -> None:
    subject = subjects.log(zone, key, type_)
    assert subjects.parse_log(subject) == (zone, key, type_)
    assert subjects.parse_log(subjects.event(zone, key, type_)) == (zone, key, type_)
    assert matches(subjects.log_of_zone(zone), subject)
    assert matches(subjects.log_of_resource(zone, key), subject)
    assert not matches(subjects.log_of_resource(zone, key + "x"), subject)


@given(TOKENS, TOKENS, KEYS)
def test_a_mailbox_subject_is_read_back_and_in_its_filters(zone: str, pod: str, key: str) -> None:
    subject = subjects.mailbox(zone, pod, key)
    assert subjects.parse_mailbox(subject) == (zone, pod, key)
    assert matches(subjects.mailbox_of(zone, pod), subject)
    assert matches(subjects.mailboxes_of_zone(zone), subject)


@given(TOKENS, TOKENS)
def test_claims_are_log_subjects_of_what_they_claim(zone: str, pod: str) -> None:
    assert subjects.parse_log(subjects.claim_of_zone(zone)) == (zone, f"zone.{zone}", "claimed")
    assert subjects.parse_log(subjects.claim_of_pod(zone, pod)) == (zone, f"pod.{pod}", "claimed")
    assert matches(subjects.claims_of_zone_and_pods(zone), subjects.claim_of_pod(zone, pod))
    assert matches(subjects.claims_of_zone_and_pods(zone), subjects.claim_of_zone(zone))


def test_the_event_types_of_subjects_and_of_events_are_the_same() -> None:
    assert list(subjects.EVENT_TYPES) == [type_.value for type_ in EventType]


@given(TOKENS)
def test_no_two_streams_of_a_zone_take_the_same_subject(zone: str) -> None:
    taken = [text for spec in streams.streams_of(zone, streams.Retention()) for text in spec.subjects]
    assert len(taken) == len(set(taken))


@given(st.text(max_size=70))
def test_what_is_no_token_is_no_part_of_an_address(text: str) -> None:
    allowed = 1 <= len(text) <= 64 and all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in text)
    assert is_token(text) == allowed
    assert (problem_of("zone-a", f"vm.{text}") is None) == allowed
    assert (problem_of(text, "vm.web-1") is None) == (allowed and text != "root")


@pytest.mark.parametrize(
    ("text", "named"),
    [("web-1", "<zone>.<kind>.<id>"), ("a.b.c.d", "<zone>"), ("zone a.vm.x", "zone 'zone a'"), ("z..x", "kind ''"),
     ("z.vm.>", "id '>'"), ("z.vm.x\n", "id 'x\\n'")],
)  # fmt: skip
def test_the_wrong_part_of_an_address_is_named(text: str, named: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        Address.parse(text)
    assert named in str(caught.value)
