"""Every name that leaves a program as telemetry: spans, attributes, metrics. None of them ever contains a resource id.

Spans and attributes follow the OpenTelemetry conventions for messaging where those have a name, and begin with
`treeward.` otherwise. Metrics have Prometheus names; their labels are few and bounded (zone, pod, outcome, service).
"""

from dataclasses import dataclass
from typing import Literal

# --- spans: one waterfall for each unit of work, docs/tracing.md ---

SUBMIT = "submit"
"""PRODUCER, the root: from the moment WORK stored the unit to its first sending."""
DISPATCH = "dispatch"
"""PRODUCER, child of submit, in the orchestrator: each sending of the unit; the first with what it waited for."""
MAILBOX_WAIT = "mailbox wait"
"""INTERNAL, child of dispatch, in the owner: from sending to being taken."""
PROCESS = "process"
"""CONSUMER, child of dispatch, linked to it too: from being taken to the commit of the outcome."""
DEVICE_CALL = "device call"
"""CLIENT, child of process: one request to the device, repetitions are spans of their own."""
SETTLE = "settle"
"""CLIENT, child of process, in the orchestrator: from the commit of the outcome to its reading."""
CRASH = "crash"
"""INTERNAL, child of the process span it ends, linked to the flushed units (128 at most); always kept."""
TAKEOVER = "takeover"
"""INTERNAL, a root that is always kept: a supervisor claimed a branch for another instance."""

# --- attributes ---

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION_TEMPLATE = "messaging.destination.template"

ZONE = "treeward.zone"
POD = "treeward.pod"
RESOURCE = "treeward.resource"
"""The address, `<zone>.<kind>.<id>`: fine in a span's attributes, never in a name or a metric."""
TICKET = "treeward.ticket"
OPERATION = "treeward.operation"
OUTCOME = "treeward.outcome"
LIFE = "treeward.life"
POSITION = "treeward.position"
ATTEMPT = "treeward.attempt"
"""1 for the first dispatch of a unit."""
VERDICT = "treeward.verdict"
REASON = "treeward.reason"
UNITS = "treeward.units"
"""How many units a span is about, where it links to them."""
LINKS_DROPPED = "treeward.links.dropped"
"""Links beyond the 128 that a span may have."""

SYSTEM = "nats"
WORK_TEMPLATE = "tw.work.{zone}.{kind}.{id}"
MAILBOX_TEMPLATE = "tw.mailbox.{zone}.{pod}.{kind}.{id}"
LOG_TEMPLATE = "tw.log.{zone}.{kind}.{id}.{type}"


def _messaging(name: str, kind: str, template: str) -> dict[str, str]:
    return {
        MESSAGING_SYSTEM: SYSTEM,
        MESSAGING_OPERATION_NAME: name,
        MESSAGING_OPERATION_TYPE: kind,
        MESSAGING_DESTINATION_TEMPLATE: template,
    }


FIXED: dict[str, dict[str, str]] = {
    SUBMIT: _messaging("submit", "create", WORK_TEMPLATE),
    DISPATCH: _messaging("dispatch", "send", MAILBOX_TEMPLATE),
    MAILBOX_WAIT: _messaging("receive", "receive", MAILBOX_TEMPLATE),
    PROCESS: _messaging("process", "process", MAILBOX_TEMPLATE),
    SETTLE: _messaging("settle", "settle", LOG_TEMPLATE),
}
"""Attributes that every span of a name has; the encoder adds them, nobody passes them."""

# --- metrics ---

SHORT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Buckets for what one step of a unit takes."""
LONG_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0)
"""Buckets for a unit as a whole, which may wait for a device for a day."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; a counter's samples get the suffix `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


