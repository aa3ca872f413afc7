"""Putting back in order what others have changed, where that is the policy: by units of work (ADR 11)."""

import json

from treeward.schemas.events import Event, EventType
from treeward.schemas.policies import OnDrift
from treeward.supervision.effects import Submit


class Restoring:
    """Asks for a `restore` when it reads `drifted`. A successor asks again: `answered` says since when it is void."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._to_ask: dict[str, tuple[int, Event]] = {}
        """What was read and not asked for yet, by resource: only the last word about it counts."""

    def on_event(self, position: int, event: Event) -> None:
        """An event was read. Whatever comes after `drifted` has to do with the resource: nothing is asked for then."""
        drift = event.drift
        if event.type is EventType.DRIFTED and drift is not None and drift.policy is OnDrift.RESTORE:
            self._to_ask[event.key] = (position, event)
        elif self._to_ask:
            self._to_ask.pop(event.key, None)

    def decide(self) -> list[Submit]:
        """The units that are to be submitted now; each names the event that asks for it, so a repeat is none."""
        asked, self._to_ask = self._to_ask, {}
        return [
            Submit(key, self._body(event), f"restore-{self._zone}-{key}-{position}")
            for key, (position, event) in asked.items()
        ]

    def _body(self, event: Event) -> str:
        spec = {"definition": event.definition, "answered": event.answered}
        return json.dumps({"operation": "restore", "spec": spec, "reason": event.reason})
