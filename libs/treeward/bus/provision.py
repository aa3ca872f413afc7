"""Makes a zone's streams as `schemas.streams` describes them, and changes or removes none that is there but mailboxes.

A mailbox is worth nothing but the time that sending again takes. It is made with one copy while there are not enough
servers for more, gets the others when there are, and may be deleted and made anew.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from treeward.bus.interface import BusError, StreamDiffersError
from treeward.bus.requests import STREAM_NOT_FOUND, api_error
from treeward.schemas.streams import Retention, StreamSpec, mailbox, streams_of

if TYPE_CHECKING:
    from treeward.bus.nats_bus import NatsBus

CONSUMERS_MAX: Final = 100_000
"""Stated for each stream, since the server's own default of 1,000 may be too few readers."""
ELECTION_S: Final = 30.0
"""How long an answer is awaited: servers that have just started elect the leader of JetStream first."""
_NAME_IN_USE: Final = 10058
_TOO_FEW_SERVERS: Final = 10005
"""No place for that many copies, since a server is away. (Just after it left, JetStream still counts on it.)"""
_NOT_CLUSTERED: Final = 10074
"""One server alone is asked for several copies: the streams on disk differ then too, and say so."""
_NS: Final = 1_000_000_000
logger = logging.getLogger(__name__)


async def provision(bus: "NatsBus", zone: str, retention: Retention, *, add_copies: bool = False) -> tuple[str, ...]:
    """Make what is missing of a zone's streams and return the names of those made.

    A mailbox may have one copy for a while (`make_mailbox_anew`): that is no difference. With `add_copies` it gets the
    others again, for which root's owner has the right and whoever sets up the first streams has not.

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
            if await _make(bus, spec, wanted):
                made.append(spec.name)
                continue
            info = await bus.streams.info(spec.name, timeout_s=ELECTION_S)  # another has just made it
        if info is not None:
            found = info["config"]
            if spec.storage == "memory" and found["num_replicas"] < spec.replicas:
                if add_copies:
                    await _add_copies(bus, found, spec.replicas)
                found = {**found, "num_replicas": spec.replicas}
            differences += compare(spec.name, wanted, found)
    if differences:
        raise StreamDiffersError("; ".join(differences))
    return tuple(made)


async def make_mailbox_anew(bus: "NatsBus", zone: str, retention: Retention) -> None:
    """Delete a zone's mailbox stream, which needs no leader of it, and make it again, empty.

    Raises BusUnavailableError after 30 s without an answer. Cancelled in between, there is none: `provision` makes it.
    """
    spec = next(spec for spec in streams_of(zone, retention) if spec.name == mailbox(zone))
    error = api_error(await bus.streams.api(f"STREAM.DELETE.{spec.name}", {}, timeout_s=ELECTION_S))
    if error is not None and error.code != STREAM_NOT_FOUND:
        raise BusError(f"cannot delete stream {spec.name}: {error.description} ({error.code})")
    await _make(bus, spec, configuration(spec))


async def _make(bus: "NatsBus", spec: StreamSpec, wanted: Mapping[str, Any]) -> bool:
    """Make a stream, a mailbox with one copy if there are too few servers; False: there is one of that name."""
    error = api_error(await bus.streams.api(f"STREAM.CREATE.{spec.name}", wanted, timeout_s=ELECTION_S))
    if error is not None and error.code == _TOO_FEW_SERVERS and spec.storage == "memory" and wanted["num_replicas"] > 1:
        logger.warning("a mailbox is made with one copy, since servers are away", extra={"stream": spec.name})
        return await _make(bus, spec, {**wanted, "num_replicas": 1})
    if error is not None and error.code != _NAME_IN_USE:
        raise BusError(f"cannot make stream {spec.name}: {error.description} ({error.code})")
    return error is None


async def _add_copies(bus: "NatsBus", found: Mapping[str, Any], replicas: int) -> None:
    """Let a mailbox have its other copies again, if there are servers for them now."""
    name, wanted = found["name"], {**found, "num_replicas": replicas}
    error = api_error(await bus.streams.api(f"STREAM.UPDATE.{name}", wanted, timeout_s=ELECTION_S))
    if error is None:
        logger.warning("a mailbox gets its other copies again", extra={"stream": name, "replicas": replicas})
    elif error.code not in (_TOO_FEW_SERVERS, _NOT_CLUSTERED):
        raise BusError(f"cannot add copies of stream {name}: {error.description} ({error.code})")


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
