"""Every stream and bucket of a zone as data (DESIGN section 4). Provisioning turns these into server calls."""

from dataclasses import dataclass
from typing import Literal

from treeward.schemas import subjects

DAY_S = 86_400.0


def work(zone: str) -> str:
    """Where units wait until their outcome has been read."""
    return f"WORK_{zone}"


def work_history(zone: str) -> str:
    """A mirror of WORK that keeps what the origin purges."""
    return f"WORK_HISTORY_{zone}"


def log(zone: str) -> str:
    """The one stream of events of a zone."""
    return f"LOG_{zone}"


def mailbox(zone: str) -> str:
    """Volatile messages to processes."""
    return f"MAILBOX_{zone}"


def state_bucket(zone: str) -> str:
    """The KV bucket with the last event of each resource."""
    return f"tw_state_{zone}"


def state(zone: str) -> str:
    """The stream behind that bucket."""
    return f"KV_{state_bucket(zone)}"


def state_subject(zone: str, key: str) -> str:
    """The subject of one entry of the bucket."""
    return f"$KV.{state_bucket(zone)}.{key}"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds, and how many copies: settings with the defaults of DESIGN section 4."""

    replicas: int = 1
    log_age_s: float = 7 * DAY_S
    history_age_s: float = 30 * DAY_S
    mailbox_age_s: float = 120.0
    duplicate_window_s: float = 120.0


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The settings of one stream, independent of any client library."""

    name: str
    subjects: tuple[str, ...]
    replicas: int
    storage: Literal["file", "memory"] = "file"
    age_s: float = 0.0
    discard: Literal["old", "new"] = "old"
    per_subject_max: int = 0
    message_bytes_max: int = 0
    duplicate_window_s: float = 120.0
    message_ttl: bool = False
    atomic: bool = False
    direct: bool = True
    rollup: bool = False
    mirror: str | None = None
    republish: tuple[str, str] | None = None
    source: tuple[str, str, str] | None = None
    """(stream, subject filter, destination with $1.. wildcards)"""


def streams_of(zone: str, retention: Retention) -> tuple[StreamSpec, ...]:
    """The streams and the bucket of one zone (also of `root`), in the order in which they must be made."""
    replicas = retention.replicas
    window_s = retention.duplicate_window_s
    return (
        StreamSpec(work(zone), (subjects.work_of_zone(zone),), replicas, discard="new", duplicate_window_s=window_s),
        StreamSpec(work_history(zone), (), replicas, age_s=retention.history_age_s, mirror=work(zone)),
        StreamSpec(
            log(zone),
            (subjects.log_of_zone(zone),),
            replicas,
            age_s=retention.log_age_s,
            message_ttl=True,
            atomic=True,
            duplicate_window_s=window_s,
            republish=(
                subjects.log_of_zone(zone),
                f"tw.event.{zone}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{wildcard(3)}}}}",
            ),
        ),
        StreamSpec(
            mailbox(zone),
            (subjects.mailboxes_of_zone(zone),),
            replicas,
            storage="memory",
            age_s=retention.mailbox_age_s,
        ),
        StreamSpec(
            state(zone),
            (),
            replicas,
            per_subject_max=1,
            message_ttl=True,
            rollup=True,
            source=(
                log(zone),
                subjects.log_of_zone(zone),
                f"$KV.{state_bucket(zone)}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
            ),
        ),
    )
