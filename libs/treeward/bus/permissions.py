"""The one table of who may publish and subscribe what; the server's configuration is generated from it (`accounts`).

A list of subjects alone does not keep anybody out: the server itself publishes the answer to a request, and it does
not check the reply subject that came with it. Whoever may ask for one message could have it sent, unchanged, into any
log of the account, and whoever may submit could let a receipt fence an owner. So the accounts are part of the table:
whoever is not to be trusted with everything (the supervisors and the agents of each zone, each submitter and reader)
has an account of its own that imports by name what it is allowed, so a reply subject reaches nothing beyond that. See
ADR 5 and docs/credentials.md. Within one account no two subjects of a list overlap: what both of them import would be
delivered twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT

CORE: Final = "TREEWARD"
"""The account that has the streams: orchestrators, bootstrap and operators."""
SYSTEM: Final = "SYS"
API: Final = "$JS.API"
API_ELSEWHERE: Final = "tw.js"
"""How JetStream is called in the other accounts: under its own name the server looks for streams of theirs."""
REPLIES: Final = "_R_.>"
"""Answers to requests that came from another account."""

Role = Literal[
    "system", "bootstrap", "orchestrator", "operator", "backup", "restore",
    "zone-supervisor", "pod-agent", "submitter", "reader",
]  # fmt: skip
OWNER_TYPES: Final = tuple(type_ for type_ in subjects.EVENT_TYPES if type_ not in ("claimed", "placed", "forgotten"))
"""What the owner of a pod says; the rest is its zone supervisor's."""
PADDING: Final = "padding.padding"
"""A resource that nobody has: what raises the numbers of restored streams is addressed to it."""
VERBS: Final = ("PING", "INFO", "STATS")
ENDPOINTS: Final = ("state", "tree", "explain", "queued", "work")
STEER: Final = "steer"
"""The endpoint that submits: an operator's, not a reader's."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do; `everything`: no list at all (only where the whole account is the user's own)."""

    name: str
    role: Role
    account: str
    publish: tuple[str, ...] = ()
    publish_denied: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    everything: bool = False
    zone: str = ""
    """Of a zone's supervisors and agents."""
    zones: tuple[str, ...] = ()
    """Of orchestrators: those whose supervisors they claim for."""

    @property
    def inbox_prefix(self) -> str:
        """Where this user's answers go; nobody else of its account may listen there."""
        return f"_INBOX_{self.name}"

    @property
    def api_prefix(self) -> str:
        """Where JetStream's own requests go."""
        return API if self.account in (CORE, SYSTEM) else API_ELSEWHERE


def account_of(role: Role, name: str) -> str:
    """The account of one submitter or reader, or of a zone's supervisors or agents."""
    return f"{role.upper().replace('-', '_')}_{name}"


def filters(zone: str) -> dict[str, str]:
    """Stream of a zone > the subjects in it."""
    return {
        streams.work(zone): subjects.all_work_of_zone(zone),
        streams.work_history(zone): subjects.all_work_of_zone(zone),
        streams.log(zone): f"tw.log.{zone}.>",
        streams.mailbox(zone): f"tw.mailbox.{zone}.>",
        streams.state(zone): streams.state_subject(zone, ">"),
    }


def reading(api: str, zone: str, names: Iterable[str]) -> list[str]:
    """What `Bus.read`, `last`, `get` and `state` ask of these streams of a zone.

    The filter is part of the subject, and the server refuses a consumer whose configuration names another.
    """
    of = filters(zone)
    return [
        subject
        for name in names
        for subject in (
            f"{api}.STREAM.INFO.{name}",
            f"{api}.STREAM.MSG.GET.{name}",
            f"{api}.DIRECT.GET.{name}",
            f"{api}.DIRECT.GET.{name}.{of[name]}",  # the form that `nats kv get` uses
            f"{api}.CONSUMER.CREATE.{name}.*.{of[name]}",
            f"{api}.CONSUMER.MSG.NEXT.{name}.*",
        )
    ]


