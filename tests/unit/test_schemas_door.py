"""What is no unit of work is refused at the door, with a sentence that names the field and what would be right."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ConfigDict

from treeward.schemas.units import BODY_BYTES_MAX, InvalidUnitError, Unit, parse_unit

NOW = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
OWN_TICKET = 100


def read(body: bytes, *, key: str = "vm.web-1", zone: str = "zone-a") -> Unit:
    return parse_unit(body, zone=zone, key=key, ticket=OWN_TICKET, now=NOW)


def refusal(body: bytes, **where: str) -> str:
    with pytest.raises(InvalidUnitError) as caught:
        read(body, **where)
    return str(caught.value)


def nested(levels: int) -> bytes:
    return b'{"operation":"create","spec":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


REFUSALS = [
    # no JSON, or not an object
    (b"create", "body: is no JSON", "the least is"),
    (b"", "body: is empty", '{"operation": "create"}'),
    (b" \n", "body: is empty", '{"operation": "create"}'),
    (b'{"operation":"create"', "body: is no JSON", "line 1"),
    (b'{"operation":"create"} x', "body: is no JSON", "trailing"),
    (b"{'operation':'create'}", "body: is no JSON", "double quotes"),
    (b"[]", "body: must be an object", "not []"),
    (b"null", "body: must be an object", "not null"),
    (b'"create"', "body: must be an object", "not"),
    (b"\xef\xbb\xbf{}", "body: begins with a byte order mark", "UTF-8"),
    ('{"operation":"create"}'.encode("utf-16"), "body: begins with a byte order mark", "UTF-8"),
    (b'{"operation":"create","reason":"\xff"}', "body: is no UTF-8", "column"),
    (b'{"operation":"create","reason":"\\ud800"}', "body: has half of a surrogate pair", "both halves"),
    (b'{"operation":"create","reason":"\\udc00 x"}', "body: has half of a surrogate pair", "both halves"),
    (
        b'{"operation":"create","spec":{"memory_mib":' + b"9" * 5000 + b"}}",
        "body: has a number that is too long",
        "col",
    ),
    (b"[" * 60_000, "body: is nested too deeply", "32 levels"),
    (nested(5_000), "body: is nested too deeply", "32 levels"),
    (b'{"operation":"create","reason":"' + b"x" * 1_000_000 + b'"}', "body: 1000034 bytes", str(BODY_BYTES_MAX)),
    # the operation
    (b"{}", "operation: is missing", "the least is"),
    (b'{"operation":1}', "operation: must be a text", "not 1"),
    (b'{"operation":""}', "operation: must be 1 to 64 of the characters", "not"),
    (b'{"operation":"create\\n"}', "operation: must be 1 to 64 of the characters", "create\\n"),
    (b'{"operation":"explode"}', "operation: a vm has no 'explode'", "create, destroy, start"),
    (b'{"operation":"attach"}', "operation: a vm has no 'attach'", "cancel"),
    # unknown and doubled fields
    (b'{"operation":"create","specs":{}}', "specs: there is no such field", "did you mean 'spec'"),
    (b'{"operation":"create","zzz":1}', "zzz: there is no such field", "known are operation, spec"),
    (b'{"operation":"create","a\\nb":1}', '"a\\nb": there is no such field', "known"),
    (b'{"operation":"create","operation":"destroy"}', "operation: is there twice", "guess"),
    (b'{"operation":"create","spec":{"cpus":1,"cpus":2}}', "cpus: is there twice", "guess"),
    (
        b'{"operation":"create","deadline":"2040-01-01T00:00:00Z","tenant":"a","tenant":"b"}',
        "tenant: is there twice",
        "",
    ),
    (b'{"operation":"create","tenant":"a","reason" :"x","tenant":"b"}', "tenant: is there twice", ""),
    (b'{"operation":"create","labels":{"a":"1","a":"2"}}', "a: is there twice", ""),
    # the spec
    (b'{"operation":"create","spec":[1]}', "spec: must be an object", "not [1]"),
    (b'{"operation":"create","spec":{"cpu":2}}', "spec.cpu: there is no such field", "did you mean 'cpus'"),
    (b'{"operation":"create","spec":{"cpus":"2"}}', "spec.cpus: must be a number", 'not "2"'),
    (b'{"operation":"create","spec":{"cpus":true}}', "spec.cpus: must be a number", "not true"),
    (b'{"operation":"create","spec":{"cpus":0}}', "spec.cpus: must be greater than 0", "not 0"),
    (b'{"operation":"create","spec":{"cpus":NaN}}', "spec.cpus: must be at most", "NaN"),
    (b'{"operation":"create","spec":{"cpus":1e999}}', "spec.cpus: must be at most", "Infinity"),
    (b'{"operation":"create","spec":{"memory_mib":1.5}}', "spec.memory_mib: must be a whole number", "not 1.5"),
    (b'{"operation":"create","spec":{"running":"yes"}}', "spec.running: must be true or false", "yes"),
    (b'{"operation":"create","spec":{"requires":{"a b":"x"}}}', 'spec.requires."a b": must be 1 to 64', "characters"),
    (b'{"operation":"destroy","spec":{"force":true}}', "spec.force: there is no such field", "none is known here"),
    (b'{"operation":"pause","spec":{"for":1}}', "spec.for: there is no such field", "none is known here"),
    # the rest
    (
        b'{"operation":"create","spec":{"anti_affinity":{"group":"db","domain":"rack"}}}',
        "spec.anti_affinity.domain: must be 'host' or 'pod'",
        "rack",
    ),
    (b'{"operation":"create","spec":{"anti_affinity":{"domain":"pod"}}}', "spec.anti_affinity.group: is missing", ""),
    (b'{"operation":"create","on_failure":"retry"}', "on_failure: must be 'wait', 'reallocate' or 'fail'", "retry"),
    (b'{"operation":"create","order":"lifo"}', "order: must be 'fifo' or 'supersede'", "lifo"),
    (b'{"operation":"create","attempts_max":0}', "attempts_max: must be at least 1", "not 0"),
    (b'{"operation":"create","attempts_max":1.5}', "attempts_max: must be a whole number", "not 1.5"),
    (b'{"operation":"create","attempts_max":' + b"9" * 400 + b"}", "attempts_max: must be at most 1000", "999..."),
    (
        b'{"operation":"create","reason":"' + b"x" * 2000 + b'"}',
        "reason: must have at most 1024 characters",
        "not 2000",
    ),
    (b'{"operation":"create","labels":{"a":1}}', "labels.a: must be a text", "not 1"),
    (b'{"operation":"create","deadline":"2020-01-01T00:00:00Z"}', "deadline: 2020-01-01", "past"),
    (b'{"operation":"create","deadline":"2040-01-01T00:00:00"}', "deadline: must name its time zone", "Z"),
    (b'{"operation":"create","deadline":"+30s"}', "deadline: must be a time with its zone", "RFC 3339"),
    (b'{"operation":"create","deadline":2000000000}', "deadline: must be a time with its zone", "RFC 3339"),
    (b'{"operation":"create","deadline":"2000000000"}', "deadline: must be a time with its zone", "RFC 3339"),
    (b'{"operation":"create","deadline":1e400}', "deadline: must be a time with its zone", "RFC 3339"),
    (b'{"operation":"create","after":5}', "after: must be a list", "not 5"),
    (b'{"operation":"create","after":[0]}', "after.0: must be at least 1", "not 0"),
    (b'{"operation":"create","after":["1"]}', "after.0: must be a whole number", 'not "1"'),
    (b'{"operation":"create","after":[5,100]}', "after: 100 is not lower than", "ticket 100"),
    (
        b'{"operation":"create","after":[' + b",".join([b"1"] * 300) + b"]}",
        "after: must have at most 256 entries",
        "300",
    ),
    (b'{"operation":"create","ticket":3}', "ticket: only cancel, retry and amend name a ticket", "create"),
    (b'{"operation":"cancel"}', "ticket: cancel must name the ticket", "unit"),
    (b'{"operation":"retry","ticket":100}', "ticket: 100 is not lower than", "ticket 100"),
    (b'{"operation":"cancel","ticket":' + b"9" * 30 + b"}", "ticket: must be at most 9223372036854775807", "not 999"),
]


@pytest.mark.parametrize(("body", "begins", "holds"), REFUSALS, ids=[case[1][:40] for case in REFUSALS])
def test_the_sentence_names_the_field_and_what_would_be_right(body: bytes, begins: str, holds: str) -> None:
    sentence = refusal(body)
    assert sentence.startswith(begins)
    assert holds in sentence
    assert sentence.isprintable() and len(sentence) < 600


@pytest.mark.parametrize(
    ("zone", "key", "begins"),
    [
        ("zone a", "vm.web-1", "zone: 'zone a' must be 1 to 64"),
        ("zone-a", "vm." + "x" * 65, "id: "),
        ("zone-a", "v*.web-1", "kind: 'v*' must be 1 to 64"),
        ("root", "vm.web-1", "kind: root holds zones only"),
        ("zone-a", "zone.zone-b", "kind: a zone is a resource of root"),
        ("root", "zone.root", "id: 'root' is reserved"),
        ("zone-a", "pod.zone", "id: 'zone' is reserved"),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_the_body_is_read(zone: str, key: str, begins: str) -> None:
    assert refusal(b"no body", zone=zone, key=key).startswith(begins)


@pytest.mark.parametrize(
    ("body", "key", "begins"),
    [
        (nested(33), "thing.x", "spec: is nested too deeply"),
        (b'{"operation":"o","spec":{"a":NaN}}', "thing.x", "spec: nan is no number that JSON has"),
        (b'{"operation":"o","spec":{"a":[-Infinity]}}', "thing.x", "spec: -inf is no number"),
        (b'{"operation":"o","spec":{"a":' + b"9" * 25 + b"}}", "thing.x", "spec: 9999"),
        (b'{"operation":"o","spec":{"a":[{"b":1,"b":2}]}}', "thing.x", "b: is there twice"),
        (b'{"operation":"create"}', "host.h-1", "spec: create of a host needs pod, cpus, memory_mib"),
        (b'{"operation":"create","spec":{}}', "host.h-1", "spec.pod: is missing"),
        (b'{"operation":"attach","spec":{"vm":"a b"}}', "volume.v-1", "spec.vm: must be 1 to 64"),
        (b'{"operation":"resize"}', "volume.v-1", "spec: resize of a volume needs size_gib"),
    ],
)
def test_a_spec_is_held_to_what_its_kind_has_and_json_can_carry(body: bytes, key: str, begins: str) -> None:
    assert refusal(body, key=key).startswith(begins)


def test_the_least_unit_is_accepted_with_every_default() -> None:
    assert read(b'{"operation":"create"}') == Unit(operation="create")


def test_a_unit_with_every_field_is_read_as_it_was_written() -> None:
    written = {
        "operation": "create", "spec": {"cpus": 2, "requires": {"disk": "ssd"}}, "on_failure": "reallocate",
        "attempts_max": 3, "deadline": "2040-01-01T00:00:00+02:00", "order": "supersede", "after": [1, 99],
        "reason": "because: of colons", "tenant": "t", "labels": {"a": "b: c"},
    }  # fmt: skip
    unit = read(json.dumps(written).encode())
    again = read(unit.model_dump_json(exclude_unset=True).encode())
    assert again == unit and unit.spec == written["spec"] and unit.after == [1, 99]


def test_without_a_ticket_and_a_time_only_the_body_is_judged() -> None:
    body = b'{"operation":"cancel","ticket":900,"after":[800],"deadline":"2020-01-01T00:00:00Z"}'
    assert parse_unit(body, zone="zone-a", key="vm.web-1").ticket == 900


def test_a_kind_that_is_its_devices_affair_may_be_asked_anything() -> None:
    assert read(b'{"operation":"brew","spec":{"cups":[1,2.5,{"a":null}]}}', key="kettle.k-1").operation == "brew"


def test_an_emoji_written_as_a_surrogate_pair_is_a_text() -> None:
    assert read(b'{"operation":"create","reason":"\\ud83d\\ude00"}').reason == "\U0001f600"


def test_a_later_reader_with_more_fields_still_reads_what_this_one_writes() -> None:
    class Later(BaseModel):
        model_config = ConfigDict(extra="ignore")
        operation: str
        priority: int = 0

    assert Later.model_validate_json(Unit(operation="create").model_dump_json()).priority == 0


def test_a_device_that_is_no_address_is_refused_before_any_agent_sees_it() -> None:
    body = b'{"operation":"create","spec":{"device":"10.0.0.7:7300"}}'
    with pytest.raises(InvalidUnitError, match=r"spec\.device: must be tcp://HOST:PORT or unix:///PATH"):
        parse_unit(body, zone="zone-a", key="pod.pod-1")
