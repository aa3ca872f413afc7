"""Which policy holds for a process: the nearest branch that says something wins. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from treeward.supervision.limits import Limits

Said = Mapping[str, Any] | None
"""The policies of one resource or branch, as its last event carries them."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a process may begin again within a period, and the pause before it does (seconds)."""

    restarts_max: int
    period_s: float
    backoff_s_min: float
    backoff_s_max: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What a pod may spend on restarts as a whole."""

    restarts_per_s: float
    restarts_at_once: int
    patience_s: float
    """How long nothing may help before its parent is asked."""


def configured(known: Said, change: Said) -> dict[str, Any] | None:
    """The policies after a `configure`: what it names is replaced, null takes back, the rest stays; None: none left."""
    merged = dict(known or {})
    for name, value in (change or {}).items():
        if name == "kinds" and value is not None:
            kinds = dict(merged.get("kinds") or {})
            for kind, fields in value.items():
                kinds[kind] = configured(kinds.get(kind), fields) if fields is not None else None
            value = {kind: fields for kind, fields in kinds.items() if fields}
        merged[name] = value
    return {name: value for name, value in merged.items() if value not in (None, {})} or None


def effective(name: str, kind: str, chain: Iterable[Said]) -> Any | None:
    """What holds for a field: the first of `chain` (nearest first) that says it, for the kind or in general."""
    for said in chain:
        if said:
            value = ((said.get("kinds") or {}).get(kind) or {}).get(name)
            if value is None:
                value = said.get(name)
            if value is not None:
                return value
    return None


def restart_policy(limits: Limits, kind: str, chain: Sequence[Said]) -> RestartPolicy:
    """How a process of this kind is restarted; what nobody says the settings do.

    A lower bound of the back-off above its upper one (said by different branches) is cut to it.
    """
    backoff_s_max = float(_or(effective("backoff_max_s", kind, chain), limits.backoff_s_max))
    return RestartPolicy(
        restarts_max=int(_or(effective("restarts_max", kind, chain), limits.restarts_max)),
        period_s=float(_or(effective("restart_period_s", kind, chain), limits.restart_period_s)),
        backoff_s_min=min(backoff_s_max, float(_or(effective("backoff_min_s", kind, chain), limits.backoff_s_min))),
        backoff_s_max=backoff_s_max,
    )


def budget_of(limits: Limits, chain: Sequence[Said]) -> Budget:
    """What a pod may spend on restarts."""
    return Budget(
        restarts_per_s=float(_or(effective("restarts_per_s", "pod", chain), limits.pod_restarts_per_s)),
        restarts_at_once=int(_or(effective("restarts_at_once", "pod", chain), limits.pod_restarts_at_once)),
        patience_s=float(_or(effective("restart_period_s", "pod", chain), limits.restart_period_s)),
    )


def _or(value: Any | None, default: float) -> Any:
    return default if value is None else value
