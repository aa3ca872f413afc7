"""What a definition asks of a place: quantities, labels, and whom to be near or apart from.

Definitions may come from a device, which may say anything: what cannot be read asks for nothing.
"""

from typing import Any, NamedTuple

from treeward.supervision.anti_affinity import AntiAffinity

AMOUNT_MAX = 2**62
"""No quantity is more: what a device says may be any number, and infinity is none."""
NUMBERS = (int, float)
"""Made once: a takeover reads the definition of everything in the zone."""


class Demand(NamedTuple):
    """What a resource takes of its host: thousandths of a CPU and of a GPU, MiB, GiB."""

    cpu_milli: int = 0
    memory_mib: int = 0
    gpu_milli: int = 0
    disk_gib: int = 0

    def plus(self, other: "Demand") -> "Demand":
        """The sum."""
        return Demand(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])

    def minus(self, other: "Demand") -> "Demand":
        """The difference."""
        return Demand(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3])

    def fits(self, free: "Demand") -> bool:
        """Whether `free` has room for it."""
        return self[0] <= free[0] and self[1] <= free[1] and self[2] <= free[2] and self[3] <= free[3]


NOTHING = Demand()


class Need(NamedTuple):
    """What a definition asks of a place. A value like any other: a million placed resources share a few."""

    demand: Demand = NOTHING
    requires: tuple[tuple[str, str], ...] = ()
    """Labels that its host must have, by name."""
    spread: str | None = None
    """The group whose members are spread over pods, then hosts."""
    apart: AntiAffinity | None = None

    @classmethod
    def of(cls, kind: str, definition: dict[str, Any] | None) -> "Need":
        """Read a definition."""
        spec = definition or {}
        spread, requires = spec.get("spread"), spec.get("requires")
        return cls(
            demand_of(kind, spec),
            tuple(sorted(texts(requires).items())) if requires else (),
            spread if isinstance(spread, str) else None,
            AntiAffinity.of(spec.get("anti_affinity")),
        )

    @property
    def labels(self) -> str:
        """The labels that it requires, for people."""
        return ", ".join(f"{name}={value}" for name, value in self.requires)


def texts(value: object) -> dict[str, str]:
    """Labels as they should be: texts by name."""
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(name, str) and isinstance(text, str)}


def amount(value: object, per: int = 1) -> int:
    """A quantity in whole parts; what is none counts as nothing."""
    if value is None or isinstance(value, bool) or not isinstance(value, NUMBERS) or not 0 <= value <= AMOUNT_MAX:
        return 0
    return round(value * per)


def demand_of(kind: str, definition: dict[str, Any] | None) -> Demand:
    """What a defined resource takes; also what a host offers."""
    if definition is None:
        return NOTHING
    if kind in ("vm", "host"):
        return Demand(
            amount(definition.get("cpus"), 1000),
            amount(definition.get("memory_mib")),
            amount(definition.get("gpus"), 1000),
            amount(definition.get("disk_gib")),
        )
    if kind == "volume":
        return Demand(disk_gib=amount(definition.get("size_gib")))
    return NOTHING
