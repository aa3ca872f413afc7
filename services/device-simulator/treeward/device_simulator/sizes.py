"""What a resource takes of its host, or a host has to give, in whole numbers so that sums stay exact."""

from typing import Any, NamedTuple


class Size(NamedTuple):
    """Capacity taken or given: thousandths of CPUs and GPUs, MiB of memory, GiB of disk. Also a difference of two."""

    cpus_milli: int = 0
    memory_mib: int = 0
    gpus_milli: int = 0
    disk_gib: int = 0

    def plus(self, other: "Size") -> "Size":
        """The sum, field by field."""
        return Size(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])

    def minus(self, other: "Size") -> "Size":
        """The difference, field by field."""
        return Size(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3])


NOTHING = Size()
_NAMES = ("cpus", "MiB memory", "gpus", "GiB disk")
_UNITS = (1000, 1, 1000, 1)


def size_of(kind: str, definition: dict[str, Any]) -> Size:
    """What a definition of this kind takes, or, for a host, gives."""
    if kind == "volume":
        return Size(disk_gib=definition["size_gib"])
    if kind in {"vm", "host"}:
        cpus_milli, gpus_milli = round(definition["cpus"] * 1000), round(definition["gpus"] * 1000)
        return Size(cpus_milli, definition["memory_mib"], gpus_milli, definition.get("disk_gib", 0))
    return NOTHING


def shortage_of(capacity: Size, used: Size, needed: Size) -> str | None:
    """Say what is short if `needed` comes on top of `used`; None: there is room. What is not needed is never short."""
    for name, unit, has, takes, wants in zip(_NAMES, _UNITS, capacity, used, needed, strict=True):
        if wants > 0 and takes + wants > has:
            return f"has only {(has - takes) / unit:g} of {has / unit:g} {name} left, {wants / unit:g} more are needed"
    return None
