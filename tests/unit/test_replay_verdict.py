"""A replay is judged by what was submitted, what the log says, and what the device has written down."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from treeward.cli.output import CommandError
from treeward.cli.replay.books import DeviceBooks, overcommitted, read_device_books
from treeward.cli.replay.plot import CPU, Timeline, check_path, running, submitted, utilisation, waiting
from treeward.cli.replay.records import Records, Submitted
from treeward.cli.replay.schedule import Action
from treeward.cli.replay.verdict import Verdict, decide_verdict, quantiles
from treeward.runtime import judge as judging
from treeward.schemas.events import Event, EventType

ZONE = "openb-1"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The simulator's file, as the simulator makes it, at `device.sqlite`."""
    connection = sqlite3.connect(tmp_path / "device.sqlite", isolation_level=None)
    connection.executescript(files("treeward.device_simulator").joinpath("books.sql").read_text())
    yield connection
    connection.close()


def enter(file: sqlite3.Connection, kind: str, id_: str, **row: Any) -> None:
    """One call that took effect, unless `row` says otherwise."""
    number = file.execute("SELECT count(*) FROM calls").fetchone()[0] + 1
    full = {
        "id": number, "zone": ZONE, "kind": kind, "resource": id_, "operation": "create", "ticket": number, "life": 1,
        "owner": "i", "started_at": 100.0 + number, "ended_at": 100.5 + number, "effect": 1, "outcome": "applied",
        "effect_number": number, "host": "h", **row,
    }  # fmt: skip
    file.execute(f"INSERT INTO calls ({', '.join(full)}) VALUES ({', '.join('?' * len(full))})", list(full.values()))


def event(type_: EventType, ticket: int, *, key: str = "vm.a", operation: str = "create", **more: Any) -> Event:
    kind, _, id_ = key.partition(".")
    at = datetime(2030, 1, 1, tzinfo=UTC)
    return Event(
        type=type_,
        zone=ZONE,
        kind=kind,
        id=id_,
        life=1,
        at=at,
        ticket=ticket,
        operation=operation,
        answered=ticket,
        **more,
    )


class Run:
    """A replay of one zone, written down by hand; tickets count up from 1."""

    def __init__(self) -> None:
        self.records = Records()
        self.log: list[judging.Logged] = []

    def submit(self, action: Action, key: str = "vm.a", *, sent_s: float = 100.0) -> int:
        unit = Submitted(ZONE, key, action, b"{}", sent_s)
        self.records.units.append(unit)
        ticket = len(self.records.units)
        self.records.accept(unit, ticket)
        return ticket

    def answer(self, type_: EventType, ticket: int, *, stored_s: float = 103.0, **more: Any) -> None:
        unit = self.records.by_ticket[ZONE, ticket]
        if type_ is EventType.COMPLETED and unit.action == "create":
            more.setdefault("definition", {})
        answered = event(type_, ticket, key=unit.key, operation=unit.action, **more)
        self.log.append(judging.Logged(len(self.log) + 1, stored_s, answered))
        self.records.read(answered, len(self.log), stored_s)

    def verdict(self, device: DeviceBooks | None, *, calls: Any = (), resources: Any = ()) -> Verdict:
        history = [
            judging.Submitted(zone, unit.key, ticket, 0.0) for (zone, ticket), unit in self.records.by_ticket.items()
        ]
        return decide_verdict(self.records, judging.Books(history, self.log, calls, resources), device)


def test_an_answer_may_come_before_its_receipt() -> None:
    records = Records()
    unit = Submitted(ZONE, "vm.a", "create", b"{}", 1.0)
    records.read(event(EventType.COMPLETED, 7), 3, 2.0)
    assert records.answered == 0
    records.accept(unit, 7)
    assert records.answered == 1 and not records.open
    assert unit.answer is not None and unit.answer.position == 3


