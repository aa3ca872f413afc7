"""Putting back in order what others have changed, where that is the policy: by units of work (ADR 11)."""

import json

from treeward.schemas.events import Drift, Event
from treeward.schemas.policies import OnDrift
from treeward.supervision.effects import Submit


class Restoring:
    """Asks for a `restore` when it reads of a difference that is to be restored, once for each. Nothing of it is kept
    anywhere else: every event of the resource says it until it is restored, so a successor asks again, and `answered`
    says since when that is void."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._to_ask: dict[str, Event] = {}
        """What was read and not asked for yet, by resource: only the last word about it counts."""
        self._asked: dict[str, str] = {}
        """What was asked for and is not restored, by resource: the message id."""

    def __contains__(self, key: str) -> bool:
        """Whether anything is remembered of it that its next event may change."""
        return key in self._to_ask or key in self._asked

    def on_event(self, event: Event) -> None:
        """An event was read. A unit that was answered since has to do with it: then nothing is asked for."""
        drift = event.drift
        if drift is None or drift.policy is not OnDrift.RESTORE or event.answered != drift.answered:
            if self._to_ask or self._asked:
                self._to_ask.pop(event.key, None)
                self._asked.pop(event.key, None)
        elif self._asked.get(event.key) != self._message_id(event.key, drift):
            self._to_ask[event.key] = event

    def decide(self) -> list[Submit]:
        """The units that are to be submitted now; a repeat has the same message id, and is none."""
        asked, self._to_ask = self._to_ask, {}
        submits = []
        for key, event in asked.items():
            assert event.drift is not None, "that is why it is here"
            self._asked[key] = self._message_id(key, event.drift)
            submits.append(Submit(key, self._body(event), self._asked[key]))
        return submits

    def _message_id(self, key: str, drift: Drift) -> str:
        return f"restore-{self._zone}-{key}-{drift.answered}-{drift.since:%Y%m%dT%H%M%S.%f}"

    def _body(self, event: Event) -> str:
        spec = {"definition": event.definition, "answered": event.answered}
        return json.dumps({"operation": "restore", "spec": spec, "reason": event.reason or "others have changed it"})
