"""Somebody at the console of a device: changes what exists, or takes it away, and nobody is told."""

from treeward.simulation.device import SimulatedDevice
from treeward.simulation.trace import Trace


def tamper(device: SimulatedDevice, zone: str, pick: int, trace: Trace, *, remove: bool) -> str | None:
    """Change something of a zone; returns its address, None: there is nothing to change.

    The record knows nothing of it. What a call has in hand is left alone, and so are hosts.
    """
    keys = sorted(
        key
        for key in device.things
        if key.startswith(f"{zone}.") and ".host." not in key and device.records[key].in_progress is None
    )
    if not keys:
        return None
    key = keys[pick % len(keys)]
    trace.add("tampered", device.name, key, "removed" if remove else "changed")
    if remove:
        del device.things[key]
    else:
        thing = device.things[key]
        thing.definition = {**thing.definition, "by_others": thing.definition.get("by_others", 0) + 1}
    return key
