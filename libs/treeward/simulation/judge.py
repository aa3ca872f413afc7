"""Judges a run while it goes on: the promises of DESIGN section 1, over the log, WORK and the books of the devices.

It sees everything at the moment it happens, so it can say what a look at the end cannot: that something took effect
*after* it was answered, that a call began while another was in progress, that a purge took what nobody has answered.
"""

from typing import Any, NamedTuple

from treeward.bus.interface import Stored
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, SUPERVISED_KINDS
from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.policies import OnDrift
from treeward.schemas.specs import NOT_FOR_THE_DEVICE
from treeward.schemas.units import InvalidUnitError, Unit, parse_unit
from treeward.simulation import remains
from treeward.simulation.device import Books, Entry, SimulatedDevice
from treeward.simulation.server import BusServer
from treeward.simulation.streams import Stream
from treeward.simulation.trace import Trace

VIOLATIONS_MAX = 50


class Violation(NamedTuple):
    """A promise that was broken."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


class Submitted(NamedTuple):
    """A unit as WORK has it; `unit` None: it is none."""

    key: str
    unit: Unit | None
    stored_s: float


class Answered(NamedTuple):
    """An outcome as the log has it."""

    type: EventType
    at_s: float
    position: int


class Judge:
    """Everything that the promises need to be judged, kept up to date; `violations` in the order of their discovery."""

    def __init__(self, server: BusServer, books: Books, devices: dict[str, SimulatedDevice], trace: Trace) -> None:
        self.violations: list[Violation] = []
        self.submitted: dict[tuple[str, int], Submitted] = {}
        self.answered: dict[tuple[str, int], Answered] = {}
        self.last: dict[tuple[str, str], tuple[int, Event]] = {}
        """Zone and key -> position and last event of each resource."""
        self.open = 0
        """Units that are accepted and not answered."""
        self.called_ahead = 0
        """Calls that began while the outcome of the call before was not stored (PROTOCOL S13)."""
        self.recalled = 0
        """Outcomes that an owner knew from its device, which had applied a later unit meanwhile."""
        self.tampered: set[str] = set()
        """Addresses at which somebody has changed a device."""
        self.lost_pods: list[tuple[str, str | None]] = []
        """Zone and pod whose device has died."""
        self._server = server
        self._books = books
        self._devices = devices
        self._trace = trace
        self._applied: dict[tuple[str, int], Entry] = {}
        self._in_progress: dict[str, Entry] = {}
        self._highest: dict[str, tuple[int, int]] = {}
        """Address -> highest ticket applied, highest life that took effect."""
        self._holds: dict[str, list[tuple[int, bool]]] = {}
        """Address -> its pauses (true) and resumes, by ticket."""
        self._at_devices: dict[tuple[str, str], list[Entry]] = {}
        """Device and address -> the calls whose outcomes it remembers, the oldest first, and then one that began."""
        self._left: remains.Places | None = None
        """What the devices had and remembered when everything was answered and quiet."""
        server.on_stored.append(self._on_stored)
        server.on_purged.append(self._on_purged)
        books.on_begin.append(self._on_begin)
        books.on_effect.append(self._on_effect)

    def note(self, rule: str, what: str) -> None:
        """A promise is broken."""
        if len(self.violations) >= VIOLATIONS_MAX:
            return
        self.violations.append(Violation(rule, what))
        self._trace.add("VIOLATION", rule, what)

    # the bus

    def _on_stored(self, stream: Stream, stored: Stored) -> None:
        name = stream.spec.name
        if name.startswith("LOG_"):
            event = codec.event_of(stored.data)
            if event is None:
                self.note("log", f"an event that cannot be read on {stored.subject}")
                return
            if event.type is not EventType.READY or self._trace.loud:
                self._trace.add("event", *_words(stored.position, event))
            self._on_event(stored.position, event)
        elif name.startswith("WORK_"):
            zone, key = subjects.parse_work(stored.subject)
            self._on_work(zone, key, stored)
        elif self._trace.loud and name.startswith("MAILBOX_"):
            self._trace.detail("mailbox", stored.subject, stored.data.decode()[:180])

    def _on_work(self, zone: str, key: str, stored: Stored) -> None:
        try:
            unit: Unit | None = parse_unit(stored.data, zone=zone, key=key, ticket=stored.position)
        except InvalidUnitError:
            unit = None
        self._trace.add(
            "accepted", f"{zone}.{key}", str(stored.position), unit.operation if unit is not None else "no unit"
        )
        self.submitted[zone, stored.position] = Submitted(key, unit, stored.time_s)
        self.open += 1
        if unit is not None and unit.operation in ("pause", "resume"):
            self._holds.setdefault(f"{zone}.{key}", []).append((stored.position, unit.operation == "pause"))

    def _on_event(self, position: int, event: Event) -> None:
        address, ticket = f"{event.zone}.{event.key}", event.ticket
        before = self.last.get((event.zone, event.key))
        if before is not None and event.answered < before[1].answered and event.type is not EventType.CLAIMED:
            self.note(
                "answered goes back",
                f"{address} {event.type} at {position}: {event.answered} after {before[1].answered}",
            )
        self.last[event.zone, event.key] = (position, event)
        if event.drift is not None and address not in self.tampered:
            self.note("drift that nobody made", f"{address} {event.type} at {position}: {event.drift}")
        if not event.is_outcome or ticket is None:
            return
        unit = self.submitted.get((event.zone, ticket))
        if unit is None or unit.key != event.key:
            self.note("answered unknown", f"{address} {event.type} of {ticket} at {position}")
            return
        known = self.answered.get((event.zone, ticket))
        if known is not None:
            self.note(
                "answered twice",
                f"{address} ticket {ticket}: {known.type} at {known.position}, {event.type} at {position}",
            )
            return
        self.open -= 1
        self.answered[event.zone, ticket] = Answered(event.type, self._server.now_s(), position)
        self.recalled += event.verdict is Verdict.DONE and ticket < self._highest.get(address, (0, 0))[0]
        if event.answered != ticket:
            self.note("answered", f"{address} {event.type} of {ticket} at {position} says answered {event.answered}")
        if before is not None and before[1].answered > ticket:
            self.note(
                "order of answers", f"{address} {event.type} of {ticket} at {position} after {before[1].answered}"
            )
        lost = before is not None and (_is_in_doubt(before[1], ticket, unit) or self._is_given_up(event, before[1]))
        self._effect_and_answer(event, ticket, position, unit, before[1] if before is not None else None, in_doubt=lost)

    def _is_given_up(self, event: Event, before: Event) -> bool:
        """Whether it says of a host that nobody can be asked: it can be nowhere else, so its pod's owner answers."""
        maybe = event.kind == "host" and event.verdict is Verdict.MAYBE_STARTED
        return maybe and self._was_in_isolated_pod(event.zone, before)

    def _was_in_isolated_pod(self, zone: str, before: Event | None) -> bool:
        """Whether a person had said that nothing of its pod acts any more: destroying it there needs no device."""
        pod = self.last.get((zone, f"pod.{before.pod}")) if before is not None else None
        return pod is not None and pod[1].isolated

    def _effect_and_answer(
        self, event: Event, ticket: int, position: int, unit: Submitted, before: Event | None, *, in_doubt: bool
    ) -> None:
        """`in_doubt`: its place was isolated, so it may have taken effect before (and says so), but not after."""
        applied = self._applied.get((event.zone, ticket))
        text = f"{event.zone}.{event.key} ticket {ticket} {event.type} at {position}"
        if in_doubt and (event.type is not EventType.FAILED or event.verdict is not Verdict.MAYBE_STARTED):
            self.note("certain of what nobody knows", text)
        if event.type is not EventType.COMPLETED:
            if applied is not None and not in_doubt:
                self.note("effect of what is not completed", f"{text}, applied at {applied.ended_s} by {applied.owner}")
        elif unit.unit is None:
            self.note("completed no unit", text)
        elif applied is None and event.kind not in SUPERVISED_KINDS and unit.unit.operation not in NOT_FOR_THE_DEVICE:
            given_up = unit.unit.operation == "destroy" and self._was_in_isolated_pod(event.zone, before)
            if not given_up:
                self.note("completed without effect", text)

    def _on_purged(self, stream: Stream, removed: list[Stored]) -> None:
        if not stream.spec.name.startswith("WORK_"):
            return
        zone = stream.spec.name.removeprefix("WORK_")
        history = self._server.streams[streams.work_history(zone)]
        for stored in removed:
            if (zone, stored.position) not in self.answered:
                self.note("purged unanswered", f"{zone} ticket {stored.position}")
            if stored.position not in history.messages:
                self.note("purged before the history had it", f"{zone} ticket {stored.position}")

    # the devices

    def _on_begin(self, entry: Entry) -> None:
        before = self._in_progress.get(entry.key)
        if before is not None and before.ended_s is None:
            self.note(
                "overlap",
                f"{entry.key}: {_call(entry)} while {_call(before)}",
            )
        self._in_progress[entry.key] = entry
        zone, _, _ = entry.key.partition(".")
        ticket, _ = self._highest.get(entry.key, (0, 0))
        if entry.ticket < ticket:
            self.note("order of effects", f"{entry.key}: ticket {entry.ticket} begins after {ticket} was applied")
        unit = self.submitted.get((zone, entry.ticket))
        if unit is None or unit.unit is None:
            self.note("called no unit", f"{entry.key} ticket {entry.ticket}")
            return
        for other in unit.unit.after:
            if (zone, other) in self.submitted and (zone, other) not in self.answered:
                self.note("after", f"{entry.key} ticket {entry.ticket} began before {other} was settled")
        self._check_pause(zone, entry)
        self._check_ahead(zone, entry)

    def _check_ahead(self, zone: str, entry: Entry) -> None:
        """What the device forgets by answering this call must be in the log, or nobody knows what it came to."""
        calls = self._at_devices.setdefault((entry.device, entry.key), [])
        known = [call for call in calls if call.outcome in ("applied", "refused")]
        self.called_ahead += bool(known) and (zone, known[-1].ticket) not in self.answered
        remembers = self._devices[entry.device].remembers
        if len(known) >= remembers and (zone, known[-remembers].ticket) not in self.answered:
            text = f"{_call(entry)} began while {known[-remembers].ticket} was not stored; it remembers {remembers}"
            self.note("forgotten before it was stored", f"{entry.key}: {text}")
        calls[:] = [*known[-remembers:], entry]

    def _check_pause(self, zone: str, entry: Entry) -> None:
        holds = self._holds.get(entry.key, ())
        pause = max((ticket for ticket, pauses in holds if pauses and ticket < entry.ticket), default=0)
        if not pause or any(ticket > pause and not pauses for ticket, pauses in holds):
            return
        answered = self.answered.get((zone, pause))
        if answered is None or answered.type is EventType.COMPLETED:
            self.note("pause", f"{entry.key} ticket {entry.ticket} began behind pause {pause}")

    def _on_effect(self, entry: Entry) -> None:
        zone, _, _ = entry.key.partition(".")
        ticket, life = self._highest.get(entry.key, (0, 0))
        if entry.life < life:
            self.note(
                "effect of a life that was replaced",
                f"{entry.key} ticket {entry.ticket} of life {entry.life} after {life}",
            )
        self._highest[entry.key] = (max(ticket, entry.ticket), max(life, entry.life))
        if entry.operation in ("create", "make", "restore"):
            elsewhere = [
                name for name, device in self._devices.items() if name != entry.device and entry.key in device.things
            ]
            if elsewhere:
                self.note("two objects", f"{entry.key} made at {entry.device} while it is at {elsewhere}")
        if not entry.ticket:
            return
        if entry.operation == "restore":
            self._check_restoration(zone, entry)
        applied = self._applied.get((zone, entry.ticket))
        if applied is not None:
            self.note(
                "applied twice",
                f"{entry.key}: {_call(entry)}, and {_call(applied)}",
            )
        self._applied[zone, entry.ticket] = entry
        if entry.ticket < ticket:
            self.note("order of effects", f"{entry.key}: ticket {entry.ticket} applied after {ticket}")
        answered = self.answered.get((zone, entry.ticket))
        if answered is not None:
            self.note(
                "effect after the answer",
                f"{entry.key} ticket {entry.ticket} was {answered.type} at {answered.position}",
            )

    def _check_restoration(self, zone: str, entry: Entry) -> None:
        """What is put back in order is what was desired until then, or somebody's unit would be undone."""
        key = entry.key.partition(".")[2]
        unit, known = self.submitted.get((zone, entry.ticket)), self.last.get((zone, key))
        if unit is None or unit.unit is None or known is None:
            return
        as_of = (unit.unit.spec or {}).get("answered", 0)
        if known[1].answered > as_of:
            text = f"{entry.key} ticket {entry.ticket}: as of {as_of}, and {known[1].answered} was answered since"
            self.note("undoes what was answered", text)

    # the end

    def is_paused(self, zone: str, key: str) -> bool:
        """Whether somebody has to resume the resource: the last word is a pause, or a resume was itself put off."""
        holds = self._holds.get(f"{zone}.{key}", [])
        last = self.last.get((zone, key))
        return any(pauses for _, pauses in holds[-1:]) or (last is not None and last[1].paused)

    def is_something_lost(self) -> bool:
        """Whether the log still has something in a pod whose device has died: it is to go on elsewhere."""
        return bool(self.lost_pods) and any(
            (zone, event.pod) in self.lost_pods and event.kind not in ("host", *SUPERVISED_KINDS)
            for (zone, _), (_, event) in self.last.items()
        )

    def is_something_unnoticed(self) -> bool:
        """Whether others have changed something that the log does not tell yet, or that is still to be restored."""
        for address in self.tampered:
            zone, _, key = address.partition(".")
            known = self.last.get((zone, key))
            if known is None:
                continue
            event = known[1]
            if event.drift is not None and event.drift.policy is OnDrift.RESTORE:
                return True
            here = [device.things[address].definition for device in self._devices.values() if address in device.things]
            if here != ([said] if (said := _said_to_exist(event)) is not None else []) and not event.existed:
                return True
        return False

    def unanswered(self) -> list[tuple[str, int, Submitted]]:
        """What is accepted and has no outcome."""
        return [
            (zone, ticket, unit)
            for (zone, ticket), unit in self.submitted.items()
            if (zone, ticket) not in self.answered
        ]

    def judge_end(self) -> None:
        """Everything is answered and quiet: what the log says must be what there is."""
        for zone, ticket, unit in self.unanswered():
            operation = unit.unit.operation if unit.unit is not None else "no unit"
            last = self.last.get((zone, unit.key))
            says = f"; last event: {' '.join(_words(last[0], last[1]))}" if last is not None else "; no event"
            self.note("unanswered", f"{zone}.{unit.key} ticket {ticket} ({operation}){says}")
        if self.unanswered():
            return
        self._left = remains.look(self._devices)
        here: dict[str, list[tuple[str, SimulatedDevice]]] = {}
        for name, device in self._devices.items():
            for key in device.things:
                here.setdefault(key, []).append((name, device))
        for (zone, key), (position, event) in self.last.items():
            if zone == ROOT or event.kind in SUPERVISED_KINDS:
                continue
            if event.kind == "host" and (zone, event.pod) in self.lost_pods:
                continue  # it went with its device
            self._judge_place(zone, key, position, event, here.pop(f"{zone}.{key}", []))
        for key in sorted(here):
            self.note("dangling", f"{key} is at a device, and nothing was ever said of it")

    def judge_late(self) -> None:
        """All programs are dead, and what was on its way has arrived: the devices are as `judge_end` found them."""
        if self._left is not None:
            for change in remains.changes(self._left, remains.look(self._devices)):
                self.note("changed after the end", change)

    def _judge_place(
        self, zone: str, key: str, position: int, event: Event, places: list[tuple[str, SimulatedDevice]]
    ) -> None:
        """What the last event says of a resource is what its device has, and no other device has it."""
        definition = _said_to_exist(event)
        if event.drift is not None and event.drift.policy is OnDrift.RESTORE:
            self.note("not restored", f"{zone}.{key}: {event.type} at {position} says {event.drift}")
        if len(places) > 1:
            self.note("two objects", f"{zone}.{key} is at {[name for name, _ in places]}")
        elif not places and definition is not None and not event.existed:
            self.note("honest", f"{zone}.{key} is defined by {event.type} at {position}, and at no device")
        elif places:
            thing = places[0][1].things[f"{zone}.{key}"]
            if definition != thing.definition or (event.host != thing.host and not event.existed):
                says, has = f"{definition} on {event.host}", f"{thing.definition} on {thing.host}"
                self.note("honest", f"{zone}.{key}: {event.type} at {position} says {says}, the device has {has}")


