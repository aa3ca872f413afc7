"""What a process does with the unit in its hand: what the device remembers speaks first, then marks, then deadlines."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.schemas.places import PlaceSaid
from treeward.schemas.units import STEERING
from treeward.supervision.move import Move
from treeward.supervision.process_step import Act, BreakDown, Conclude, FindPlace, HandOff, Leave, decide_step
from treeward.supervision.row import Phase, Row

TICKET, NOW_S = 10, 100.0
OPERATIONS = some.sampled_from(("create", "stop", "destroy", "migrate", "restore", "resume", "pause", "release"))
UNITS: some.SearchStrategy[dict[str, Any]] = some.builds(
    dict,
    operation=OPERATIONS,
    mark=some.none() | some.sampled_from((Outcome.CANCELLED, Outcome.FAILED, Outcome.SUPERSEDED)),
    deadline_s=some.none() | some.sampled_from((NOW_S - 1, NOW_S, NOW_S + 1)),
    reallocate=some.booleans(),
    attempts=some.integers(0, 3),
)
ROWS: some.SearchStrategy[dict[str, Any]] = some.builds(
    dict,
    device_last=some.sampled_from((0, 4, TICKET, TICKET + 1)),
    device_applied=some.booleans(),
    exists=some.booleans(),
    isolated=some.booleans(),
    moved=some.sampled_from((0, 4, TICKET)),
    host=some.sampled_from(("h1", "h2")),
)


def unit_of(fields: dict[str, Any]) -> Message:
    mark = Mark(outcome=fields["mark"], reason="said") if fields["mark"] is not None else None
    return Message(epoch=1, life=2, ticket=TICKET, previous=0, **fields | {"mark": mark})


def row_of(fields: dict[str, Any], unit: Message) -> Row:
    row = Row("vm.web-1", 2)
    row.phase, row.hand, row.answered = Phase.READY, unit, 4
    for name, value in fields.items():
        setattr(row, name, value)
    return row


def state(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__slots__}


@settings(max_examples=400)
@given(ROWS, UNITS)
def test_the_device_speaks_before_any_mark_and_a_mark_before_any_call(
    row_fields: dict[str, Any], unit_fields: dict[str, Any]
) -> None:
    unit = unit_of(unit_fields)
    row = row_of(row_fields, unit)
    before = state(row)
    step = decide_step(row, unit, now_s=NOW_S)
    assert state(row) == before, "it decides, and changes nothing"
    has_moved = unit.operation == "migrate" and row.moved == TICKET and row.exists
    late = unit.deadline_s is not None and unit.deadline_s <= NOW_S
    if row.device_last == TICKET:
        wanted = Outcome.COMPLETED if row.device_applied else Outcome.FAILED
        assert isinstance(step, Conclude) and step.outcome is wanted, "whatever is said of it since"
    elif row.device_last > TICKET:
        assert isinstance(step, BreakDown)
    elif has_moved:
        assert isinstance(step, Conclude), "no mark and no deadline undoes a move"
        assert step.outcome in (Outcome.COMPLETED, Outcome.FAILED)
    elif unit.mark is not None:
        assert step == Conclude(unit.mark.outcome, "said")
    elif late:
        assert isinstance(step, Conclude) and step.outcome is Outcome.EXPIRED
    elif unit.operation in STEERING:
        isolated = unit.operation == "resume" and row.isolated
        assert isinstance(step, Conclude)
        assert step.outcome is (Outcome.FAILED if isolated else Outcome.COMPLETED)
    else:
        assert isinstance(step, Act | FindPlace) or unit.operation == "restore"


@settings(max_examples=200)
@given(ROWS, UNITS, some.none() | some.sampled_from(("h3", "")), some.booleans())
def test_only_a_unit_that_was_called_in_vain_and_says_so_goes_elsewhere(
    row_fields: dict[str, Any], unit_fields: dict[str, Any], place: str | None, empties: bool
) -> None:
    """`place`: not asked for yet (None), there is none (empty), or that host."""
    plain = {"mark": None, "deadline_s": None, "operation": "stop"}
    unit = unit_of(unit_fields | plain)
    row = row_of(row_fields | {"device_last": 0}, unit)
    said = PlaceSaid(host=place or None, reason="none has room" if not place else None, empties=empties)
    row.move = Move(TICKET, said) if place is not None else None
    step = decide_step(row, unit, now_s=NOW_S)
    if not unit.reallocate or unit.attempts == 0 or row.moved == TICKET:
        assert isinstance(step, Act), "it stays where it is"
    elif place is None:
        assert step == FindPlace(None)
    elif place == "":
        assert isinstance(step, Act), "nowhere to go: it is tried again here"
    else:
        assert isinstance(step, Leave if empties and row.exists else HandOff), "nothing is called here any more"
