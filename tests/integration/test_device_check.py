"""`treeward device check`: a device that keeps the rules passes, and each fault of a device is caught by its rule."""

import contextlib
import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from tests.support.command import treeward
from tests.support.kept import kept
from tests.support.plain_device import PlainDevice
from tests.support.until import until

from treeward.cli.device_check.rules import RULES
from treeward.cli.device_check.run import Result, Verdict, try_rules
from treeward.cli.device_check.trial import Site

CAUGHT_BY = {
    "begun": "restart-halfway", "restart-goes-on": "restart-halfway", "restores-nothing": "restore",
    "ahead-forgets": "ahead", "ahead-runs-again": "ahead",
}  # fmt: skip
"""What is broken is named as the rule that it breaks, but for these."""
BROKEN = [*sorted(RULES.keys() - {"restart-halfway"}), *CAUGHT_BY]
HOST = {"zone": "zone-a", "kind": "host", "id": "host-1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def connected(address: str) -> BinaryIO:
    """A connection to a server that may still be starting."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")

    def connect() -> BinaryIO | None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), 20) as connection:
            return cast("BinaryIO", connection.makefile("rwb", buffering=0))
        return None

    return await until(connect)


@pytest.fixture
async def devices(tmp_path: Path) -> AsyncIterator[list[PlainDevice]]:
    started: list[PlainDevice] = []
    yield started
    for device in started:
        await device.stop()


def site_of(device: PlainDevice, timeout_s: float) -> Site:
    async def slow() -> None:
        device.slow_s = 0.4

    async def quick() -> None:
        device.slow_s = 0.0

    return Site(
        device.address, "zone-a", "vm", secrets.token_hex(3), host="host-1", spec={"cpus": 1}, timeout_s=timeout_s,
        rounds=4, watch_s=1.0, slow=slow, quick=quick, restart=device.restart,
    )  # fmt: skip


async def results_of(device: PlainDevice, *only: str, timeout_s: float = 20.0) -> dict[str, Result]:
    return {result.rule.name: result async for result in try_rules(site_of(device, timeout_s), only)}


async def test_a_device_that_keeps_every_rule_passes(tmp_path: Path, devices: list[PlainDevice]) -> None:
    device = PlainDevice(tmp_path / "device.json")
    devices.append(device)
    await device.start()
    results = await results_of(device)
    assert list(results) == list(RULES)
    assert {name: r.reason for name, r in results.items() if r.verdict is not Verdict.PASSED} == {}
    assert all(result.exchanges for result in results.values())


async def test_a_device_that_remembers_the_last_ticket_alone_passes(tmp_path: Path, devices: list[PlainDevice]) -> None:
    device = PlainDevice(tmp_path / "device.json", remembers=1)
    devices.append(device)
    await device.start()
    results = await results_of(device, "recent", "ahead", "ahead-outlives", "ahead-restart", "older", "restart-memory")
    verdicts = {name: result.verdict for name, result in results.items()}
    offered = {name for name, verdict in verdicts.items() if verdict is not Verdict.NOT_OFFERED}
    assert offered == {"older", "restart-memory"}
    assert {verdicts[name] for name in offered} == {Verdict.PASSED}
    code, said, _ = await run_check(device.address, "--only", "ahead", "--all")
    assert (code, said[0]["verdict"], said[-1]["trusted"]) == (0, "not offered", True)


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_device_is_caught_by_its_rule(broken: str, tmp_path: Path, devices: list[PlainDevice]) -> None:
    device = PlainDevice(tmp_path / "device.json", broken)
    devices.append(device)
    await device.start()
    name = CAUGHT_BY.get(broken, broken)
    silent = broken in {"alive", "pieces", "ill-formed", "in-flight", "too-long"}  # it leaves requests unanswered
    result = (await results_of(device, name, timeout_s=1.0 if silent else 20.0))[name]
    assert result.verdict is Verdict.FAILED and result.reason, result


async def run_check(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    said = await treeward("device", "check", "--json", *arguments, code=None)
    return said.code, said.rows, said.err


async def test_the_simulator_passes_with_restarts_by_kill_9(tmp_path: Path) -> None:
    """The whole suite as a user runs it: slowness by the simulator's faults, restarts by a shell command."""
    listen, control = free_port(), free_port()
    addresses = ("--listen", f"tcp://127.0.0.1:{listen}", "--control", f"tcp://127.0.0.1:{control}")
    command = (sys.executable, "-m", "treeward.device_simulator", "--data", str(tmp_path / "d.sqlite"), *addresses)
    ask = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{control}; echo $0 >&3; read -u 3 -t 20 answer'"
    fault = '{"seq":1,"verb":"fault_add","fault":{"effect":"latency","id":"check-*","seconds":0.7}}'
    async with kept(command, tmp_path) as program:
        with await connected(addresses[1]) as wire:
            spec = {"pod": "pod-1", "cpus": 4, "memory_mib": 8192}
            create = {"life": 1, "owner": "a", "ticket": 1, "operation": "create", "spec": spec}
            wire.write(json.dumps({"seq": 1, "verb": "call", **HOST, **create}).encode() + b"\n")
            assert b'"applied"' in wire.readline()
        code, said, error = await run_check(
            addresses[1], "--host", "host-1", "--spec", '{"cpus":0.01,"memory_mib":1}', "--all", "--rounds", "4",
            "--slow", f"{ask} '{fault}'", "--quick", ask + """ '{"seq":1,"verb":"fault_clear"}'""",
            "--restart", f"kill -9 $(cat {tmp_path}/pid)", "--timeout", "30",
        )  # fmt: skip
        assert program.starts == 6, "there are five rules with a restart"
    verdicts = {str(line["rule"]): (line["verdict"], line["reason"]) for line in said[:-1]}
    assert {name: told for name, told in verdicts.items() if told[0] != "passed"} == {}, error
    assert list(verdicts) == list(RULES)
    assert (code, said[-1]["trusted"]) == (0, True)


async def test_the_exit_code_tells_whether_a_device_may_be_trusted(tmp_path: Path, devices: list[PlainDevice]) -> None:
    device = PlainDevice(tmp_path / "device.json", "fence-lower")
    devices.append(device)
    await device.start()
    code, said, _ = await run_check(device.address)
    broken = [line["rule"] for line in said[:-1] if line["verdict"] == "failed"]
    assert (code, broken, said[-1]["trusted"]) == (1, ["fence-lower", "call-raises", "outlives"], False)
    assert {line["rule"] for line in said[:-1] if line["verdict"] == "not tried"} == {
        name for name, rule in RULES.items() if rule.slow or rule.restart or rule.host
    }
    code, said, _ = await run_check(device.address, "--only", "older")
    assert (code, [line.get("rule") for line in said]) == (0, ["older", None])
    assert (await run_check(device.address, "--only", "busy", "--all"))[0] == 1
    code, _, error = await run_check("tcp://127.0.0.1:1")
    assert code == 3 and "nobody serves tcp://127.0.0.1:1" in error
