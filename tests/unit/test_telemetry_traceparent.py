"""Trace context: what is taken from a client, and what is derived without one."""

import pytest

from treeward.telemetry import traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_a_traceparent_is_read_and_its_parts_are_what_it_says() -> None:
    for flags, kept in (("01", True), ("00", False)):
        text = f"00-{TRACE}-{SPAN}-{flags}"
        context = traceparent.read(text)
        assert context == text == traceparent.context(TRACE, SPAN, kept=kept)
        assert (traceparent.trace_id_of(context), traceparent.span_id_of(context)) == (TRACE, SPAN)
        assert traceparent.is_kept(context) is kept
        assert traceparent.kept(context) == f"00-{TRACE}-{SPAN}-01"
        assert traceparent.beside(context, "00000000000000ff") == f"00-{TRACE}-00000000000000ff-{flags}"


def test_only_the_sampled_flag_is_understood() -> None:
    assert traceparent.read(f"00-{TRACE}-{SPAN}-fe") == f"00-{TRACE}-{SPAN}-00"
    assert traceparent.read(f"00-{TRACE}-{SPAN}-03") == f"00-{TRACE}-{SPAN}-01"


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
    assert traceparent.read(text) is None


def test_a_later_version_may_say_more() -> None:
    assert traceparent.read(f"01-{TRACE}-{SPAN}-01-more") == f"00-{TRACE}-{SPAN}-01"


def test_the_derived_ids_are_those_of_the_first_release() -> None:
    """Programs of different versions must agree, so these never change."""
    trace_id, span_id = traceparent.derive("zone-a", 1_700_000_000.25, 7)
    assert f"{trace_id} {span_id}" == "1febc031e43e367f5466ba0eb4528db0 a355adb918eb2876"


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
