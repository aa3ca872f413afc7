"""What a dispatcher holds, for those who ask why a unit waits."""

import json

from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.resource_queue import Queue

UNITS_MAX = 100


def describe_queues(fold: Dispatcher, body: bytes, caught_up: bool) -> bytes:
    """Answer `{"key": ...}`, `{"ticket": ...}` or `{"beyond": key, "limit": n}` with the queues, as JSON."""
    question = json.loads(body or b"{}")
    if "ticket" in question:
        key = fold.unanswered.get(question["ticket"])
        keys = [key] if key is not None else []
    elif question.get("key"):
        keys = [question["key"]] if question["key"] in fold.queues else []
    else:
        waiting = sorted(
            key for key, queue in fold.queues.items() if queue.tickets and key > question.get("beyond", "")
        )
        keys = waiting[: question.get("limit", UNITS_MAX)]
    return json.dumps(
        {
            "zone_epoch": fold.zone_epoch, "pod_epochs": fold.pod_epochs, "read_up_to": fold.read_up_to, "caught_up": caught_up,
            "units_in_all": len(fold.unanswered), "queues": [_queue(fold, fold.queues[key]) for key in keys],
        }
    ).encode()  # fmt: skip


def _queue(fold: Dispatcher, queue: Queue) -> dict[str, object]:
    units = []
    for index, ticket in enumerate(queue.tickets):
        if index >= UNITS_MAX:
            break
        pending = fold.bodies.get(ticket)
        unit = pending.unit if pending is not None else None
        mark = fold.marks.get(ticket)
        units.append(
            {
                "ticket": ticket, "sent": index < queue.sent, "operation": unit.operation if unit is not None else "",
                "submitted_s": pending.stored_s if pending is not None else None,
                "deadline_s": pending.deadline_s if pending is not None else None,
                "after": [other for other in (unit.after if unit is not None else []) if other in fold.unanswered],
                "mark": mark.outcome.value if mark is not None else None, "mark_reason": mark.reason if mark is not None else None,
                "attempts": queue.attempts if queue.attempts_ticket == ticket else 0,
                "tenant": unit.tenant if unit is not None else None, "reason": unit.reason if unit is not None else None,
            }
        )  # fmt: skip
    return {
        "key": queue.key, "pod": queue.pod, "answered": queue.answered, "position": queue.position, "fetching": queue.fetching,
        "held_by": queue.pause_ticket if queue.pause_ticket > queue.resume_ticket else None, "slow": queue.slow,
        "waits_for_credit": fold.credit.waits(queue.key), "due_s": queue.due_s, "units_in_all": len(queue.tickets), "units": units,
    }  # fmt: skip
