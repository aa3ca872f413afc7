"""Why a unit that is in hand is not answered: its device, or restarts of its process."""

from tests.explain.told import Told, reason, told
from tests.explain.trouble import (
    SMALL,
    TOGETHER,
    asks_for_help,
    behind_others_in_line,
    crashes,
    hangs,
    many_crash,
    migrates_in_vain,
    pods_beyond_help,
    tries_again,
)
from tests.support.world import world

from treeward.schemas.address import ROOT
from treeward.schemas.api.explain import Wait
from treeward.simulation.device import DeviceTrouble


@reason("the device has it in hand", Wait.DEVICE, "the device has been at it for ", when=True)
def in_the_hands_of_the_device() -> Told:
    with world() as centre:
        ticket = hangs(centre)
        centre.run_for(4.0)
        return told(centre, "vm.web-1", ticket)


@reason(
    "the device is busy with a call of the life before",
    Wait.DEVICE,
    "does not accept the new life: busy. It is asked again in ",
    when=True,
)
def device_is_busy() -> Told:
    with world(call_timeout_s=2.0) as centre:
        ticket = hangs(centre)
        centre.until(lambda: "crashed" in centre.types("vm.web-1"), "a crash")
        centre.run_for(3.0)
        tries_again(centre)
        return told(centre, "vm.web-1", ticket)


@reason(
    "the device cannot be reached",
    Wait.DEVICE,
    "does not accept the new life: host pod-1-h1 does not answer. It is asked again in ",
    when=True,
)
def device_is_unreachable() -> Told:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.device_of("pod-1").trouble = DeviceTrouble(unreachable=frozenset({"pod-1-h1"}))
        ticket = centre.submit("vm.web-1", "stop")
        centre.run_for(5.0)
        tries_again(centre)
        return told(centre, "vm.web-1", ticket)


@reason(
    "it was at a device that cannot be reached any more",
    Wait.DEVICE,
    "If that never comes back: `treeward isolate ",
    when=True,
)
def in_doubt_and_out_of_reach() -> Told:
    with world(call_timeout_s=2.0) as centre:
        ticket = hangs(centre)
        centre.device_of("pod-1").trouble = DeviceTrouble(hang=1.0, unreachable=frozenset({"pod-1-h1"}))
        centre.until(lambda: "crashed" in centre.types("vm.web-1"), "a crash")
        centre.run_for(5.0)
        tries_again(centre)
        return told(centre, "vm.web-1", ticket)


@reason(
    "it was not answered for long",
    Wait.DEVICE,
    "It was not answered for long, so the dispatcher sends it more rarely, ",
    when=True,
)
def sent_more_rarely() -> Told:
    with world(resend_s=2.0, resend_max_s=60.0) as centre:
        ticket = hangs(centre)
        centre.run_for(5.0)
        return told(centre, "vm.web-1", ticket)


@reason(
    "its process crashed and is restarted after a while",
    Wait.BACK_OFF,
    "Its process crashed 3 times within 60 s: ",
    when=True,
)
def back_off() -> Told:
    with world(backoff_s_min=1.0) as centre:
        ticket = crashes(centre, count=3, attempts_max=100)
        return told(centre, "vm.web-1", ticket)


@reason(
    "one more crash, and it is `failed`",
    Wait.BACK_OFF,
    "It was called twice without an answer; after 3 times it is `failed`, so once more",
    when=True,
)
def attempts_near_their_end() -> Told:
    with world(backoff_s_min=5.0) as centre:
        ticket = crashes(centre, count=2, attempts_max=3)
        return told(centre, "vm.web-1", ticket)


@reason("its pod restarts others first", Wait.BUDGET, "Its process stands in line to be restarted, ", when=True)
def restart_budget_of_the_pod() -> Told:
    with world(pod_restarts_per_s=0.2) as centre:
        tickets = many_crash(centre, 6)
        centre.run_for(4.0)
        key = behind_others_in_line(centre, tickets, 3)
        return told(centre, key, tickets[key])


@reason("the owner of its pod suspects itself", Wait.BACK_OFF, "Most processes of pod pod-1 failed at once ", when=True)
def supervisor_suspects_itself() -> Told:
    with world(failed_at_once_min=4, backoff_s_min=3.0) as centre:
        tickets = many_crash(centre, 8)
        centre.run_for(0.5)
        return told(centre, "vm.web-1", tickets["vm.web-1"])


@reason(
    "the owner of its pod has asked the zone's for help",
    Wait.BACK_OFF,
    "The owner of pod pod-1 asked the zone supervisor for help ",
    when=True,
)
def pod_asks_its_zone() -> Told:
    with world(failed_at_once_min=TOGETHER, restart_period_s=2.0, backoff_s_min=3.0) as centre:
        tickets = pods_beyond_help(centre, "pod-1")
        asks_for_help(centre, "zone-a.pod-1", "vm.web-1")
        return told(centre, "vm.web-1", tickets["vm.web-1"])


