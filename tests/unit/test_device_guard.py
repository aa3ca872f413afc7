"""What the guard asks of an adapter, and what it believes of its answer."""

import json
from typing import Any

import pytest

from treeward.device_guard.adapter import Errand, Finish, State, Verb
from treeward.device_guard.adapters.exec import environment_of, line_of, read
from treeward.device_guard.bring_about import decide_definition, decide_errand
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Synchronize

HERE = State(exists=True, definition={"cpus": 2})


def wanted(state: State, *, at_host: str | None = None, record: DeviceRecord | None = None, **fields: Any) -> Any:
    said: dict[str, Any] = {"seq": 1, "zone": "z", "kind": "vm", "id": "a", "life": 5, "owner": "o"}
    request = Synchronize(**said | fields)
    errand = decide_errand(request, record or DeviceRecord(), state, at_host=at_host, run="r")
    return None if errand is None else (errand.verb, errand.definition)


def test_a_synchronize_that_names_nothing_asks_for_nothing() -> None:
    assert wanted(HERE) is None
    assert wanted(State()) is None


def test_what_is_absent_is_made_only_before_the_first_call_of_that_life() -> None:
    assert wanted(State(), definition={"cpus": 1}) == (Verb.MAKE, {"cpus": 1})
    assert wanted(HERE, definition={"cpus": 1}) is None
    assert wanted(State(), definition={"cpus": 1}, record=DeviceRecord(called_in=5)) is None
    assert wanted(State(), definition={"cpus": 1}, record=DeviceRecord(called_in=4)) == (Verb.MAKE, {"cpus": 1})


def test_absent_wins_over_all_else() -> None:
    assert wanted(HERE, absent=True, definition={"cpus": 1}, host="h2", at_host="h1") == (Verb.REMOVE, None)
    assert wanted(State(), absent=True, definition={"cpus": 1}) is None


def test_what_is_on_another_host_is_moved_if_the_adapter_tells_hosts() -> None:
    assert wanted(HERE, host="h2", at_host="h1") == (Verb.MOVE, {"cpus": 2})
    assert wanted(HERE, host="h1", at_host="h1") is None
    assert wanted(HERE, host="h2") is None
    assert wanted(HERE, host="h2", at_host="h1", kind="host") is None


@pytest.mark.parametrize(
    ("operation", "spec", "told"),
    [
        ("resize", {"cpus": 4}, {"cpus": 2}),
        ("resize", {"definition": {"cpus": 4}}, {"cpus": 2}),
        ("restore", {"definition": {"cpus": 4}, "answered": 1}, {"cpus": 4}),
        ("restore", {"definition": 4}, None),
        ("restore", None, None),
    ],
)
def test_a_restore_is_told_what_is_to_exist_again_and_another_call_what_exists(
    operation: str, spec: dict[str, Any] | None, told: dict[str, Any] | None
) -> None:
    call = Call(
        seq=1, zone="z", kind="vm", id="a", life=5, owner="o", ticket=9, operation=operation, spec=spec
    )  # fmt: skip
    assert decide_definition(call, HERE) == told


CALL = Errand("run-1", Verb.CALL, Address("z", "vm", "a"), "h1", 5, 9, "create", {"cpus": 2}, again=True)


def test_a_program_is_told_the_same_by_line_and_by_variables() -> None:
    assert json.loads(line_of(CALL)) == {
        "verb": "call", "zone": "z", "kind": "vm", "id": "a", "host": "h1", "operation": "create", "ticket": 9,
        "life": 5, "again": True, "existed": False, "spec": {"cpus": 2},
    }  # fmt: skip
    variables = environment_of(CALL)
    assert variables["TREEWARD_GUARD_RUN"] == "run-1"
    told = {name: variables[f"TREEWARD_{name}"] for name in ("VERB", "TICKET", "AGAIN", "EXISTED", "SPEC")}
    assert told == {"VERB": "call", "TICKET": "9", "AGAIN": "true", "EXISTED": "false", "SPEC": '{"cpus":2}'}


@pytest.mark.parametrize("code", [1, 10, -9, None])
def test_only_a_program_that_ended_with_code_0_is_believed(code: int | None) -> None:
    told = read(code, b'{"status":"refused","reason":"no"}', "")
    assert (told.finish, told.state) == (Finish.FAILED, None)
    assert read(0, b'{"status":"refused","reason":"no"}', "").finish is Finish.REFUSED


def test_what_does_not_exist_has_no_definition() -> None:
    told = read(0, b'{"status":"ok","exists":false,"definition":{"cpus":1},"observed":{}}', "")
    assert told.state == State()
    assert read(0, b'{"status":"ok"}', "").state is None
