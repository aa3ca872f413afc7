"""What devices have and remember once nobody acts any more, and what changed in it all the same."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from treeward.runtime.device_record import DeviceRecord
from treeward.simulation.device import SimulatedDevice, Thing


class Remains(NamedTuple):
    """What one device has of one address, and what it remembers of it; both are copies."""

    thing: Thing | None
    record: DeviceRecord


Places = Mapping[tuple[str, str], Remains]
"""By the name of the device and the address."""


def look(devices: Mapping[str, SimulatedDevice]) -> Places:
    """What there is now."""
    found = {}
    for name, device in devices.items():
        for key in {**device.records, **device.things}:
            thing, record = device.things.get(key), device.record(key)
            found[name, key] = Remains(replace(thing) if thing is not None else None, replace(record))
    return found


def changes(before: Places, after: Places) -> Iterator[str]:
    """What is not as it was. Only who may act may have changed: an owner may have begun in the last moment."""
    for name, key in sorted(before.keys() | after.keys()):
        now = after[name, key]
        was = before.get((name, key), Remains(None, DeviceRecord(remembers=now.record.remembers)))
        expected = was.record
        if now.record.high > expected.high:
            expected = replace(expected, high=now.record.high, owner=now.record.owner, called_in=now.record.called_in)
        if now != Remains(was.thing, expected):
            yield f"{key} at {name}: {now.thing}, {now.record}; before {was.thing}, {was.record}"
