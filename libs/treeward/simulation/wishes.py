"""What the clients of a run ask for: sensible sequences in bursts, steering, and now and then nonsense."""

from datetime import UTC, datetime
from random import Random
from typing import Any

from treeward.simulation.plan import Shape, Wish, device_of, zone_name

READY_S = 2.5
"""When most clients begin; zones, pods and hosts are asked for from the start."""
EPOCH_MS = 1_700_000_000_000
NONSENSE = (b"", b"{", b'{"operation": "fly"}', b'{"operation": "create", "spoc": {}}', b"[]", b'{"operation": 7}')
OPERATIONS = {
    "vm": ("destroy", "destroy", "stop", "start", "resize", "migrate", "migrate"),
    "volume": ("destroy", "resize", "migrate"),
    "thing": ("destroy", "kick"),
}
POLICIES: dict[str, tuple[Any, ...]] = {
    "restarts_max": (0, 1, 20, None),
    "restart_period_s": (0.5, 5.0, None),
    "backoff_max_s": (0.2, 2.0, None),
    "order": ("fifo", "supersede", "destroy_supersedes", None),
    "restarts_per_s": (3.0, 100.0, None),
    "kinds": ({"vm": {"restarts_max": 0}}, {"vm": {"backoff_min_s": 0.05}}, {"vm": None}, None),
}
Body = dict[str, Any] | bytes


def set_up(shape: Shape) -> list[Wish]:
    """The zones, pods and hosts."""
    wishes: list[Wish] = []

    def want(zone: str, key: str, spec: dict[str, Any], *after: int) -> int:
        number = len(wishes)
        wishes.append(Wish(number, 0.01 * number, 0, zone, key, {"operation": "create", "spec": spec}, after=after))
        return number

    for number in range(shape.zones):
        zone = zone_name(number)
        want("root", f"zone.{zone}", {})
        for pod in range(shape.pods):
            name = f"pod-{pod}"
            device = {"device": device_of(shape, zone, name)} if shape.device_per_pod else {}
            made = want(zone, f"pod.{name}", device)
            for host in range(shape.hosts_per_pod):
                spec = {"pod": name, "cpus": shape.cpus_per_host, "memory_mib": 65536, "disk_gib": 4096}
                want(zone, f"host.host-{pod}{host}", spec, made)
    return wishes


