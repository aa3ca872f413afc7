"""Members of one group that are not to share a host or a pod: who is where, and where another may go. Pure.

As schedulers have it: `required` is a rule that both sides keep, so a member that does not insist is kept away from one
that does; otherwise it is a preference, which gives way to want of room.
"""

from typing import NamedTuple


class AntiAffinity(NamedTuple):
    """What one member asks: no other of its group on its host, or in its pod."""

    group: str
    domain: str
    """`host` or `pod`."""
    required: bool

    @classmethod
    def of(cls, value: object) -> "AntiAffinity | None":
        """A definition may come from a device, which may say anything: what cannot be read asks for nothing."""
        if not isinstance(value, dict) or not isinstance(value.get("group"), str):
            return None
        return cls(
            value["group"], "pod" if value.get("domain") == "pod" else "host", value.get("required") is not False
        )


class Members:
    """How many of each group are on each host and in each pod."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, str, str], int] = {}
        """(group, domain, name) -> members there."""
        self._strict: dict[tuple[str, str, str], int] = {}
        """The same, of those who insist on being alone in that domain."""

    def count(self, apart: AntiAffinity, pod: str, host: str, by: int) -> None:
        """One more member there, or one less."""
        for domain, name in (("pod", pod), ("host", host)):
            _add(self._there, (apart.group, domain, name), by)
            if apart.required and apart.domain == domain:
                _add(self._strict, (apart.group, domain, name), by)

    def allow(self, apart: AntiAffinity, pod: str, host: str) -> bool:
        """Whether neither it nor anybody there insists on the contrary."""
        name = pod if apart.domain == "pod" else host
        if apart.required and (apart.group, apart.domain, name) in self._there:
            return False
        return (apart.group, "pod", pod) not in self._strict and (apart.group, "host", host) not in self._strict

    def crowd(self, apart: AntiAffinity, pod: str, host: str) -> tuple[int, int]:
        """How many others are in its own domain there, and in the other one: the fewer, the better."""
        in_pod = self._there.get((apart.group, "pod", pod), 0)
        on_host = self._there.get((apart.group, "host", host), 0)
        return (in_pod, on_host) if apart.domain == "pod" else (on_host, in_pod)


def _add(counts: dict[tuple[str, str, str], int], key: tuple[str, str, str], by: int) -> None:
    count = counts.get(key, 0) + by
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)