def test_only_the_first_answer_of_a_ticket_counts_and_those_of_others_do_not() -> None:
    records = Records()
    unit = Submitted(ZONE, "vm.a", "create", b"{}", 1.0)
    records.accept(unit, 7)
    for type_, ticket in (
        (EventType.READY, 7),
        (EventType.COMPLETED, 8),
        (EventType.FAILED, 7),
        (EventType.REJECTED, 7),
    ):
        records.read(event(type_, ticket), 1, 2.0)
    assert records.answered == 1
    assert unit.answer is not None and unit.answer.event.type is EventType.FAILED


def test_what_has_a_place_and_what_heads_its_resource_is_known() -> None:
    run = Run()
    for action, key in (("create", "vm.b"), ("destroy", "vm.b"), ("create", "vm.a")):
        run.submit(action, key)  # type: ignore[arg-type]
    assert [(unit.key, unit.ticket) for unit in run.records.heads()] == [("vm.b", 1), ("vm.a", 3)]
    run.records.read(event(EventType.PLACED, 1, key="vm.b"), 1, 0.0)
    assert run.records.placed == {(ZONE, "vm.b")}
    run.answer(EventType.COMPLETED, 1)
    run.answer(EventType.COMPLETED, 2, removed=True)
    assert run.records.placed == set()
    assert [unit.ticket for unit in run.records.heads()] == [3]


def test_a_run_in_which_everything_is_answered_is_fine() -> None:
    run = Run()
    for action in ("create", "destroy"):
        run.answer(EventType.COMPLETED, run.submit(action))
    verdict = run.verdict(None)
    assert verdict.fine
    assert verdict.outcomes == {"create": {"completed": 1}, "destroy": {"completed": 1}}
    assert "dangling" not in verdict.violations and "overcommitted_hosts" not in verdict.violations


def test_a_unit_without_an_answer_or_without_a_receipt_is_no_fine_run() -> None:
    run = Run()
    run.submit("create")
    run.records.units.append(Submitted(ZONE, "vm.b", "create", b"{}", 1.0, error="no receipt"))
    verdict = run.verdict(None)
    assert verdict.violations["unanswered"] == 1 and verdict.violations["not_accepted"] == 1
    assert verdict.outcomes == {"create": {"unanswered": 1, "not accepted": 1}}


def test_a_receipt_for_what_the_history_has_not_is_a_loss() -> None:
    run = Run()
    run.answer(EventType.COMPLETED, run.submit("create"))
    verdict = decide_verdict(run.records, judging.Books([], run.log, [], []), None)
    assert verdict.violations["accepted_and_lost"] == 1


def test_units_of_a_resource_whose_tickets_are_not_in_the_order_of_sending_are_counted() -> None:
    run = Run()
    for ticket in (2, 1):
        unit = Submitted(ZONE, "vm.a", "create", b"{}", 1.0)
        run.records.units.append(unit)
        run.records.accept(unit, ticket)
    assert run.verdict(None).violations["submitted_out_of_order"] == 1


def test_the_devices_side_is_judged_where_it_is_known() -> None:
    run = Run()
    run.answer(EventType.COMPLETED, run.submit("create"))
    verdict = run.verdict(DeviceBooks())
    assert verdict.violations["completed_without_effect"] == 1 and verdict.violations["dangling"] == 1
    assert not verdict.fine and len(verdict.found) == 2


