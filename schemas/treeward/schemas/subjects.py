"""The only place that builds or parses a subject (DESIGN section 4).

A key is `<kind>.<id>`, see `address`.
"""

from urllib.parse import quote

EVENT_TYPES = (
    "claimed", "placed", "ready", "crashed", "quarantined", "released", "leaving", "handed_off", "forgotten", "drifted",
    "completed", "failed", "cancelled", "expired", "superseded", "rejected",
)  # fmt: skip


def work(zone: str, key: str) -> str:
    """Where a unit of work for a resource is submitted."""
    return f"tw.work.{zone}.{key}"


def work_of_zone(zone: str) -> str:
    """The subjects that a zone's WORK stream takes."""
    return f"tw.work.{zone}.*.*"


def all_work_of_zone(zone: str) -> str:
    """Every submit of a zone, to read: a stream takes a `>` where it has `*`, but a filter with `*` passes it by."""
    return f"tw.work.{zone}.>"


def parse_work(subject: str) -> tuple[str, str]:
    """`(zone, key)` of a work subject; a wildcard or an invisible character in the key becomes `%2A` and the like.

    NATS takes those in the subject of a publish and stores them as they are, but nobody can be told of them there: it
    republishes no event with white space in its subject, and whoever asks for the last event of `vm.*` gets that of
    another. `%` is no token either, so such a unit is rejected as it should be.
    """
    _, _, zone, key = subject.split(".", 3)
    if key.isprintable() and "*" not in key and ">" not in key:
        return zone, key
    return zone, "".join(c if c.isprintable() and c not in "*>" else quote(c) for c in key)


def log(zone: str, key: str, type_: str) -> str:
    """Where an event of a resource is appended."""
    return f"tw.log.{zone}.{key}.{type_}"


def log_of_zone(zone: str) -> str:
    """Every event of a zone; also the filter of its stream."""
    return f"tw.log.{zone}.*.*.*"


def log_of_resource(zone: str, key: str) -> str:
    """Every event of one resource."""
    return f"tw.log.{zone}.{key}.*"


def parse_log(subject: str) -> tuple[str, str, str]:
    """`(zone, key, type)` of a log or event subject."""
    _, _, zone, rest = subject.split(".", 3)
    key, _, type_ = rest.rpartition(".")
    return zone, key, type_


def claim_of_zone(zone: str) -> str:
    """The claim that guards what a zone's owner (root's owner, for `root`) appends."""
    return f"tw.log.{zone}.zone.{zone}.claimed"


def claim_of_pod(zone: str, pod: str) -> str:
    """The claim that guards what a pod's owner appends."""
    return f"tw.log.{zone}.pod.{pod}.claimed"


def claims_of_zone_and_pods(zone: str) -> str:
    """Every claim in a zone's log: that of the zone and those of its pods."""
    return f"tw.log.{zone}.*.*.claimed"


def event(zone: str, key: str, type_: str) -> str:
    """Where the server republishes a stored event."""
    return f"tw.event.{zone}.{key}.{type_}"


def mailbox(zone: str, partition: str, key: str) -> str:
    """Where a dispatcher sends work for a process; `partition` is a pod, or `zone` for the zone supervisor."""
    return f"tw.mailbox.{zone}.{partition}.{key}"


def mailbox_of(zone: str, partition: str) -> str:
    """Every message of one pod's owner, or of the zone supervisor."""
    return f"tw.mailbox.{zone}.{partition}.*.*"


def mailboxes_of_zone(zone: str) -> str:
    """Every mailbox message of a zone; also the filter of its stream."""
    return f"tw.mailbox.{zone}.*.*.*"


def parse_mailbox(subject: str) -> tuple[str, str, str]:
    """`(zone, partition, key)` of a mailbox subject."""
    _, _, zone, partition, key = subject.split(".", 4)
    return zone, partition, key


def presence(service: str, instance: str) -> str:
    """Where an instance says that it is there."""
    return f"tw.presence.{service}.{instance}"


ALL_CLOSED = "tw.closed.*"
"""Every report of a closed connection that one may read."""


def presence_of(service: str) -> str:
    """The heartbeats of every instance of a service."""
    return f"tw.presence.{service}.*"


def closed(account: str) -> str:
    """Where the servers' reports of closed connections of an account are imported to."""
    return f"tw.closed.{account}"


def api(endpoint: str, zone: str) -> str:
    """Where an orchestrator answers questions about a zone."""
    return f"tw.api.{endpoint}.{zone}"


def control(instance: str) -> str:
    """Where a person asks one instance to drain, or to hand root off."""
    return f"tw.control.{instance}"


def owner_api(endpoint: str, zone: str, partition: str) -> str:
    """Where the owner of a branch answers an orchestrator's question about what it holds in hand."""
    return f"tw.owner.{endpoint}.{zone}.{partition}"
