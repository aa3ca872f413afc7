"""The unanswered units of a resource as work that somebody may have to steer: waiting, running or in doubt. Pure."""

from treeward.orchestrator.api.facts import Facts
from treeward.orchestrator.api.resource import at, doubt_of, queued_unit, stage_of, units_of
from treeward.orchestrator.describe import UnitHeld
from treeward.schemas.api.queued import Stage
from treeward.schemas.api.state import Doubt
from treeward.schemas.api.work import WorkRequest, WorkState, WorkUnit


def work_of(facts: Facts, request: WorkRequest) -> list[WorkUnit]:
    """Those of one resource that the question is about, in ticket order."""
    host = facts.last.event.host if facts.last is not None and facts.pod is not None else None
    if request.pod not in (None, facts.pod) or request.host not in (None, host):
        return []
    doubt = doubt_of(facts)
    found = (_work_unit(facts, unit, host, doubt) for unit in units_of(facts))
    return [unit for unit in found if request.state in (None, unit.state)]


def _work_unit(facts: Facts, unit: UnitHeld, host: str | None, doubt: Doubt | None) -> WorkUnit:
    kind, _, id_ = facts.key.partition(".")
    stage = stage_of(facts, unit)
    state, since = WorkState.WAITING, at(unit.submitted_s)
    if doubt is not None and doubt.ticket == unit.ticket and doubt.verdict is not None:
        state, since = WorkState.IN_DOUBT, doubt.since or since
    elif _runs(facts, stage):
        assert facts.says is not None, "only its owner has it in hand"
        state = WorkState.RUNNING
        since = at(facts.now_s - (facts.says.called_s or facts.says.taken_s or 0.0))
    told = queued_unit(unit, stage).model_dump()
    return WorkUnit(**told, kind=kind, id=id_, pod=facts.pod, host=host, state=state, since=since)


def _runs(facts: Facts, stage: Stage) -> bool:
    """In hand, and not there only to wait for a place, a back-off or a `release`."""
    says = facts.says
    return stage is Stage.IN_HAND and says is not None and says.phase in ("called", "ready", "committing")