@reason(
    "the owner of its zone has asked root's for help",
    Wait.BACK_OFF,
    "The owner of zone zone-a asked root's owner for help ",
    when=True,
)
def zone_asks_root() -> Told:
    with world(pods=2, supervisors=2, agents=2, failed_at_once_min=TOGETHER, restart_period_s=2.0) as centre:
        centre.done("zone.zone-a", "configure", zone=ROOT, spec={"backoff_min_s": 1.5, "backoff_max_s": 2})
        tickets = pods_beyond_help(centre, "pod-1", "pod-2", restarts_max=1, backoff_min_s=0.5, backoff_max_s=1)
        asks_for_help(centre, "zone-a", "vm.web-1")
        return told(centre, "vm.web-1", tickets["vm.web-1"])


@reason("its process is quarantined", Wait.QUARANTINE, "Its process is quarantined, for ")
def resource_quarantined() -> Told:
    with world(restarts_max=2) as centre:
        ticket = crashes(centre, count=3, attempts_max=100)
        centre.until(lambda: "quarantined" in centre.types("vm.web-1"), "its quarantine")
        centre.run_for(20.0)
        return told(centre, "vm.web-1", ticket)


@reason("its pod is quarantined", Wait.QUARANTINE, "Pod pod-1 is quarantined, for ")
def pod_quarantined() -> Told:
    with world(failed_at_once_min=4, restarts_max=0, restart_period_s=2.0, backoff_s_max=0.5) as centre:
        spec = {"kinds": {"vm": {"restarts_max": 1000}}}
        centre.done("pod.pod-1", "configure", spec=spec)
        tickets = many_crash(centre, 8)
        centre.until(lambda: "quarantined" in centre.types("pod.pod-1"), "the quarantine of the pod")
        centre.run_for(5.0)
        return told(centre, "vm.web-1", tickets["vm.web-1"])


# --- moves -----------------------------------------------------------------------------------------------------------


@reason(
    "it is to move, and nobody gives it a place",
    Wait.HAND_OFF,
    "and is to move: waits for the zone supervisor to find a place. It is tried again in ",
    when=True,
)
def nobody_gives_a_place() -> Told:
    with world(pods=2, call_timeout_s=2.0) as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.kill("supervisor-1")
        ticket = centre.submit("vm.web-1", "migrate")
        centre.run_for(5.0)
        tries_again(centre)
        return told(centre, "vm.web-1", ticket)


@reason(
    "it moves, and its old device does not let it go",
    Wait.HAND_OFF,
    "and has a place elsewhere: its device is asked to hold nothing of it any more.",
)
def old_device_does_not_let_go() -> Told:
    with world(pods=2) as centre:
        created = centre.done("vm.web-1", "create", spec=SMALL)
        ticket = centre.submit("vm.web-1", "migrate")
        centre.until(lambda: "leaving" in centre.types("vm.web-1"), "its intention to leave")
        centre.device_of(created.pod or "").trouble = DeviceTrouble(eat=1.0)
        centre.run_for(2.0)
        return told(centre, "vm.web-1", ticket)


@reason(
    "it has moved, and its new device refuses to make it",
    Wait.DEVICE,
    "refuses to make it: host pod-2-h1 makes nothing (injected). It is asked again in ",
    when=True,
)
def new_device_refuses() -> Told:
    with world(pods=2, backoff_s_min=2.0) as centre:
        ticket = migrates_in_vain(centre, "pod-2")
        tries_again(centre, pod="pod-2")
        return told(centre, "vm.web-1", ticket)


@reason(
    "all to which it could move refuse to make it",
    Wait.HAND_OFF,
    "It is to go elsewhere: all others that have room were tried; host pod-1-h1 is next. It is tried again in ",
    when=True,
)
def all_devices_refuse() -> Told:
    with world(pods=2, restarts_max=0) as centre:
        ticket = migrates_in_vain(centre, "pod-1", "pod-2")
        tries_again(centre, pod="pod-2")
        return told(centre, "vm.web-1", ticket)


@reason(
    "its host is being fenced",
    Wait.DEVICE,
    "its device is asked to fence it: nothing on it may act any more.",
    when=True,
)
def device_is_asked_to_isolate() -> Told:
    with world() as centre:
        centre.device_of("pod-1").trouble = DeviceTrouble(eat=1.0)
        ticket = centre.submit("host.pod-1-h1", "isolate", reason="it burns", by="ada")
        centre.run_for(2.0)
        return told(centre, "host.pod-1-h1", ticket)
