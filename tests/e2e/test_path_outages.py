"""Programs that are gone for a while: work is accepted all the same, and is done in order when they are back."""

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.until import until
from tests.support.user import User, at

from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.nats_child import NATS

SERVICES = ("orchestrator-1", "zone-supervisor-1", "pod-agent-1", "pod-agent-2")


async def test_work_is_accepted_while_everything_but_nats_is_down_and_done_in_order_afterwards(
    centre: DataCentre,
) -> None:
    async with at(centre) as user:
        await user.done("vm.waiting", "create")
        before = user.effects("vm.waiting")
        stopped = [child for name, child in centre.programs.items() if name != NATS]
        for child in stopped:
            child.kill()
        operations = ["stop", "start"] * 5 + ["destroy", "create", "stop", "destroy"]
        tickets = [await user.submit("vm.waiting", operation) for operation in operations]
        new = [await user.submit("vm.new", operation) for operation in ("create", "stop", "destroy", "create")]
        bad = await user.raw("vm.new", "nonsense")
        assert tickets == list(range(tickets[0], tickets[0] + len(tickets)))
        assert not user.outcomes.keys() & {*tickets, *new, bad}
        for child in stopped:
            child.start()
        for ticket in [*tickets, *new]:
            assert (await user.outcome(ticket)).type == "completed"
        assert (await user.outcome(bad)).type == "rejected"
        assert user.effects("vm.waiting")[len(before) :] == list(zip(tickets, operations, strict=True))
        assert [ticket for ticket, _ in user.effects("vm.new")] == new
        await user.done("vm.new", "destroy")
        assert (user.exists("vm.waiting"), user.exists("vm.new")) == (None, None)


async def test_every_program_tells_its_health_and_what_it_counts(user: User) -> None:
    await user.done("vm.counted", "create")
    await user.done("vm.counted", "destroy")
    pages = {}
    for name in SERVICES:
        port = _port(user.centre, name)
        assert (await _get(port, "/livez"))[0] == 200
        status, body = await _get(port, "/readyz")
        ready = json.loads(body)
        assert (status, ready["ready"], set(ready["checks"].values())) == (200, True, {"ok"})
        assert {"nats", "stopping"} <= ready["checks"].keys()
        status, pages[name] = await _get(port, "/metrics")
        assert status == 200
        assert "treeward_nats_connected 1.0" in pages[name]
        assert "web-" not in pages[name]
        assert "counted" not in pages[name]
    orchestrator = _samples(pages["orchestrator-1"])
    assert orchestrator['treeward_units_total{outcome="completed",zone="zone-a"}'] >= 2
    assert orchestrator['treeward_dispatch_sent_total{zone="zone-a"}'] >= 2
    assert orchestrator['treeward_unanswered_units{zone="zone-a"}'] == 0
    agents = [_samples(pages[name]) for name in ("pod-agent-1", "pod-agent-2")]
    called = 'treeward_device_call_duration_seconds_count{verb="call",zone="zone-a"}'
    assert sum(agent.get(called, 0) for agent in agents) >= 2
    assert {
        agent[f'treeward_owner_epoch{{pod="{pod}",zone="zone-a"}}'] > 0 for agent in agents for pod in _pods(agent)
    } == {True}


async def test_without_nats_a_program_is_alive_and_not_ready_and_ready_again_afterwards(centre: DataCentre) -> None:
    async with at(centre) as user:
        await user.done("vm.survivor", "create")
        ports = {name: _port(centre, name) for name in SERVICES}
        before = centre.process_ids
        centre.programs[NATS].kill()
        for name, port in ports.items():
            await _status(port, "/readyz", 503)
            _, body = await _get(port, "/readyz")
            assert json.loads(body)["checks"]["nats"] == "no connection to NATS", name
            assert (await _get(port, "/livez"))[0] == 200
        centre.programs[NATS].start()
        for port in ports.values():
            await _status(port, "/readyz", 200)
        await until(lambda: user.bus.connected, "the user's own connection")
        await user.done("vm.survivor", "stop")
        await user.done("vm.survivor", "destroy")
        assert {name: id_ for name, id_ in centre.process_ids.items() if name != NATS} == {
            name: id_ for name, id_ in before.items() if name != NATS
        }


async def test_an_orchestrator_that_was_frozen_goes_on_where_it_was(centre: DataCentre) -> None:
    """It has not heard its own heartbeat for long; to stop for that and read everything again would make it busier."""
    async with at(centre) as user:
        await user.done("vm.patient", "create")
        began = _dispatchers_begun(centre)
        program = centre.programs["orchestrator-1"]
        program.pause()
        ticket = await user.submit("vm.patient", "stop")
        woken_at_s = asyncio.get_running_loop().time() + 2.5
        await until(lambda: asyncio.get_running_loop().time() > woken_at_s, "longer than its suspicion")
        assert ticket not in user.outcomes
        program.resume()
        assert (await user.outcome(ticket)).type == "completed"
        await user.done("vm.patient", "destroy")
        assert _dispatchers_begun(centre) == began


def _dispatchers_begun(centre: DataCentre) -> int:
    log = (centre.folder.logs / "orchestrator-1.log").read_text()
    return log.count('"message": "dispatches"')


def _port(centre: DataCentre, name: str) -> int:
    """The port that the running program has logged."""
    lines = (centre.folder.logs / f"{name}.log").read_text().splitlines()
    started = [entry for entry in map(json.loads, lines) if entry.get("message") == "started"][-1]
    assert started["pid"] == centre.process_ids[name]
    return int(started["http_port"])


async def _get(port: int, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_fetch, f"http://127.0.0.1:{port}{path}")


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def _status(port: int, path: str, wanted: int) -> None:
    async def answers() -> bool:
        return (await _get(port, path))[0] == wanted

    await until(answers)


def _samples(page: str) -> dict[str, Any]:
    lines = [line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def _pods(samples: dict[str, Any]) -> list[str]:
    return [name.split('pod="')[1].split('"')[0] for name in samples if name.startswith("treeward_owner_epoch{")]