def _is_in_doubt(before: Event, ticket: int, unit: Submitted) -> bool:
    """Whether nobody can know what became of a unit: its place was isolated while it, or one before it, was called."""
    if before.last_unknown and before.ticket == ticket:
        return True
    callable_ = unit.unit is not None and unit.unit.operation not in NOT_FOR_THE_DEVICE
    if unit.unit is not None and unit.unit.deadline is not None:
        callable_ = callable_ and unit.unit.deadline.timestamp() > unit.stored_s  # else it is turned away at the door
    return before.may_have_begun(ticket) and callable_ and before.remembered(ticket) is None


def _said_to_exist(event: Event) -> dict[str, Any] | None:
    """What the last event of a resource says that its device has."""
    if event.drift is not None:
        return event.drift.definition
    return event.definition if event.pod is not None or event.existed else None


def _call(entry: Entry) -> str:
    return f"ticket {entry.ticket} of {entry.owner} at {entry.device}"


def _words(position: int, event: Event) -> tuple[str, ...]:
    words = [str(position), f"{event.zone}.{event.key}", str(event.type), f"life {event.life}"]
    if event.ticket is not None:
        words.append(f"ticket {event.ticket} {event.operation}")
    words.append(f"answered {event.answered}")
    if event.pod is not None:
        words.append(f"at {event.pod}/{event.host}")
    said = {name: getattr(event, name) for name in ("owner", "verdict", "reason")}
    words.extend(f"{name}: {value}" for name, value in said.items() if value is not None)
    words.extend(
        name
        for name in ("removed", "existed", "quarantined", "paused", "isolated", "last_unknown")
        if getattr(event, name)
    )
    if event.last is not None:
        words.append(f"last {event.last.ticket} {event.last.applied}")
    return tuple(words)