class Wisher:
    """Makes up the units of one run, with an idea of what may exist by then."""

    def __init__(self, shape: Shape, chance: Random, first: int) -> None:
        self.wishes: list[Wish] = []
        self._shape = shape
        self._chance = chance
        self._first = first
        self._exists: set[tuple[str, str]] = set()
        self._units: dict[tuple[str, str], list[int]] = {}
        keys = [f"vm.vm-{number}" for number in range(chance.choice((1, 1, 2, 3, 5)))]
        keys += [f"volume.volume-{number}" for number in range(chance.choice((0, 1)))]
        self._may_isolate = not shape.device_per_pod and chance.random() < 0.15
        self._keys = keys + (["thing.thing-0"] if chance.random() < 0.3 else [])

    def wish_all(self, count: int, end_s: float) -> list[Wish]:
        """About `count` units until `end_s`, in bursts of several for one resource."""
        chance = self._chance
        begin_s = READY_S * chance.choice((0.3, 1.0))
        bursts: list[tuple[float, int]] = []
        while sum(size for _, size in bursts) < count:
            bursts.append((chance.uniform(begin_s, end_s), chance.choice((1, 1, 2, 3, 5, 8))))
        for burst_s, size in sorted(bursts):
            place = zone_name(chance.randrange(self._shape.zones)), chance.choice(self._keys)
            spacing_s = chance.choice((0.0, 0.002, 0.05, 0.3))
            if self._may_isolate and chance.random() < 0.3:
                self._isolate(place[0], burst_s + chance.uniform(-0.2, 0.5))
            for number in range(size):
                self._wish(place, burst_s + number * spacing_s * chance.random())
        return self.wishes

    def _wish(self, place: tuple[str, str], at_s: float) -> None:
        chance = self._chance
        mine = self._units.setdefault(place, [])
        body, names = self._body(place, mine, at_s)
        number = self._first + len(self.wishes)
        others = [wish.number for wish in self.wishes if wish.zone == place[0]]
        after: tuple[int, ...] = ()
        if others and isinstance(body, dict) and chance.random() < 0.08:
            after = (chance.choice(others[-6:]),)
        receipt = names is not None or chance.random() < 0.8
        self.wishes.append(Wish(number, at_s, chance.randrange(2), *place, body, names, after, receipt))
        mine.append(number)

    def _isolate(self, zone: str, at_s: float) -> None:
        """Somebody gives a host up."""
        chance, shape = self._chance, self._shape
        host = f"host.host-{chance.randrange(shape.pods)}{chance.randrange(shape.hosts_per_pod)}"
        number = self._first + len(self.wishes)
        body: dict[str, Any] = {"operation": "isolate"}
        if chance.random() < 0.5:
            body["deadline"] = _deadline(at_s + chance.choice((0.05, 0.5, 3.0)))
        self.wishes.append(Wish(number, at_s, chance.randrange(2), zone, host, body))
        if chance.random() < 0.3:
            when_s = at_s + chance.choice((0.01, 0.2, 1.0))
            cancel = {"operation": "cancel", "reason": "changed my mind"}
            self.wishes.append(Wish(number + 1, when_s, chance.randrange(2), zone, host, cancel, number))
        if chance.random() < 0.5:  # what is on it goes elsewhere, and it is made anew under its name
            spec = {"pod": f"pod-{host[-2]}", "cpus": shape.cpus_per_host, "memory_mib": 65536, "disk_gib": 4096}
            for again_s, made in ((1.0, {"operation": "destroy"}), (1.2, {"operation": "create", "spec": spec})):
                number = self._first + len(self.wishes)
                self.wishes.append(Wish(number, at_s + again_s, chance.randrange(2), zone, host, made))

    def _body(self, place: tuple[str, str], mine: list[int], at_s: float) -> tuple[Body, int | None]:
        """The body of a unit, and the wish that it names."""
        chance = self._chance
        roll = chance.random()
        if roll < 0.03:
            return chance.choice(NONSENSE), None
        if mine and roll < 0.13:
            return {"operation": "cancel", "reason": "changed my mind"}, chance.choice(mine[-3:])
        if mine and roll < 0.15:
            return {"operation": "retry"}, chance.choice(mine[-3:])
        if roll < 0.20:
            return {"operation": chance.choice(("pause", "resume", "resume", "release"))}, None
        create = place not in self._exists and chance.random() < 0.9
        body = self._create(place, at_s) if create else self._change(place, at_s)
        body["on_failure"] = chance.choice(("wait", "wait", "wait", "fail", "reallocate"))
        if chance.random() < 0.2:
            body["attempts_max"] = chance.choice((1, 2))
        if chance.random() < 0.04:
            body["order"] = "supersede"
        return body, None

    def _create(self, place: tuple[str, str], at_s: float) -> dict[str, Any]:
        chance = self._chance
        kind = place[1].partition(".")[0]
        self._exists.add(place)
        specs: dict[str, dict[str, Any]] = {
            "vm": {"cpus": chance.choice((1, 2, 4)), "memory_mib": 512},
            "volume": {"size_gib": 10},
            "thing": {"size": 1},
        }
        spec = specs[kind]
        if kind == "vm" and chance.random() < 0.3:
            spec["spread"] = "together"
        body: dict[str, Any] = {"operation": "create", "spec": spec}
        if self._shape.tight:  # it may fit nowhere for long
            body["deadline"] = _deadline(at_s + chance.uniform(0.5, 6.0))
        return body

    def _change(self, place: tuple[str, str], at_s: float) -> dict[str, Any]:
        chance, shape = self._chance, self._shape
        kind = place[1].partition(".")[0]
        operation = chance.choice(OPERATIONS[kind])
        body: dict[str, Any] = {"operation": operation}
        if operation == "destroy":
            self._exists.discard(place)
        elif operation == "resize":
            vm, volume = {"memory_mib": 512 + 64 * chance.randint(1, 8)}, {"size_gib": chance.randint(11, 99)}
            body["spec"] = volume if kind == "volume" else vm
        elif operation == "migrate" and chance.random() < 0.5:
            body["spec"] = {"host": f"host-{chance.randrange(shape.pods)}{chance.randrange(shape.hosts_per_pod)}"}
        if chance.random() < 0.1:
            body["deadline"] = _deadline(at_s + chance.choice((-5.0, 0.05, 0.5, 3.0)))
        return body