def questions(zone: str) -> list[str]:
    """The endpoints of `tw.api` for a zone, and the services protocol."""
    return [*(subjects.api(endpoint, zone) for endpoint in ENDPOINTS)]


def announcements() -> list[str]:
    """What `nats micro` asks."""
    return [f"$SRV.{verb}{rest}" for verb in VERBS for rest in ("", ".treeward", ".treeward.*")]


def place_of(zone: str) -> str:
    """Where the owner of a pod asks for a place elsewhere."""
    return subjects.owner_api("place", zone, "zone")


def system() -> Rights:
    """The server's own account: reports, and nothing of ours."""
    return Rights("system", "system", SYSTEM, everything=True)


def bootstrap() -> Rights:
    """`treeward provision`: makes root's streams, and can neither change nor remove any."""
    names = [spec.name for spec in streams.streams_of(ROOT, streams.Retention())]
    publish = [f"{API}.STREAM.{verb}.{name}" for verb in ("INFO", "CREATE") for name in names]
    return _rights("bootstrap", "bootstrap", CORE, publish, [])


def orchestrator(zones: Sequence[str]) -> Rights:
    """Reads and makes the zones' streams, sends into mailboxes and makes them anew, purges WORK, claims zones.

    Answers for no resource.
    """
    publish = ["tw.presence.orchestrator.*", REPLIES, "_INBOX_operator.>", "_INBOX_orchestrator.>", "tw.log.root.*.*.*"]
    publish += ["$SRV.PING.treeward.*", "tw.owner.*.*.*"]
    for zone in (ROOT, *zones):
        names = [spec.name for spec in streams.streams_of(zone, streams.Retention())]
        publish += [f"{API}.STREAM.CREATE.{name}" for name in names]
        publish += reading(API, zone, names)
        publish += [f"{API}.STREAM.PURGE.{streams.work(zone)}", f"tw.mailbox.{zone}.*.*.*", f"tw.work.{zone}.*.*"]
        publish += [f"{API}.STREAM.{verb}.{streams.mailbox(zone)}" for verb in ("DELETE", "UPDATE")]
        publish += [subjects.claim_of_zone(zone)] if zone != ROOT else []
    subscribe = ["tw.presence.*.*", subjects.event(ROOT, f"zone.{ROOT}", "claimed"), "tw.control.*"]
    subscribe += [subjects.ALL_CLOSED]
    subscribe += [subjects.owner_api("queued", "*", "dispatcher"), subjects.owner_api("explain", ROOT, "zone")]
    subscribe += [*(subjects.api(endpoint, "*") for endpoint in (*ENDPOINTS, STEER)), *announcements()]
    return replace(_rights("orchestrator", "orchestrator", CORE, publish, subscribe), zones=tuple(zones))


def operator(zones: Sequence[str]) -> Rights:
    """A person in charge: submits anywhere, root included (zones, steering), drains instances, reads everything."""
    publish = ["tw.control.*", *announcements()]
    for zone in (ROOT, *zones):
        publish += [f"tw.work.{zone}.*.*", *questions(zone), subjects.api(STEER, zone)]
        names = [name for name in filters(zone) if name != streams.mailbox(zone)]
        publish += reading(API, zone, names)
    return _rights("operator", "operator", CORE, publish, ["tw.event.>", "tw.presence.*.*"])


def backup() -> Rights:
    """`treeward backup`: copies whole streams, so it can read everything, and changes nothing."""
    publish = [f"{API}.STREAM.{verb}" for verb in ("NAMES", "INFO.*", "SNAPSHOT.*")]
    return _rights("backup", "backup", CORE, [*publish, "$JS.SNAPSHOT.ACK.>"], [])


