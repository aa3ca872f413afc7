"""Turns what was typed into a unit's body, and judges it as the door does, before anything is sent."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from treeward.cli.output import CommandError
from treeward.schemas.address import Address, InvalidAddressError
from treeward.schemas.units import InvalidUnitError, Unit, parse_unit

_AFTER_NOW = re.compile(r"\+(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Prepared(NamedTuple):
    """A unit that the door will take."""

    address: Address
    body: bytes
    unit: Unit
    message_id: str | None = None


def address_of(text: str) -> Address:
    """`<zone>.<kind>.<id>`; raises CommandError."""
    try:
        return Address.parse(text)
    except InvalidAddressError as error:
        raise CommandError(str(error)) from None


def deadline_of(text: str, now: datetime) -> str:
    """RFC 3339 from RFC 3339 or from `+30s` (ms, s, m, h, d)."""
    match = _AFTER_NOW.fullmatch(text)
    if match is None:
        if text.startswith("+"):
            raise CommandError(
                f"deadline {text!r}: must be RFC 3339 or a time from now such as +500ms, +30s, +5m, +2h, +1d"
            )
        return text
    return (now + timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])).isoformat()


def json_argument(text: str, name: str) -> Any:
    """A JSON value given on the command line, or as `@file`."""
    where = name
    if text.startswith("@"):
        where = f"{name}: {text[1:]}"
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{where}: cannot be read ({error})") from None
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CommandError(f"{where}: is no JSON ({error})") from None


def labels_of(pairs: Sequence[str]) -> dict[str, str]:
    """`k=v` several times."""
    labels: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"--label {pair!r}: must be NAME=VALUE")
        labels[name] = value
    return labels


def prepare(address: Address, fields: dict[str, Any], *, now: datetime, message_id: str | None = None) -> Prepared:
    """The body for these fields; raises CommandError with the sentence that a `rejected` event would have."""
    try:
        body = json.dumps(fields, separators=(",", ":")).encode()
        unit = parse_unit(body, zone=address.zone, key=address.key, now=now)
    except (InvalidUnitError, RecursionError) as error:
        raise CommandError(str(error)) from None
    return Prepared(address, body, unit, message_id)


def prepare_line(line: bytes, *, now: datetime, id_prefix: str | None, number: int) -> Prepared:
    """One line of `submit --file`: a unit with its `address`, and `message_id` if it has one."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"is no JSON ({error})") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("address"), str):
        raise CommandError('must be an object with "address" and "operation"')
    address = address_of(fields.pop("address"))
    message_id = fields.pop("message_id", None if id_prefix is None else f"{id_prefix}-{number}")
    if message_id is not None and not isinstance(message_id, str):
        raise CommandError("message_id: must be a text")
    if isinstance(fields.get("deadline"), str):
        fields["deadline"] = deadline_of(fields["deadline"], now)
    return prepare(address, fields, now=now, message_id=message_id)


def read_lines(name: str, lines: Sequence[bytes], *, id_prefix: str | None = None) -> list[Prepared]:
    """Every unit of a file; raises CommandError that names the file and line of each bad one, the first ten."""
    now = datetime.now(UTC)
    units, problems = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            units.append(prepare_line(line, now=now, id_prefix=id_prefix, number=number))
        except CommandError as error:
            problems.append(f"{name}:{number}: {error}")
    if problems:
        more = f"\nand {len(problems) - 10} more" if len(problems) > 10 else ""
        raise CommandError("nothing was sent:\n" + "\n".join(problems[:10]) + more)
    if not units:
        raise CommandError(f'{name}: has no unit; a line is {{"address": "zone-a.vm.web-1", "operation": "create"}}')
    return units