def configure(shape: Shape, chance: Random, first: int, end_s: float) -> list[Wish]:
    """Policies that people set while the run goes on, of anything, some of them nonsense."""
    wishes = []
    for number in range(first, first + chance.choice((1, 2, 4))):
        zone = zone_name(chance.randrange(shape.zones))
        pod = chance.randrange(shape.pods)
        host = f"host.host-{pod}{chance.randrange(shape.hosts_per_pod)}"
        place = chance.choice((("root", f"zone.{zone}"), (zone, f"pod.pod-{pod}"), (zone, host), (zone, "vm.vm-0")))
        spec: dict[str, Any] = {}
        for name, values in POLICIES.items():
            if chance.random() < 0.4:
                spec[name] = chance.choice(values)
        body = {"operation": "configure", "spec": spec, "reason": "on trial"}
        wishes.append(Wish(number, chance.uniform(READY_S, end_s), chance.randrange(2), *place, body))
    return wishes


def on_drift(shape: Shape, chance: Random, first: int, end_s: float) -> list[Wish]:
    """What is to be done about what others change, as people set it for pods and single resources while it goes on."""
    wishes = []
    for number in range(first, first + chance.choice((1, 2, 4))):
        zone = zone_name(chance.randrange(shape.zones))
        pod = f"pod.pod-{chance.randrange(shape.pods)}"
        key = chance.choice((pod, pod, "vm.vm-0"))
        policy = chance.choice(("report", "restore", "restore", "accept"))
        at_s = chance.choice((READY_S - 0.5, READY_S - 0.5, chance.uniform(READY_S, end_s)))
        body = {"operation": "configure", "spec": {"on_drift": policy}}
        wishes.append(Wish(number, at_s, chance.randrange(2), zone, key, body))
    return wishes


def crowd(shape: Shape, chance: Random, first: int, at_s: float) -> list[Wish]:
    """As many as fit of which each is asked for something at the same time."""
    count = 4 if shape.tight else chance.choice((4, 8, 12))
    bodies: list[dict[str, Any]] = [{"operation": "create", "spec": {"cpus": 0.1, "memory_mib": 16}}]
    bodies.append({"operation": "stop", "attempts_max": 1000})
    wishes: list[Wish] = []
    for index, body in enumerate(bodies):
        for one in range(count):
            when_s = at_s + chance.uniform(0.0, 0.05) if index else READY_S - 0.5
            wishes.append(Wish(first + len(wishes), when_s, one % 2, zone_name(0), f"vm.crowd-{one}", body))
    return wishes


def hot(chance: Random, first: int, at_s: float) -> list[Wish]:
    """Many units for one resource at once, of which each can be carried out, or is refused for what came before."""
    bodies: list[dict[str, Any]] = []
    for number in range(chance.choice((12, 24, 40))):
        resize = {"operation": "resize", "spec": {"memory_mib": 64 + number}}
        body: dict[str, Any] = chance.choice((resize, resize, {"operation": "stop"}, {"operation": "start"}))
        if chance.random() < 0.08:
            body = {"operation": chance.choice(("destroy", "migrate", "pause", "resume"))}
        bodies.append({**body, "on_failure": chance.choice(("wait", "wait", "fail"))})
        if body["operation"] == "destroy":
            bodies.append({"operation": "create", "spec": {"cpus": 1, "memory_mib": 64}})
        elif body["operation"] == "pause":
            bodies.append({"operation": "resume"})
    wishes = [Wish(first, READY_S - 0.5, 0, zone_name(0), "vm.hot-0", {"operation": "create", "spec": {"cpus": 1}})]
    spacing_s = chance.choice((0.0, 0.002, 0.02))
    for number, body in enumerate(bodies):
        wishes.append(Wish(first + 1 + number, at_s + number * spacing_s, 0, zone_name(0), "vm.hot-0", body))
    if chance.random() < 0.5:
        named = chance.randrange(1, len(wishes))
        cancel = {"operation": "cancel", "reason": "changed my mind"}
        when_s = wishes[named].at_s + chance.choice((0.01, 0.1, 0.5))
        wishes.append(Wish(first + len(wishes), when_s, 1, zone_name(0), "vm.hot-0", cancel, first + named))
    return wishes


def _deadline(at_s: float) -> str:
    """A time of the run as RFC 3339."""
    whole, part = divmod(EPOCH_MS + int(at_s * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{part:03d}Z"
