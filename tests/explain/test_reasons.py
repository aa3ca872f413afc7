"""Every reason to wait is told, by ticket and by address, in sentences and in fields."""

from pathlib import Path

import pytest
from tests.explain.page import masked, page
from tests.explain.reasons import reasons
from tests.explain.told import Reason, Told, told
from tests.explain.trouble import SMALL, TOGETHER, asks_for_help, pods_beyond_help
from tests.support.world import ZONE, World, world

from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.api.explain import ExplainAnswer, Wait
from treeward.schemas.api.queued import Stage

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
SCREEN_LINES, SCREEN_COLUMNS = 24, 80


def lines_of(answer: ExplainAnswer) -> int:
    """How many lines of a screen the sentences take."""
    return sum(-(-len(sentence) // SCREEN_COLUMNS) for sentence in answer.sentences)


def said_by(name: str) -> Told:
    """What came of one of the rows."""
    return next(each for each in reasons() if each.name == name).bring_about()


@pytest.mark.parametrize("reason", reasons(), ids=lambda reason: reason.name)
def test_a_reason_is_told(reason: Reason) -> None:
    """In one sentence, on one screen, with the same as fields."""
    answer = reason.bring_about().by_ticket
    assert reason.sentence(answer)
    assert answer.waits_for is reason.waits_for
    assert lines_of(answer) < SCREEN_LINES
    assert answer.outcome is None
    assert answer.next, "what has to happen next"
    assert (answer.next_at is not None) is reason.when
    assert (answer.since is not None) is (answer.unit is not None)
    if answer.waits_for is Wait.PAUSE:
        assert [(each.operation, bool(each.reason)) for each in answer.steered] == [("pause", True)]
        assert answer.unit is not None
        assert answer.unit.stage is Stage.HELD
    if answer.waits_for in (Wait.BACK_OFF, Wait.BUDGET, Wait.DEVICE):
        assert answer.budget is not None
        assert answer.state is not None
        away = reason.name.startswith(("old_device", "new_device", "all_devices"))
        assert away or (answer.state.pod, answer.state.host) == ("pod-1", "pod-1-h1")
    if answer.unit is not None and answer.owner is not None and answer.owner.instance is not None:
        assert answer.owner.instance in " ".join(answer.sentences)
    assert ExplainAnswer.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize("reason", reasons(), ids=lambda reason: reason.name)
def test_a_reason_is_told_by_the_address_too(reason: Reason) -> None:
    """Of what waits behind others, by address the first of those is told: the answer by ticket repeats it."""
    both = reason.bring_about()
    ticket, address = both.by_ticket, both.by_address
    if not ticket.behind:
        assert masked(reason.sentence(address)) == masked(reason.sentence(ticket))
        assert (address.waits_for, address.next is None) == (ticket.waits_for, ticket.next is None)
        assert address.ticket == (ticket.ticket if address.unit is not None else None)
        return
    assert (address.ticket, address.behind) == (ticket.behind[0], [])
    told_twice = {masked(sentence) for sentence in address.sentences[1:]}
    assert len(told_twice & {masked(sentence) for sentence in ticket.sentences}) >= len(told_twice) - 1


def test_the_page_says_what_is_said() -> None:
    assert masked(PAGE.read_text()) == masked(page()), "python -m tests.explain > docs/explain.md"


def test_the_page_has_more_than_twenty_reasons_and_each_is_told_in_its_own_words() -> None:
    assert len({masked(each.sentence(each.bring_about().by_ticket)) for each in reasons()}) == len(reasons()) > 20


# --- what holds several back, and what is asked of those who hold ----------------------------------------------------


def test_all_who_have_to_let_go_are_named() -> None:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("vm.web-1", "pause", reason="looks odd", by="ada")
        centre.done("pod.pod-1", "pause", reason="firmware", by="bob")
        centre.done("zone.zone-a", "pause", zone=ROOT, reason="power test", by="eve")
        waiting = centre.submit("vm.web-1", "stop")
        centre.run_for(2.0)
        answer = told(centre, "vm.web-1", waiting).by_ticket
    assert [(each.address, each.ticket, each.reason) for each in answer.steered] == [
        ("root.zone.zone-a", 2, "power test (by eve)"),
        ("zone-a.pod.pod-1", 5, "firmware (by bob)"),
        ("zone-a.vm.web-1", 4, "looks odd (by ada)"),
    ]
    assert answer.next == (
        "somebody submits `resume` for root.zone.zone-a and `resume` for zone-a.pod.pod-1 "
        "and `resume` for zone-a.vm.web-1"
    )


def told_by_a_new_dispatcher(centre: World) -> ExplainAnswer:
    """Why a unit waits that was submitted to a dispatcher which has just begun."""
    centre.programs["orchestrator-1"].kill()
    centre.run_for(1.0)
    centre.start("orchestrator-1")
    waiting = centre.submit("vm.web-1", "stop")
    centre.run_for(10.0)
    return centre.explain(ticket=waiting)


def test_who_paused_is_known_to_a_dispatcher_that_has_only_just_begun() -> None:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("vm.web-1", "pause", reason="looks odd", by="ada")
        answer = told_by_a_new_dispatcher(centre)
    assert [(each.ticket, each.reason) for each in answer.steered] == [(4, "looks odd (by ada)")]


def test_who_paused_is_known_when_something_behind_the_pause_has_been_cancelled() -> None:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("vm.web-1", "pause", reason="looks odd", by="ada")
        cancelled = centre.submit("vm.web-1", "stop")
        centre.submit("vm.web-1", "cancel", ticket=cancelled)
        centre.until(lambda: (ZONE, cancelled) in centre.answered, "its outcome")
        centre.server.purge(streams.work(ZONE), cancelled + 1)  # as dispatchers do when a thousand are answered
        answer = told_by_a_new_dispatcher(centre)
    assert [(each.ticket, each.reason) for each in answer.steered] == [(4, "looks odd (by ada)")]


def test_all_that_come_before_are_counted_and_the_first_are_named() -> None:
    answer = said_by("beyond_the_window").by_ticket
    assert answer.next == "tickets 4, 5, 6, 7, 8 and 145 more have an outcome"
    assert len(answer.behind) == 100


def test_who_drains_the_zone_is_told_to_whom_waits_for_a_place() -> None:
    answer = said_by("zone_draining").by_ticket
    assert "Ticket 2 of root drains zone zone-a, for 3.0 s now: closes down (by ada)." in answer.sentences
    assert [(each.address, each.operation) for each in answer.steered] == [("root.zone.zone-a", "drain")]


def test_a_paused_zone_says_of_itself_who_paused_it() -> None:
    with world() as centre:
        centre.done("zone.zone-a", "pause", zone=ROOT, reason="power test", by="ada")
        answer = centre.explain(zone=ROOT, key="zone.zone-a")
    assert "Ticket 2 paused zone zone-a 0.0 s ago: power test (by ada)." in answer.sentences


def test_a_drained_host_says_who_drains_it_and_what_cannot_leave() -> None:
    with world() as centre:
        centre.done("vm.web-1", "create", spec={"cpus": 2})
        centre.done("host.pod-1-h1", "drain", reason="a loud fan", by="ada")
        centre.done("host.pod-1-h1", "configure", spec={"restarts_max": 9})
        centre.run_for(10.0)
        answer = centre.explain(key="host.pod-1-h1")
        centre.done("vm.web-1", "destroy")
        empty = centre.explain(key="host.pod-1-h1")
    assert answer.sentences[-4:] == [
        "Ticket 4 drains host pod-1-h1, for 10 s now: a loud fan (by ada).",
        "1 resource is still there.",
        "1 of them cannot leave; of vm.web-1: no host has room for 2 cpus, 512 MiB now, other than pod-1-h1; "
        "it stays where it is.",
        "No unit waits for it.",
    ]
    assert [(each.operation, each.ticket) for each in answer.steered] == [("drain", 4)]
    assert not [sentence for sentence in empty.sentences if "still there" in sentence]


def test_a_drained_zone_says_how_many_are_left() -> None:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("zone.zone-a", "drain", zone=ROOT, reason="closes down", by="ada")
        centre.run_for(10.0)
        answer = centre.explain(zone=ROOT, key="zone.zone-a")
    assert "Ticket 2 drains zone zone-a, for 10 s now: closes down (by ada)." in answer.sentences
    assert "1 resource is still there." in answer.sentences


def test_a_pod_and_a_zone_say_of_themselves_that_they_have_asked_for_help() -> None:
    with world(pods=2, supervisors=2, agents=2, failed_at_once_min=TOGETHER, restart_period_s=2.0) as centre:
        centre.done("zone.zone-a", "configure", zone=ROOT, spec={"backoff_min_s": 1.5, "backoff_max_s": 2})
        pods_beyond_help(centre, "pod-1", "pod-2", restarts_max=1, backoff_min_s=0.5, backoff_max_s=1)
        asks_for_help(centre, "zone-a", "vm.web-1")
        pod, zone = centre.explain(key="pod.pod-1"), centre.explain(zone=ROOT, key="zone.zone-a")
        centre.until(lambda: centre.events["zone.zone-a"][-1].attempts == 1, "the claim that root's owner makes")
        made_s = centre.events["zone.zone-a"][-1].at.timestamp()
        centre.run_for(1.0)
        claimed = centre.explain(zone=ROOT, key="zone.zone-a")
    assert [each.branch for each in pod.help] == ["zone-a.pod-1", "zone-a"]
    assert pod.help[0].quarantine_at is not None and pod.help[0].claim_at is None
    (asks,) = zone.help
    assert (asks.branch, "2 of its 2 pods need help" in asks.reason, asks.quarantine_at) == ("zone-a", True, None)
    assert asks.claim_at is not None
    assert abs(asks.claim_at.timestamp() - made_s) < 0.5, "it was claimed anew when that was said"
    assert any("zone zone-a is claimed anew in" in sentence for sentence in zone.sentences)
    assert claimed.help == [], "who was claimed for has not asked"


def test_a_mark_on_what_the_device_may_have_carried_out_is_no_promise() -> None:
    superseded = said_by("superseded").by_address
    assert (
        "Unless the device has carried it out, it will be answered `superseded`: by ticket 6." in superseded.sentences
    )
