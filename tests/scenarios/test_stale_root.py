"""An owner of root whose claim of a zone comes too late is refused by the zone's log: counted, told, and it learns."""

import asyncio
from datetime import UTC, datetime

from tests.support.world import ZONE, World

from treeward.orchestrator.orchestrator import Orchestrator
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event, EventType
from treeward.schemas.streams import Retention
from treeward.simulation.program import Program
from treeward.telemetry import names

SAID = "the log refused a claim of a zone: somebody else has claimed it"


def test_a_stale_claim_of_a_zone_is_counted_and_told_and_root_claims_anew_behind_the_last() -> None:
    contexts: list[Context] = []

    async def orchestrate(_program: Program, context: Context, stopping: asyncio.Event) -> None:
        contexts.append(context)
        await Orchestrator(context).run(stopping)

    centre = World(orchestrators=0, supervisors=2, agents=0, latency_s=0.001, limits={})
    centre.trace.loud = True
    centre.add("root", orchestrate)
    centre.server.provision(ROOT, Retention())
    centre.start()
    centre.done(f"zone.{ZONE}", "create", zone=ROOT)
    centre.until(lambda: f"zone.{ZONE}" in centre.events, "the zone is claimed")
    claims = centre.events[f"zone.{ZONE}"]
    (owner,) = [event.owner for event in claims]
    assert owner is not None

    somebody = Event(
        type=EventType.CLAIMED, zone=ZONE, kind="zone", id=ZONE, life=1, at=datetime(2026, 1, 1, tzinfo=UTC),
        owner="supervisor-9-1",
    )  # fmt: skip
    position = centre.server.append(
        streams.log(ZONE), codec.draft_of(somebody, instance="another-root", trace=None), None, None
    )
    centre.kill(owner.rpartition("-")[0])
    centre.until(lambda: len(claims) == 3, "a claim behind that of somebody else")
    centre.run_for(5.0)
    (context,) = contexts
    assert context.metrics.counter(names.APPENDS_REFUSED, ROOT).total == 1
    (line,) = [line.words for line in centre.trace.details if line.words[0] == f"root-1: {SAID}"]
    assert {f"zone={ZONE}", f"last_claim={position}", "owner=supervisor-9-1"} <= set(line)
    assert claims[-1].owner not in (owner, "supervisor-9-1")
    centre.close()
