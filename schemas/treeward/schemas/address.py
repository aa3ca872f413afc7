"""The address of a resource: `<zone>.<kind>.<id>`.

Inside one zone a resource is named by its key, `<kind>.<id>`: one string, which is what rows, subjects and the
state bucket are keyed by.
"""

import re
from typing import NamedTuple

TOKEN_PATTERN = r"[A-Za-z0-9_-]{1,64}"
TOKEN_RULE = "1 to 64 of the characters A-Z a-z 0-9 _ -"
_TOKEN = re.compile(TOKEN_PATTERN)
_KEY = re.compile(rf"({TOKEN_PATTERN})\.({TOKEN_PATTERN})")

ROOT = "root"
"""The zone that zones are resources of."""

ZONE_PARTITION = "zone"
"""The mailbox partition of a zone supervisor; therefore no name for a pod."""

RESERVED = frozenset({ROOT, ZONE_PARTITION})

SUPERVISED_KINDS = frozenset({"zone", "pod"})
"""Kinds that are never placed: their supervisor answers for them."""


class InvalidAddressError(ValueError):
    """An address has a part that cannot be one; the message names the part and the rule. Nothing was sent."""


def is_token(text: str) -> bool:
    """Whether `text` can be a part of an address."""
    return _TOKEN.fullmatch(text) is not None


def parse_branch(branch: str) -> tuple[str, str]:
    """Zone and mailbox partition of a branch: `zone-a` stands for its partition `zone`, `zone-a.pod-1` for `pod-1`."""
    zone, _, pod = branch.partition(".")
    return zone, pod or ZONE_PARTITION


class Address(NamedTuple):
    """What names a resource everywhere: its zone, its kind and its id."""

    zone: str
    kind: str
    id: str

    @property
    def key(self) -> str:
        """The name inside the zone, `<kind>.<id>`."""
        return f"{self.kind}.{self.id}"

    def __str__(self) -> str:
        return f"{self.zone}.{self.kind}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `<zone>.<kind>.<id>`; raises InvalidAddressError naming the part that is wrong."""
        parts = text.split(".")
        if len(parts) != 3:
            raise InvalidAddressError(f"address {text!r}: must be <zone>.<kind>.<id>, for example zone-a.vm.web-1")
        for name, part in zip(("zone", "kind", "id"), parts, strict=True):
            if not is_token(part):
                raise InvalidAddressError(f"address {text!r}: {name} {part!r} must be {TOKEN_RULE}")
        return cls(*parts)


def problem_of(zone: str, key: str) -> str | None:
    """What is wrong with an address that came from a subject; None if nothing is."""
    found = _KEY.fullmatch(key)
    if found is not None and zone != ROOT and is_token(zone) and found[1] not in SUPERVISED_KINDS:
        return None  # what nearly every one is, with one look at it
    kind, _, id_ = key.partition(".")
    for name, part in (("zone", zone), ("kind", kind), ("id", id_)):
        if not is_token(part):
            return f"{name}: {part!r} must be {TOKEN_RULE}"
    if kind in SUPERVISED_KINDS and id_ in RESERVED:
        return f"id: {id_!r} is reserved and names no {kind}"
    if kind == "zone" and zone != ROOT:
        return f"kind: a zone is a resource of root; send this to tw.work.root.zone.{id_}"
    if kind != "zone" and zone == ROOT:
        return f"kind: root holds zones only, not {kind!r}; send this to tw.work.<zone>.{key}"
    return None
