"""The parts of the command that only turn one thing into another."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treeward.cli.ask import zone_and_key, zone_and_ticket
from treeward.cli.configure import read_fields
from treeward.cli.events import Filter, parse_filter
from treeward.cli.explain import question_of
from treeward.cli.lines import line_of
from treeward.cli.output import CommandError, clean
from treeward.cli.prepare import deadline_of, labels_of, read_lines
from treeward.cli.state import age
from treeward.cli.tree import draw
from treeward.schemas import subjects
from treeward.schemas.api.explain import ExplainRequest
from treeward.schemas.api.parts import ProcessState
from treeward.schemas.api.tree import Capacity, HostBranch, Owner, PodBranch, TreeAnswer
from treeward.schemas.events import Event, EventType

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (None, "tw.event.*.*.*.*"), ("*", "tw.event.*.*.*.*"), (">", "tw.event.*.*.*.*"),
        ("zone-a", "tw.event.zone-a.*.*.*"), ("zone-a.>", "tw.event.zone-a.*.*.*"),
        ("zone-a.vm", "tw.event.zone-a.vm.*.*"), ("*.vm.web-1", "tw.event.*.vm.web-1.*"),
        ("*.*.*.failed", "tw.event.*.*.*.failed"),
    ],
)  # fmt: skip
def test_a_filter_is_a_subject(text: str | None, subject: str) -> None:
    wanted = parse_filter(text)
    assert subjects.event(wanted.zone, wanted.key, wanted.type) == subject


@given(st.text(max_size=20))
def test_any_text_is_a_filter_of_tokens_or_refused(text: str) -> None:
    try:
        wanted = parse_filter(text)
    except CommandError:
        return
    assert isinstance(wanted, Filter)
    assert all(part == "*" or (part.isascii() and " " not in part and ">" not in part) for part in wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("+500ms", "2030-01-01T00:00:00.500000+00:00"), ("+30s", "2030-01-01T00:00:30+00:00"),
        ("+1.5m", "2030-01-01T00:01:30+00:00"), ("+2h", "2030-01-01T02:00:00+00:00"),
        ("+1d", "2030-01-02T00:00:00+00:00"), ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_a_deadline_may_be_a_time_from_now(text: str, wanted: str) -> None:
    assert deadline_of(text, NOW) == wanted


def test_labels_are_pairs_and_a_value_may_hold_an_equals_sign() -> None:
    assert labels_of(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}


def test_the_lines_of_a_file_become_units_with_ids_of_their_own() -> None:
    lines = [
        b'{"address":"zone-a.vm.a","operation":"create","spec":{"cpus":2},"deadline":"+1h"}',
        b"",
        b'{"address":"zone-b.vm.b","operation":"destroy","message_id":"mine"}',
    ]
    first, second = read_lines("f", lines, id_prefix="run")
    assert (str(first.address), first.message_id, first.unit.spec) == ("zone-a.vm.a", "run-1", {"cpus": 2})
    assert first.unit.deadline is not None and first.unit.deadline > datetime.now(UTC)
    assert (str(second.address), second.message_id) == ("zone-b.vm.b", "mine")
    assert b"address" not in first.body and b"message_id" not in second.body
    assert read_lines("f", lines)[0].message_id is None


def test_what_is_asked_is_a_zone_an_address_or_a_ticket() -> None:
    assert zone_and_key("zone-a") == ("zone-a", None)
    assert zone_and_key("zone-a.vm.web-1") == ("zone-a", "vm.web-1")
    assert zone_and_ticket("zone-a:17") == ("zone-a", 17)
    assert zone_and_ticket("zone-a") is None and zone_and_ticket("zone a:1") is None
    assert question_of("zone-a:17", None) == ("zone-a", ExplainRequest(ticket=17))
    assert question_of("17", "zone-a") == ("zone-a", ExplainRequest(ticket=17))
    assert question_of("zone-a.vm.web-1", None) == ("zone-a", ExplainRequest(key="vm.web-1"))


@given(st.text())
def test_texts_of_others_steer_no_terminal(text: str) -> None:
    assert clean(text).isprintable()


def test_an_event_is_one_line_with_what_a_person_asks_about() -> None:
    event = Event(
        type=EventType.CRASHED, zone="zone-a", kind="vm", id="web-1", life=3, at=NOW, ticket=7, operation="create",
        pod="pod-1", host="host-1", attempts=2, flushed=[8, 9], reason="the host\n\x1b[31mis gone [bold]",
    )  # fmt: skip
    line = str(line_of(event, 41))
    assert "     41 zone-a.vm.web-1 crashed #7 create at=pod-1/host-1 attempts=2 flushed=2" in line
    assert line.endswith("the host\\n\\x1b[31mis gone [bold]")
    assert "\n" not in line and "\x1b" not in line


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(None, "-"), (0.04, "0.0 s"), (119, "119.0 s"), (120, "2 min"), (7200, "2 h"), (1e6, "12 d")],
)
def test_an_age_is_short(seconds: float | None, wanted: str) -> None:
    assert age(seconds) == wanted


def test_a_tree_shows_owners_counts_and_what_is_not_as_it_should_be() -> None:
    from rich.console import Console

    host = HostBranch(
        id="h-1", state=ProcessState.READY, capacity=Capacity(cpus=8, memory_mib=64),
        used=Capacity(cpus=2, memory_mib=32), counts={"vm": {"ready": 2, "crashed": 1}},
    )  # fmt: skip
    pod = PodBranch(id="p-1", state=ProcessState.READY, quarantined=True, owner=Owner(), hosts=[host])
    owner = Owner(instance="zs-1", epoch=4, presence="present", heard_s=0.1)
    answer = TreeAnswer(zone="zone-a", state=ProcessState.READY, owner=owner, pods=[pod], queued_units=3)
    console = Console(width=200, record=True, markup=False, file=io.StringIO())
    console.print(draw(answer, hosts=True))
    text = console.export_text()
    assert "zs-1, epoch 4, present, heard 0.1 s ago" in text
    assert "p-1  owned by nobody  [quarantined]" in text
    assert "h-1  2 cpus 32 MiB of 8 cpus 64 MiB  2 vm ready, 1 vm crashed" in text
    assert "3 units without an outcome" in text


def test_policies_are_written_as_name_and_value() -> None:
    words = ["restarts_max=3", "order=null", "kinds.vm.backoff_max_s=2.5", "kinds.volume=null", "on_drift=report"]
    assert read_fields(words) == {
        "restarts_max": 3, "order": None, "kinds": {"vm": {"backoff_max_s": 2.5}, "volume": None}, "on_drift": "report",
    }  # fmt: skip
    for wrong in (["restarts_max"], ["kinds=null", "kinds.vm=null"]):
        with pytest.raises(CommandError):
            read_fields(wrong)
