"""The bytes of the NATS protocol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treeward.bus.wire import (
    LazyHeaders,
    header_lines,
    parse_delivery,
    parse_headers,
    parse_status,
    parse_time_s,
    publish_command,
)

NAMES = st.text("abcXYZ0123-_", min_size=1, max_size=10)


@given(st.dictionaries(NAMES, st.text(max_size=30), max_size=5))
def test_headers_come_back_as_they_were_but_for_line_breaks_and_outer_blanks(headers: dict[str, str]) -> None:
    block = f"NATS/1.0\r\n{header_lines(headers)}\r\n".encode("utf-8", "replace")
    read = parse_headers(block) or {}
    assert list(read) == list(headers)
    for name, value in headers.items():
        expected = value.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace").decode().strip()
        assert read[name] == expected


@given(NAMES, st.text(max_size=30))
def test_no_value_can_smuggle_in_a_header(name: str, value: str) -> None:
    lines = header_lines({name: f"{value}\r\nNats-Msg-Id: forged", "other": "1"})
    assert lines.count("\r\n") == 2
    assert lines.count("\n") == 2


def test_a_command_states_its_sizes_in_bytes() -> None:
    assert publish_command("a.b", "", b"12345") == b"PUB a.b  5\r\n12345\r\n"
    command = publish_command("a.b", "reply", "é".encode(), header_lines({"k": "ü"}))
    assert command == "HPUB a.b reply 19 21\r\nNATS/1.0\r\nk: ü\r\n\r\né\r\n".encode()


def test_a_consumers_position_is_read_from_both_forms_of_its_reply_subject() -> None:
    assert parse_delivery(b"$JS.ACK.LOG_a.c1.1.7.5.1795414894154886583.3") == (7, 5, 1795414894154886583)
    newer = b"$JS.ACK._.hash.LOG_a.c1.1.7.5.1795414894154886583.3"
    assert parse_delivery(newer) == parse_delivery(newer + b".random") == (7, 5, 1795414894154886583)


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (None, (0, "")),
        (b"NATS/1.0\r\nk: v\r\n\r\n", (0, "")),
        (b"NATS/1.0 503\r\n\r\n", (503, "")),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\n\r\n", (100, "Idle Heartbeat")),
    ],
)
def test_a_status_is_told_from_a_message(block: bytes | None, status: tuple[int, str]) -> None:
    assert parse_status(block) == status


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T00:00:10.123456789Z", 10.123456789),
        ("1970-01-01T01:00:10.25+01:00", 10.25),
        ("1969-12-31T23:00:10-01:00", 10.0),
    ],
)
def test_a_servers_time_stamp_is_unix_seconds(text: str, time_s: float) -> None:
    assert parse_time_s(text) == time_s


def test_headers_that_are_read_late_are_the_same() -> None:
    block = b"NATS/1.0\r\nce-type: treeward.completed\r\ntraceparent: 00-a-b-01\r\n\r\n"
    late = LazyHeaders(block)
    assert dict(late) == parse_headers(block)
    assert late == dict(late)
    assert "nothing" not in late
    assert late
    assert not LazyHeaders(b"NATS/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "lines",
    [
        "ce-type: treeward.completed\r\ntraceparent: 00-a-b-01\r\n",
        "traceparent:00-a-b-01\r\n",
        "traceparent: first\r\nce-type: x\r\ntraceparent:  last \r\n",
        "x-traceparent: another\r\nce-source: traceparent: no\r\n",
        "traceparent:\r\n",
        "Traceparent: another\r\n",
        "",
    ],
)
def test_a_header_that_is_looked_for_alone_is_the_one_that_all_of_them_have(lines: str) -> None:
    block = f"NATS/1.0\r\n{lines}\r\n".encode()
    everything = parse_headers(block) or {}
    assert LazyHeaders(block).get("traceparent") == everything.get("traceparent")
    assert LazyHeaders(block).get("traceparent", "none") == everything.get("traceparent", "none")
