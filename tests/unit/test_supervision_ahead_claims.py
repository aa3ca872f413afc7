"""How far an owner may call ahead is said by the claim of its pod, and never forgotten there (ADR 17)."""

from datetime import UTC, datetime

from treeward.schemas.events import Event, EventType
from treeward.supervision.pod_book import PodBook

AT = datetime(2026, 1, 1, tzinfo=UTC)


def book(ahead_max: int, last: Event) -> PodBook:
    """What a zone's supervisor knows after the last event of its pod."""
    pods = PodBook(100, ahead_max)
    pods.on_event(50, last)
    return pods


def pod_event(**told: object) -> Event:
    fields = {"zone": "zone-a", "kind": "pod", "id": "p1", "life": 1, "at": AT, "definition": {"device": "tcp://d:1"}}
    return Event.model_validate({"type": EventType.COMPLETED, **fields, **told})


def test_a_claim_says_how_far_its_owner_may_call_ahead() -> None:
    assert book(1, pod_event()).claim("p1", "agent-1", "it had no owner", 1.0).ahead == 1
    assert book(8, pod_event()).claim("p1", "agent-1", "it had no owner", 1.0).ahead == 8


def test_what_owners_were_ever_allowed_stays_in_the_claims_and_in_all_that_is_said_of_the_pod_between_them() -> None:
    pods = book(2, pod_event(ahead=8))
    assert pods.claim("p1", "agent-1", "silent", 1.0).ahead == 8
    outcome = pod_event(ticket=7, operation="isolate", isolated=True)
    pods.note(outcome)
    assert outcome.ahead == 8
    assert pods.quarantine("p1", "nobody helps", 2.0).ahead == 8
    assert pods.claim("p1", "agent-2", "it was isolated", 3.0).ahead == 8
