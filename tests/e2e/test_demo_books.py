"""The demo ends with figures that were counted from the books, and the books show what was planted in them."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tests.support.command import call
from tests.support.processes import processes_with
from tests.support.stack import stack
from tests.support.until import until
from tests.support.up import MARK

from treeward.bus.interface import Draft
from treeward.runtime import codec
from treeward.runtime.judge import Rule
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType


def test_the_demo_ends_by_itself_with_right_figures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    run = uuid4().hex
    report = tmp_path / "demo.json"
    said = call("demo", "--seed", "3", "--json", str(report), settings={MARK: run, "TMPDIR": str(tmp_path)})
    assert processes_with(MARK, run) == {}
    assert list(tmp_path.iterdir()) == [report]

    told = json.loads(report.read_text())
    assert told["ok"] is True
    assert set(told["must_be_zero"].values()) == {0}
    assert sum(told["outcomes"].values()) == told["submitted"] > 300
    assert told["outcomes"]["completed"] > told["outcomes"]["failed"] > 0
    kill = told["kill"]
    assert kill["verdict"] == "done"
    assert kill["instance"] != kill["new_owner"]
    assert kill["resource"] in kill["crashed"]
    claims = [takeover for takeover in told["takeovers"] if takeover["branch"] == kill["pod"]]
    assert [(claim["owner_before"], claim["owner"]) for claim in claims] == [(kill["instance"], kill["new_owner"])]
    assert "Every unit was answered once and in order" in said.out


async def test_the_judge_reads_right_books_and_finds_what_is_planted_in_them(tmp_path: Path) -> None:
    async with stack(tmp_path) as centre:
        tickets = [
            await centre.submit("zone-a.vm.web-1", "create", {"cpus": 1, "memory_mib": 256}),
            await centre.submit("zone-a.vm.web-1", "stop"),
            await centre.submit("zone-a.vm.web-1", "stop"),
        ]
        outcomes = [(await centre.wait_for_outcome("zone-a", ticket)).type for ticket in tickets]
        assert outcomes == [EventType.COMPLETED, EventType.COMPLETED, EventType.FAILED]
        judgement = await centre.judge()
        assert judgement.violations == []
        assert judgement.resources == 2  # the host and the VM

        with closing(sqlite3.connect(centre.device_file)) as books, books:
            columns = [row[1] for row in books.execute("PRAGMA table_info(calls)")]
            copied = ", ".join(
                {"id": "id + 1000", "started_at": "started_at + 1000", "ended_at": "ended_at + 1000",
                 "effect_number": "effect_number + 1000"}.get(name, name) for name in columns
            )  # fmt: skip
            books.execute(f"INSERT INTO calls SELECT {copied} FROM calls WHERE ticket = ?", (tickets[1],))
        again = Event(
            type=EventType.COMPLETED, zone="zone-a", kind="vm", id="web-1", life=1, at=datetime.now(UTC),
            ticket=tickets[2], definition={}, pod="a1", host="a1-h1",
        )  # fmt: skip
        draft = codec.draft_of(again, instance="nobody", trace=None)
        claim = subjects.claim_of_pod("zone-a", "a1")
        before = await centre.bus.last(streams.log("zone-a"), claim)
        assert before is not None
        stored = await centre.bus.append_expecting(
            streams.log("zone-a"), Draft(*draft), subject=claim, position=before.position
        )
        assert isinstance(stored, int)
        await until(lambda: len(centre.answers["zone-a", tickets[2]]) == 2)
        found = {(violation.rule, violation.ticket) for violation in (await centre.judge()).violations}
        assert found == {(Rule.DOUBLED_EFFECT, tickets[1]), (Rule.ANSWERED_TWICE, tickets[2])}
