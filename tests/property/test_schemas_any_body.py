"""Whatever bytes come through the door: a unit, or a sentence; never anything else."""

import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treeward.schemas.units import OPERATIONS, InvalidUnitError, Unit, parse_unit

NOW = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
OWN_TICKET = 100
RANDOM_BODIES = 100_000


def read(body: bytes, *, key: str) -> Unit:
    return parse_unit(body, zone="root" if key.startswith("zone.") else "zone-a", key=key, ticket=OWN_TICKET, now=NOW)


VALID = [
    b'{"operation":"create","spec":{"cpus":2,"memory_mib":512,"requires":{"disk":"ssd"}},"labels":{"a":"b"}}',
    b'{"operation":"destroy","order":"supersede","deadline":"2040-01-01T00:00:00Z","after":[1,2,3]}',
    b'{"operation":"cancel","ticket":7,"reason":"no: longer \\u00e9 needed","tenant":"t"}',
]
PIECES = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"9" * 5000,
    b"null", b"true", b"0", b"-1", b"\x00", b"\xff", b"\xed\xa0\x80", b"operation", b"spec", b'"operation":"create",',
    b"[" * 300,
]  # fmt: skip


def body_of(chance: random.Random) -> bytes:
    """Sometimes noise, mostly a valid unit with a few wounds."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(64))
    body = bytearray(chance.choice(VALID))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(body) + 1)
        wound = chance.random()
        if wound < 0.4:
            body[at:at] = chance.choice(PIECES)
        elif wound < 0.7:
            del body[at : at + chance.randrange(1, 12)]
        elif at < len(body):
            body[at] = chance.randrange(256)
    return bytes(body)


def test_100_000_wounded_bodies_are_either_a_unit_or_a_sentence() -> None:
    chance = random.Random(20130517)
    accepted = 0
    keys = ["vm.a", "volume.a", "host.a", "pod.a", "kettle.a"]
    for number in range(RANDOM_BODIES):
        body = body_of(chance)
        try:
            unit = read(body, key=keys[number % len(keys)])
        except InvalidUnitError as error:
            sentence = str(error)
            assert ": " in sentence and sentence.isprintable() and len(sentence) < 800, (body, sentence)
        else:
            accepted += 1
            assert read(unit.model_dump_json().encode(), key=keys[number % len(keys)]) == unit, body
    assert 0 < accepted < RANDOM_BODIES / 2


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from([*Unit.model_fields, "x"]), JSON_VALUES, max_size=6),
    st.sampled_from([*sorted(OPERATIONS), "kettle"]),
    st.none() | st.sampled_from(["create", "destroy", "resize", "attach", "cancel", "pause"]),
)
def test_any_json_object_is_either_a_unit_or_a_sentence(
    fields: dict[str, object], kind: str, operation: str | None
) -> None:
    if operation is not None:
        fields = {**fields, "operation": operation}
    body = json.dumps(fields).encode()
    try:
        unit = parse_unit(
            body, zone="root" if kind == "zone" else "zone-a", key=f"{kind}.x", ticket=OWN_TICKET, now=NOW
        )
    except InvalidUnitError as error:
        assert str(error).isprintable()
    else:
        json.loads(unit.model_dump_json(), parse_constant=pytest.fail)