def test_times_are_from_sending_to_the_first_call_and_to_the_stored_outcome(
    file: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(file, "vm", "a")
    enter(file, "vm", "a", ticket=1, outcome="remembered", effect=0, effect_number=None, host=None)
    run = Run()
    run.answer(EventType.COMPLETED, run.submit("create", sent_s=100.0), stored_s=104.0)
    verdict = run.verdict(read_device_books([tmp_path / "device.sqlite"], [ZONE]))
    assert verdict.queue_s == {"create": {"p50": 1.0, "p99": 1.0, "max": 1.0, "count": 1}}
    assert verdict.completion_s["create"]["p50"] == 4.0
    assert (verdict.seconds, verdict.units_per_s) == (4.0, 0.25)


def test_a_host_is_overcommitted_at_any_time_not_only_at_the_end(file: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "device.sqlite"
    enter(file, "host", "h", cpus_milli=2000, memory_mib=100)
    enter(file, "vm", "a", cpus_milli=1500, memory_mib=100)
    assert overcommitted(read_device_books([path], [ZONE])) == {}
    enter(file, "vm", "b", cpus_milli=501)
    enter(file, "vm", "b", operation="destroy", cpus_milli=-501)
    assert overcommitted(read_device_books([path], [ZONE])) == {(ZONE, "h"): 1}
    run = Run()
    assert run.verdict(read_device_books([path], [ZONE])).violations["overcommitted_hosts"] == 1
    assert overcommitted(read_device_books([path], ["openb-2"])) == {}


def test_a_move_gives_the_old_host_its_room_back(file: sqlite3.Connection, tmp_path: Path) -> None:
    enter(file, "host", "h", cpus_milli=1000)
    enter(file, "host", "i", cpus_milli=1000, host="i")
    enter(file, "vm", "a", cpus_milli=1000)
    enter(file, "vm", "a", operation="synchronize-move", ticket=None, host="i", from_host="h", cpus_milli=1000)
    enter(file, "vm", "b", cpus_milli=1000)
    assert overcommitted(read_device_books([tmp_path / "device.sqlite"], [ZONE])) == {}


def test_what_still_sits_on_a_host_without_capacity_is_too_much(file: sqlite3.Connection, tmp_path: Path) -> None:
    enter(file, "host", "h", cpus_milli=1000)
    enter(file, "vm", "a", cpus_milli=1)
    enter(file, "host", "h", operation="destroy", cpus_milli=-1000)
    assert overcommitted(read_device_books([tmp_path / "device.sqlite"], [ZONE])) == {(ZONE, "h"): 1}


def test_a_file_that_is_no_simulators_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    for path in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(CommandError, match="is not the file of a device simulator"):
            read_device_books([path], [ZONE])
    assert not (tmp_path / "missing").exists()


def test_quantiles_are_by_nearest_rank() -> None:
    assert quantiles([3.0]) == {"p50": 3.0, "p99": 3.0, "max": 3.0, "count": 1}
    assert quantiles([float(value) for value in range(100, 0, -1)]) == {
        "p50": 50.0,
        "p99": 99.0,
        "max": 100.0,
        "count": 100,
    }


def test_the_lines_of_the_plot_are_counted_from_the_same_books(file: sqlite3.Connection, tmp_path: Path) -> None:
    enter(file, "host", "h", cpus_milli=4000, ticket=None)  # ends at 101.5
    run = Run()
    run.submit("create", sent_s=100.0)
    run.submit("create", "vm.b", sent_s=101.0)
    enter(file, "vm", "a", cpus_milli=1000, ticket=1)  # from 102.0 to 102.5
    run.answer(EventType.CANCELLED, 2, stored_s=104.0)
    run.submit("destroy", sent_s=105.0)
    enter(file, "vm", "a", operation="destroy", cpus_milli=-1000, ticket=3)  # ends at 103.5
    books = read_device_books([tmp_path / "device.sqlite"], [ZONE])
    assert submitted(run.records) == [(100.0, 1), (101.0, 2), (105.0, 1)]
    assert running(books) == [(102.5, 1), (103.5, 0)]
    assert waiting(run.records, books) == [(100.0, 1), (101.0, 2), (102.0, 1), (104.0, 0)]
    assert utilisation(books, CPU) == [(101.5, 0.0), (102.5, 0.25), (103.5, 0.0)]


def test_a_paced_replay_is_drawn_over_the_time_of_the_trace() -> None:
    assert Timeline(100.0, 5_000.0, 60.0).at(102.0) == 5_120.0
    assert Timeline(100.0, 5_000.0, None).at(102.0) == 2.0
    with pytest.raises(CommandError, match=r"must end with \.svg"):
        check_path(Path("plot.txt"))