UNITS_TOTAL = Metric("treeward_units", "counter", "Units answered, as the dispatcher read them.", ("zone", "outcome"))
UNITS_READ = Metric("treeward_units_read", "counter", "Units read from WORK.", ("zone",))
DISPATCH_SENT = Metric("treeward_dispatch_sent", "counter", "Mailbox messages sent, repetitions included.", ("zone",))
DISPATCH_RESENT = Metric(
    "treeward_dispatch_resent",
    "counter",
    "Mailbox messages for units that had been sent before: placed or in a new life since, marked, or not answered.",
    ("zone",),
)
MAILBOX_DROPPED = Metric(
    "treeward_mailbox_dropped", "counter", "Mailbox messages that the take rule did not take.", ("zone",)
)
CRASHES = Metric("treeward_crashes", "counter", "Processes crashed.", ("zone", "kind"))
QUARANTINES = Metric("treeward_quarantines", "counter", "Processes put into quarantine.", ("zone", "kind"))
SELF_SUSPICIONS = Metric(
    "treeward_self_suspicions",
    "counter",
    "Times that most children of a supervisor failed at once and it suspected itself, or asked its parent for help.",
    ("zone", "pod", "verb"),
)
DRIFTS = Metric(
    "treeward_drifts",
    "counter",
    "Times that a device was found changed by others, and what was done: reported, accepted, or to be restored.",
    ("zone", "kind", "verb"),
)
LOOKS = Metric("treeward_looks", "counter", "Resources that the background synchronization looked after.", ("zone",))
TAKEOVERS = Metric(
    "treeward_takeovers",
    "counter",
    "Branches claimed for an instance, by what was noticed: silent, disconnected, leaving, idle and so on.",
    ("zone", "level", "reason"),
)
MAILBOXES_MADE_ANEW = Metric(
    "treeward_mailboxes_made_anew", "counter", "Mailbox streams that had no leader and were made anew.", ("zone",)
)
MOVES = Metric("treeward_moves", "counter", "Resources handed off.", ("zone",))
APPENDS_REFUSED = Metric(
    "treeward_appends_refused", "counter", "Appends refused since another owner was claimed.", ("zone",)
)
APPENDS_IN_DOUBT = Metric("treeward_appends_in_doubt", "counter", "Appends whose answer never came.", ("zone",))
DEVICE_FENCED = Metric(
    "treeward_device_fenced", "counter", "Device requests refused for a higher life or another owner.", ("zone",)
)
PERMISSION_VIOLATIONS = Metric("treeward_permission_violations", "counter", "Operations that NATS did not permit.")
CLOSED_CONNECTIONS = Metric(
    "treeward_closed_connections",
    "counter",
    "Connections that a NATS server has reported as closed, as this program heard it.",
)
RECONNECTS = Metric("treeward_nats_reconnects", "counter", "Times that the connection to NATS came back.")
SPANS_DROPPED = Metric("treeward_spans_dropped", "counter", "Spans lost since the exporter was slower than the work.")

MAILBOX_UNITS = Metric("treeward_mailbox_units", "gauge", "Units waiting in the mailboxes of a pod.", ("zone", "pod"))
UNANSWERED_UNITS = Metric("treeward_unanswered_units", "gauge", "Units read and not answered.", ("zone",))
OLDEST_UNANSWERED = Metric(
    "treeward_oldest_unanswered_seconds", "gauge", "Age of the oldest unit without an outcome.", ("zone",)
)
ROWS = Metric("treeward_rows", "gauge", "Processes in use.", ("zone", "pod"))
OWNER_EPOCH = Metric(
    "treeward_owner_epoch", "gauge", "Epoch of a branch owned here, 0 when it is not.", ("zone", "pod")
)
HOSTS_ISOLATED = Metric(
    "treeward_hosts_isolated", "gauge", "Hosts of a zone that are isolated: nothing on them may act.", ("zone",)
)
BRANCH_OWNED = Metric(
    "treeward_branch_owned",
    "gauge",
    "1 if a zone or pod has an owner that acts, as its supervisor sees it.",
    ("zone", "pod"),
)
UNITS_IN_DOUBT = Metric(
    "treeward_units_in_doubt", "gauge", "Units that may have begun at their device, without its word.", ("zone", "pod")
)
OLDEST_IN_DOUBT = Metric(
    "treeward_oldest_in_doubt_seconds", "gauge", "How long the oldest unit in doubt has been so.", ("zone", "pod")
)
ZONES_DEALT = Metric("treeward_zones_dealt", "gauge", "Zones that this orchestrator dispatches for.")
LOOP_LAG = Metric("treeward_loop_lag_seconds", "gauge", "Longest hold-up of the event loop within the last 10 s.")
CONNECTED = Metric("treeward_nats_connected", "gauge", "1 while NATS can be reached.")
JETSTREAM_SILENCE = Metric(
    "treeward_jetstream_silence_seconds", "gauge", "How long the leader of a log has not answered; 0 while it does."
)

UNIT_DURATION = Metric(
    "treeward_unit_duration_seconds", "histogram", "From submit to outcome.", ("zone", "outcome"), LONG_S
)
PROCESS_DURATION = Metric(
    "treeward_process_duration_seconds",
    "histogram",
    "From being taken to the commit of the outcome.",
    ("zone",),
    SHORT_S,
)
MAILBOX_DURATION = Metric(
    "treeward_mailbox_wait_seconds", "histogram", "From sending to being taken.", ("zone",), SHORT_S
)
DEVICE_CALL_DURATION = Metric(
    "treeward_device_call_duration_seconds", "histogram", "One device request.", ("zone", "verb"), SHORT_S
)
APPEND_DURATION = Metric(
    "treeward_append_duration_seconds", "histogram", "From append to its answer.", ("zone",), SHORT_S
)
HANDOFF_DURATION = Metric(
    "treeward_handoff_duration_seconds", "histogram", "From the order to move to `handed_off`.", ("zone",), SHORT_S
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
