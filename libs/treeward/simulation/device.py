"""A device in memory: PROTOCOL table 4 in front of a small data centre, with books that judge the run.

It has its own idea of what can be done (a second create is refused, a destroy needs something to destroy), so a unit
that came twice or in the wrong order would show in what it refuses as well as in its books.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.device import Answer, Status
from treeward.schemas.units import complete_spec
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.trace import Trace

Reply = Callable[[Answer], None]

REMEMBERS = 8
"""How many answered tickets of each address a device remembers, if a plan does not say otherwise."""


@dataclass(slots=True)
class Entry:
    """One call, or one thing made or moved by a synchronize, in the books. `device` counts globally, all devices."""

    device: str
    key: str
    verb: str
    ticket: int
    life: int
    owner: str
    operation: str
    began_s: float
    ended_s: float | None = None
    outcome: str = ""


@dataclass(slots=True)
class Thing:
    """What exists."""

    host: str | None
    definition: dict[str, Any]


@dataclass(slots=True)
class Progress:
    """A call between its beginning and its end."""

    entry: Entry
    fields: dict[str, Any]
    waiting: list[tuple[int, Reply]]
    hangs: bool = False


@dataclass(slots=True)
class DeviceTrouble:
    """How likely things go wrong at a device, each in [0, 1]."""

    slow: float = 0.0
    hang: float = 0.0
    refuse: float = 0.0
    fail: float = 0.0
    lose: float = 0.0
    double: float = 0.0
    eat: float = 0.0
    """An answer is never given, although the connection lives."""
    unreachable: frozenset[str] = frozenset()
    """Hosts that do not answer."""
    unwilling: frozenset[str] = frozenset()
    """Hosts on which nothing is made, and to which nothing is moved."""


@dataclass(slots=True)
class Books:
    """All that all devices did, in order."""

    entries: list[Entry] = field(default_factory=list)
    on_begin: list[Callable[[Entry], None]] = field(default_factory=list)
    on_effect: list[Callable[[Entry], None]] = field(default_factory=list)


class SimulatedDevice:
    """One device; `name` is the address that agents know it by."""

    def __init__(
        self, name: str, loop: VirtualLoop, chance: Random, trace: Trace, books: Books, call_s: float,
        remembers: int = REMEMBERS,
    ) -> None:  # fmt: skip
        self.name = name
        self.remembers = remembers
        self.trouble = DeviceTrouble()
        self.records: dict[str, DeviceRecord] = {}
        self.things: dict[str, Thing] = {}
        self.books = books
        self._loop = loop
        self._chance = chance
        self._trace = trace
        self._call_s = call_s
        self._progress: dict[str, Progress] = {}
        self.isolated: set[str] = set()
        """`<zone>.<host>` of the hosts that were fenced."""
        self.dead = False
        """Its power is off, for ever: nothing is there any more, nothing takes effect, nobody answers."""

    def handle(self, seq: int, fields: dict[str, Any], reply: Reply) -> None:
        """Carry out one request: check and act are one step."""
        zone_key = f"{fields['zone']}.{fields['kind']}.{fields['id']}"
        if self.dead:
            return
        if fields["verb"] == "call":
            self._call(seq, zone_key, fields, reply)
        elif fields["verb"] == "observe":
            self._observe(seq, zone_key, fields, reply)
        else:
            self._synchronize(seq, zone_key, fields, reply)

    def record(self, key: str) -> DeviceRecord:
        """The record of an address; of one that nobody has asked for before, a fresh one that is not kept yet."""
        return self.records.get(key) or DeviceRecord(remembers=self.remembers)

    def clear(self) -> None:
        """No faults from now on; what hangs goes on."""
        self.trouble = DeviceTrouble()
        for key, progress in list(self._progress.items()):
            if progress.hangs:
                self._finish(key, progress)

    def die(self) -> None:
        """What is in progress never takes effect, and what exists is gone."""
        self.dead = True
        for progress in self._progress.values():
            progress.entry.ended_s, progress.entry.outcome = self._loop.now_s, "broken_off"
        self._progress.clear()
        self.things.clear()
        self._trace.add("dies", self.name)

    # inside

    def _is_isolated(self, key: str, host: str | None) -> bool:
        zone, kind, _ = key.split(".")
        return kind != "host" and f"{zone}.{host}" in self.isolated

    def _isolate(self, key: str) -> None:
        """Fence a host: what is in progress on it never takes effect."""
        host = key.rpartition(".")[2]
        self.isolated.add(_fence_of(key))
        self._trace.add("isolated", self.name, key)
        for other, progress in list(self._progress.items()):
            if self._is_isolated(other, self._host_of(other, progress.fields)):
                del self._progress[other]
                self.records[other].become_broken_off()
                progress.entry.ended_s, progress.entry.outcome = self._loop.now_s, "broken_off"
                for number, answer in progress.waiting:
                    answer(self._answer(number, other, Status.UNREACHABLE, f"host {host} was isolated"))

    def _carries(self, key: str) -> bool:
        """Whether something is on it; only hosts carry."""
        zone, _, host = key.split(".")
        return _is_host(key) and any(
            thing.host == host and not _is_host(other) and other.startswith(f"{zone}.")
            for other, thing in self.things.items()
        )

    def _host_of(self, key: str, fields: dict[str, Any]) -> str | None:
        thing = self.things.get(key)
        return fields.get("host") or (thing.host if thing is not None else None)

    def _observe(self, seq: int, key: str, fields: dict[str, Any], reply: Reply) -> None:
        host = self._host_of(key, fields)
        away = host in self.trouble.unreachable or self._is_isolated(key, host)
        reply(self._tell(seq, key, Status.UNREACHABLE if away else Status.OK, None))

    def _synchronize(self, seq: int, key: str, fields: dict[str, Any], reply: Reply) -> None:
        host = self._host_of(key, fields)
        away = host in self.trouble.unreachable
        if away and not _is_host(key):
            reply(self._tell(seq, key, Status.UNREACHABLE, f"host {host} does not answer"))
            return
        record = self.records.setdefault(key, DeviceRecord(remembers=self.remembers))
        decision = record.decide_synchronize(life=fields["life"], owner=fields["owner"])
        if decision is not Decision.ACCEPT:
            reply(self._tell(seq, key, Status(decision.name.lower()), None))
            return
        record.become_accepted(life=fields["life"], owner=fields["owner"], emptied=bool(fields.get("absent")))
        if away:  # a host's record is kept here, not there
            reply(self._tell(seq, key, Status.UNREACHABLE, f"host {host} does not answer"))
            return
        if self._is_isolated(key, host):
            answer = self._tell(seq, key, Status.UNREACHABLE, f"host {host} is isolated")
            answer.isolated = True
            reply(answer)
            return
        thing = self.things.get(key)
        if fields.get("absent"):
            if self.things.pop(key, None) is not None:
                self._note(key, fields, "synchronize", "remove")
        elif thing is None:
            if fields.get("definition") is not None and record.decide_make(life=fields["life"]):
                if host in self.trouble.unwilling:
                    reply(self._tell(seq, key, Status.FAILED, f"host {host} makes nothing (injected)"))
                    return
                self.things[key] = Thing(host, dict(fields["definition"]))
                self._note(key, fields, "synchronize", "make")
        elif host is not None and thing.host != host and record.in_progress is None:
            if host in self.trouble.unwilling:
                reply(self._tell(seq, key, Status.FAILED, f"host {host} takes nothing (injected)"))
                return
            thing.host = host
            self._note(key, fields, "synchronize", "move")
        reply(self._tell(seq, key, Status.OK, None))

    def _call(self, seq: int, key: str, fields: dict[str, Any], reply: Reply) -> None:
        host = self._host_of(key, fields)
        away = host in self.trouble.unreachable and fields["operation"] != "isolate"
        if away or self._is_isolated(key, host):
            reply(self._answer(seq, key, Status.UNREACHABLE, f"host {host} does not answer"))
            return
        record = self.records.setdefault(key, DeviceRecord(remembers=self.remembers))
        decision = record.decide_call(life=fields["life"], owner=fields["owner"], ticket=fields["ticket"])
        match decision:
            case Decision.RUN:
                self._begin(seq, key, fields, record, reply)
            case Decision.JOIN:
                self._progress[key].waiting.append((seq, reply))
            case Decision.REMEMBERED:
                known = record.recall(fields["ticket"])
                reply(self._answer(seq, key, Status.APPLIED if known.applied else Status.REFUSED, known.reason))
            case _:
                reply(self._answer(seq, key, Status(decision.name.lower()), None))

    def _begin(self, seq: int, key: str, fields: dict[str, Any], record: DeviceRecord, reply: Reply) -> None:
        trouble, chance = self.trouble, self._chance
        record.become_begun(life=fields["life"], owner=fields["owner"], ticket=fields["ticket"])
        entry = Entry(
            self.name,
            key,
            "call",
            fields["ticket"],
            fields["life"],
            fields["owner"],
            fields["operation"],
            self._loop.now_s,
        )
        self.books.entries.append(entry)
        for watch in self.books.on_begin:
            watch(entry)
        self._trace.add(
            "begins",
            self.name,
            key,
            fields["operation"],
            str(fields["ticket"]),
            f"life {fields['life']}",
            fields["owner"],
        )
        progress = self._progress[key] = Progress(entry, fields, [(seq, reply)])
        if chance.random() < trouble.hang:
            progress.hangs = True
            return
        delay_s = chance.uniform(0.05, 1.0) * self._call_s
        if chance.random() < trouble.slow:
            delay_s = chance.uniform(0.05, 6.0)
        self._loop.call_later(delay_s, self._finish, key, progress, context=self._loop.world)

    def _finish(self, key: str, progress: Progress) -> None:
        if self._progress.get(key) is not progress:
            return
        del self._progress[key]
        entry, fields, record = progress.entry, progress.fields, self.records[key]
        entry.ended_s = self._loop.now_s
        chance = self._chance
        reason: str | None
        if chance.random() < self.trouble.fail:
            status, reason = Status.FAILED, "ended halfway (injected)"
            record.become_broken_off()
        else:
            reason = "refused (injected)" if chance.random() < self.trouble.refuse else self._carry_out(key, fields)
            status = Status.APPLIED if reason is None else Status.REFUSED
            record.become_answered(applied=reason is None, reason=reason)
        entry.outcome = status.value
        self._trace.add(status.value, self.name, key, fields["operation"], str(fields["ticket"]), reason or "")
        if status is Status.APPLIED:
            for watch in self.books.on_effect:
                watch(entry)
        for seq, reply in progress.waiting:
            reply(self._answer(seq, key, status, reason))

    def _carry_out(self, key: str, fields: dict[str, Any]) -> str | None:
        """Change the data centre, or say why not."""
        thing = self.things.get(key)
        operation, spec = fields["operation"], fields.get("spec") or {}
        if operation == "create":
            if thing is not None:
                return f"{key} exists already"
            self.things[key] = Thing(fields.get("host"), complete_spec(fields["kind"], "create", spec))
            return None
        if operation == "restore":
            host = thing.host if thing is not None else fields.get("host")
            self.things[key] = Thing(host, dict(spec["definition"]))
            return None
        if thing is None:
            return f"{key} does not exist"
        if operation == "destroy" and self._carries(key):
            return f"{key} still carries something"
        if operation == "destroy":
            del self.things[key]
            self.isolated.discard(_fence_of(key))
        elif operation == "isolate":
            self._isolate(key)
        elif operation in ("start", "stop"):
            if thing.definition.get("running", True) is (operation == "start"):
                return f"{key} is so already"
            thing.definition = {**thing.definition, "running": operation == "start"}
        else:
            thing.definition = {
                **thing.definition,
                **{name: value for name, value in spec.items() if value is not None},
            }
        return None

    def _note(self, key: str, fields: dict[str, Any], verb: str, operation: str) -> None:
        now_s = self._loop.now_s
        entry = Entry(self.name, key, verb, 0, fields["life"], fields["owner"], operation, now_s, now_s, "applied")
        self.books.entries.append(entry)
        self._trace.add(operation, self.name, key, f"life {fields['life']}", fields["owner"])
        for watch in self.books.on_effect:
            watch(entry)

    def _tell(self, seq: int, key: str, status: Status, reason: str | None) -> Answer:
        """An answer to synchronize or observe: with all that is remembered."""
        answer = self._answer(seq, key, status, reason)
        record = self.record(key)
        answer.remembers, answer.recent = record.remembers, list(record.recent)
        return answer

    def _answer(self, seq: int, key: str, status: Status, reason: str | None) -> Answer:
        record = self.record(key)
        thing = self.things.get(key)
        return Answer(
            seq=seq,
            status=status,
            reason=reason,
            high=record.high,
            owner=record.owner,
            last=record.last,
            last_applied=record.applied,
            last_reason=record.reason,
            begun=record.begun,
            exists=thing is not None,
            definition=dict(thing.definition) if thing is not None else None,
            observed={"host": thing.host, "state": "present"} if thing is not None else None,
            isolated=_is_host(key) and _fence_of(key) in self.isolated,
        )


def _is_host(key: str) -> bool:
    return key.split(".")[1] == "host"


def _fence_of(key: str) -> str:
    """How `isolated` has the host of this key."""
    zone, _, host = key.split(".")
    return f"{zone}.{host}"
