"""Trace context: what is taken from a client, and what is derived without one."""

import pytest

from treeward.telemetry import traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_a_traceparent_is_read_and_written_back_unchanged() -> None:
    for flags, sampled in (("01", True), ("00", False)):
        text = f"00-{TRACE}-{SPAN}-{flags}"
        context = traceparent.parse(text)
        assert context == traceparent.Context(int(TRACE, 16), int(SPAN, 16), sampled)
        assert str(context) == text


def test_only_the_sampled_flag_is_understood() -> None:
    context = traceparent.parse(f"00-{TRACE}-{SPAN}-fe")
    assert context is not None
    assert not context.sampled
    context = traceparent.parse(f"00-{TRACE}-{SPAN}-03")
    assert context is not None
    assert context.sampled


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0660-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01more",
    ],
)
def test_a_traceparent_that_breaks_the_specification_counts_as_none(text: str | None) -> None:
    assert traceparent.parse(text) is None


def test_a_later_version_may_say_more() -> None:
    assert traceparent.parse(f"01-{TRACE}-{SPAN}-01-more") == traceparent.parse(f"00-{TRACE}-{SPAN}-01")


def test_the_derived_ids_are_those_of_the_first_release() -> None:
    """Programs of different versions must agree, so these never change."""
    trace_id, span_id = traceparent.derive("zone-a", 1_700_000_000.25, 7)
    assert f"{trace_id:032x} {span_id:016x}" == "1febc031e43e367f5466ba0eb4528db0 a355adb918eb2876"


def test_the_derived_ids_differ_for_each_zone_ticket_and_stream() -> None:
    ids = {
        traceparent.derive(zone, created_s, ticket)
        for zone in ("zone-a", "zone-a1", "zone-b")
        for created_s in (1_700_000_000.0, 1_700_000_000.5)
        for ticket in (1, 11, 111)
    }
    assert len(ids) == len({trace for trace, _ in ids}) == len({span for _, span in ids}) == 18


def test_a_creation_time_is_compared_in_microseconds() -> None:
    assert traceparent.derive("zone-a", 1_700_000_000.25, 7) == traceparent.derive("zone-a", 1_700_000_000.2500001, 7)
