"""Makes a zone's streams as `schemas.streams` describes them, and never changes or removes one that is there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from treeward.bus.interface import BusError, StreamDiffersError
from treeward.bus.requests import api_error
from treeward.schemas.streams import Retention, StreamSpec, streams_of

if TYPE_CHECKING:
    from treeward.bus.nats_bus import NatsBus

CONSUMERS_MAX: Final = 100_000
"""Stated for each stream, since the server's own default of 1,000 may be too few readers."""
ELECTION_S: Final = 30.0
"""How long an answer is awaited: servers that have just started elect the leader of JetStream first."""
_NAME_IN_USE: Final = 10058
_NS: Final = 1_000_000_000


async def provision(bus: "NatsBus", zone: str, retention: Retention) -> tuple[str, ...]:
    """Make what is missing of a zone's streams and return the names of those made.

    Raises StreamDiffersError, naming each difference, if one exists with other settings: whoever runs treeward decides
    then, and BusUnavailableError after 30 s without an answer. Repeating is harmless; cancelled, it leaves the streams
    made so far.
    """
    made: list[str] = []
    differences: list[str] = []
    for spec in streams_of(zone, retention):
        wanted = configuration(spec)
        info = await bus.streams.info(spec.name, timeout_s=ELECTION_S)
        if info is None:
            if await _make(bus, spec.name, wanted):
                made.append(spec.name)
                continue
            info = await bus.streams.info(spec.name, timeout_s=ELECTION_S)  # another has just made it
        if info is not None:
            differences += compare(spec.name, wanted, info["config"])
    if differences:
        raise StreamDiffersError("; ".join(differences))
    return tuple(made)


async def _make(bus: "NatsBus", name: str, wanted: Mapping[str, Any]) -> bool:
    error = api_error(await bus.streams.api(f"STREAM.CREATE.{name}", wanted, timeout_s=ELECTION_S))
    if error is not None and error.code != _NAME_IN_USE:
        raise BusError(f"cannot make stream {name}: {error.description} ({error.code})")
    return error is None


def configuration(spec: StreamSpec) -> dict[str, Any]:
    """The server's words for a stream's settings: durations in nanoseconds, -1 for no limit."""
    config: dict[str, Any] = {
        "name": spec.name,
        "retention": "limits",
        "storage": spec.storage,
        "num_replicas": spec.replicas,
        "discard": spec.discard,
        "max_age": int(spec.age_s * _NS),
        "max_msgs_per_subject": spec.per_subject_max or -1,
        "max_msg_size": spec.message_bytes_max or -1,
        "max_consumers": CONSUMERS_MAX,
        "allow_direct": spec.direct,
        "allow_rollup_hdrs": spec.rollup,
        "allow_msg_ttl": spec.message_ttl,
        "allow_atomic": spec.atomic,
    }
    if spec.subjects:
        config["subjects"] = list(spec.subjects)
        config["duplicate_window"] = int(spec.duplicate_window_s * _NS)
    if spec.mirror is not None:
        config["mirror"] = {"name": spec.mirror}
    if spec.source is not None:
        stream, source, destination = spec.source
        config["sources"] = [{"name": stream, "subject_transforms": [{"src": source, "dest": destination}]}]
    if spec.republish is not None:
        source, destination = spec.republish
        config["republish"] = {"src": source, "dest": destination}
    return config


def compare(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What differs between wanted and found settings; settings that we have no opinion of are not looked at."""
    return [
        f"{name}: {setting} is {found.get(setting)!r}, wanted {value!r}"
        for setting, value in wanted.items()
        if not _equal(value, found.get(setting))
    ]


def _equal(wanted: object, found: object) -> bool:
    if wanted is False or wanted == 0:
        return not found
    return wanted == found
