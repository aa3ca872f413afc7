"""What is said of a zone and of a pod when nothing waits: who owns it, and what becomes of it if nobody is heard."""

from tests.support.world import world

from treeward.schemas.address import ROOT


def test_a_pod_and_a_zone_are_told_with_their_owner() -> None:
    with world() as centre:
        pod, zone = centre.explain(key="pod.pod-1"), centre.explain(zone=ROOT, key="zone.zone-a")
        host = centre.explain(key="host.pod-1-h1")
    assert pod.sentences[0] == "zone-a.pod.pod-1 exists."
    assert pod.sentences[1].startswith("Its owner is agent-1-1, claimed "), "why it was claimed is not all that is told"
    assert pod.sentences[1].endswith(" ago: it had no owner.")
    assert pod.sentences[2:] == ["No unit waits for it."]
    assert any(each.startswith("Its owner is supervisor-1-1, claimed ") for each in zone.sentences)
    assert not any("owner" in each for each in host.sentences), "a host has none of its own"


def test_of_a_pod_whose_agent_is_gone_it_is_said_who_acts_and_what_is_done() -> None:
    with world() as centre:
        centre.kill("agent-1")
        centre.run_for(5.0)
        silent = centre.explain(key="pod.pod-1")
        centre.run_for(10.0)
        orphan = centre.explain(key="pod.pod-1")
    owner, *_ = (each for each in silent.sentences if "agent-1-1" in each)
    assert owner.startswith("Its owner, agent-1-1, is suspected: silent for ")
    assert owner.endswith(
        "The zone supervisor claims it for another instance after 1.5 s of silence; if there is none, "
        "it acts for it itself after 10 s more."
    )
    assert any(each.startswith("Its owner is supervisor-1-1, claimed ") for each in orphan.sentences)
    assert any("for want of a pod agent: start one" in each for each in orphan.sentences)


def test_of_a_zone_whose_supervisor_is_gone_no_one_else_is_promised() -> None:
    with world() as centre:
        centre.kill("supervisor-1")
        centre.run_for(5.0)
        zone = centre.explain(zone=ROOT, key="zone.zone-a")
    (owner,) = (each for each in zone.sentences if "is suspected" in each)
    assert owner.endswith("Root's owner claims it for another instance after 1.5 s of silence, if there is one.")


def test_a_zone_and_a_pod_that_were_not_claimed_say_so() -> None:
    with world() as centre:
        for name in ("agent-1", "supervisor-1"):
            centre.kill(name)
        centre.done("zone.zone-b", "create", zone=ROOT)
        zone = centre.explain(zone=ROOT, key="zone.zone-b")
    assert "It has no owner yet: root's owner claims it for an instance as soon as one is there." in zone.sentences