def restore(zones: Sequence[str]) -> Rights:
    """`treeward restore`: makes streams of a copy and raises their numbers. For a bad day: kept where no pod has it."""
    publish = [f"{API}.STREAM.{verb}" for verb in ("NAMES", "INFO.*", "RESTORE.*")]
    publish += ["$JS.SNAPSHOT.RESTORE.>"]
    for zone in (ROOT, *zones):
        kept = [name for name in filters(zone) if name != streams.mailbox(zone)]
        publish += [f"{API}.STREAM.PURGE.{name}" for name in kept]
        publish += [subjects.work(zone, PADDING), subjects.log(zone, PADDING, "forgotten")]
    return _rights("restore", "restore", CORE, publish, [])


def zone_supervisor(zone: str) -> Rights:
    """Claims the pods of its zone and answers for all in it that has no pod; never the zone itself."""
    publish = [f"tw.log.{zone}.*.*.*", f"tw.work.{zone}.*.*", "tw.presence.zone-supervisor.*", REPLIES]
    publish += [f"{API_ELSEWHERE}.STREAM.INFO.{streams.work(zone)}"]
    publish += reading(API_ELSEWHERE, zone, (streams.log(zone), streams.mailbox(zone), streams.state(zone)))
    subscribe = [subjects.event(zone, "zone.*", "claimed"), subjects.event(zone, "pod.*", "claimed")]
    subscribe += [
        "tw.presence.pod-agent.*",
        subjects.ALL_CLOSED,
        subjects.owner_api("explain", zone, "*"),
        place_of(zone),
        "tw.control.*",
    ]
    publish += [place_of(zone), f"_INBOX_zone-supervisor_{zone}.>"]  # for pods that it owns itself
    denied = [subjects.claim_of_zone(zone)]
    account = account_of("zone-supervisor", zone)
    return _rights(f"zone-supervisor_{zone}", "zone-supervisor", account, publish, subscribe, denied, zone)


def pod_agent(zone: str) -> Rights:
    """Answers for what is placed in the pods of its zone. Claims, places and submits nothing; never sees WORK."""
    publish = [subjects.log(zone, "*.*", type_) for type_ in OWNER_TYPES]
    publish += ["tw.presence.pod-agent.*", REPLIES, place_of(zone)]
    publish += reading(API_ELSEWHERE, zone, (streams.log(zone), streams.mailbox(zone), streams.state(zone)))
    subscribe = [subjects.event(zone, "pod.*", "claimed"), subjects.owner_api("explain", zone, "*"), "tw.control.*"]
    denied = [f"tw.log.{zone}.{kind}.*.*" for kind in ("pod", "zone")]  # their supervisors answer for those
    account = account_of("pod-agent", zone)
    return _rights(f"pod-agent_{zone}", "pod-agent", account, publish, subscribe, denied, zone)


def submitter(name: str, addresses: Sequence[str]) -> Rights:
    """Submits for the addresses listed (`zone-a.vm.*`), and hears what becomes of them."""
    return _rights(
        f"submitter_{name}",
        "submitter",
        account_of("submitter", name),
        [f"tw.work.{address}" for address in addresses],
        [f"tw.event.{address}.*" for address in addresses],
    )


def reader(name: str, zones: Sequence[str]) -> Rights:
    """Reads logs, history and state of the zones listed, and asks about them."""
    publish = [*announcements()]
    subscribe = []
    for zone in zones:
        names = (streams.log(zone), streams.state(zone), streams.work_history(zone))
        publish += [*questions(zone), *reading(API_ELSEWHERE, zone, names)]
        subscribe += [f"tw.event.{zone}.*.*.*"]
    return _rights(f"reader_{name}", "reader", account_of("reader", name), publish, subscribe)


def _rights(
    name: str,
    role: Role,
    account: str,
    publish: Sequence[str],
    subscribe: Sequence[str],
    denied: Sequence[str] = (),
    zone: str = "",
) -> Rights:
    inbox = f"_INBOX_{name}.>"
    return Rights(name, role, account, tuple(publish), tuple(denied), (inbox, *subscribe), zone=zone)
