"""A whole program as a process: its port, its logs, its signals, its exit codes."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.otlp import OtlpReceiver

SERVICE = """
import asyncio, socket, sys, time
from starlette.responses import PlainTextResponse
from treeward.runtime.program import Program, run_program
from treeward.telemetry import names

class Heard(asyncio.Protocol):
    def data_received(self, data):
        1 / 0

async def hello(request):
    return PlainTextResponse("hello")

async def service(program: Program) -> None:
    what = sys.argv[1]
    program.http.add_route("/hello", hello)
    program.readiness.add("nats", lambda: "not connected" if what == "unready" else None)
    program.metrics.counter(names.UNITS_TOTAL, "zone-a", "completed").inc(3)
    now_s = program.clock.now_s()
    program.tracer.span(names.PROCESS, None, now_s, now_s + 1)
    program.log.info("serving", ticket=7)
    if what == "held-up":
        time.sleep(0.5)  # the fault that is to be noticed
        program.log.info("held up")
    if what == "crash":
        raise RuntimeError("no way")
    if what == "callback":
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    if what == "answer":  # as a device's answer comes, and what is made of it fails
        ours, theirs = socket.socketpair()
        theirs.sendall(b"answer")
        await asyncio.get_running_loop().create_connection(Heard, sock=ours)
    await program.stopping.wait()
    while what == "stubborn":
        await asyncio.sleep(60)
    if what == "fails-at-the-end":
        raise RuntimeError("too late")

run_program("pod-agent", service)
"""


class Run:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    def log_until(self, message: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.lines.append(json.loads(text))
            if self.lines[-1]["message"] == message:
                return self.lines[-1]
        raise AssertionError(f"the program ended without {message!r}: {self.lines}")

    def get(self, path: str) -> tuple[int, str]:
        port = next(line["http_port"] for line in self.lines if line["message"] == "started")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def refusal(self) -> str:
        assert self.process.stderr is not None
        text = self.process.stderr.read()
        assert self.process.wait(10) == 2
        return text

    def end(self) -> int:
        assert self.process.stderr is not None
        self.lines += [json.loads(text) for text in self.process.stderr]
        return self.process.wait(10)


@contextmanager
def running(tmp_path: Path, what: str, **variables: str) -> Iterator[Run]:
    program = tmp_path / "service.py"
    program.write_text(SERVICE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TREEWARD_", "OTEL_"))}
    process = subprocess.Popen(
        [sys.executable, str(program), what],
        env={**environment, **variables},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Run(process)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_program_answers_on_its_port_and_ends_cleanly_when_told(tmp_path: Path) -> None:
    with (
        OtlpReceiver() as receiver,
        running(tmp_path, "serve", TREEWARD_ZONE="zone-a", **receiver.environment()) as run,
    ):
        line = run.log_until("serving")
        assert line["ticket"] == 7
        assert (line["service"], line["zone"], line["level"]) == ("pod-agent", "zone-a", "info")
        assert line["instance"].startswith("pod-agent-")
        status, body = run.get("/livez")
        assert (status, json.loads(body)["alive"]) == (200, True)
        status, body = run.get("/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "checks": {"stopping": "ok", "nats": "ok"}})
        assert run.get("/hello") == (200, "hello")
        status, body = run.get("/metrics")
        samples = {sample.name: sample for family in text_string_to_metric_families(body) for sample in family.samples}
        assert samples["treeward_units_total"].value == 3
        assert samples["treeward_units_total"].labels == {"zone": "zone-a", "outcome": "completed"}
        assert samples["process_resident_memory_bytes"].value > 0
        assert "treeward_loop_lag_seconds" in samples
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0
        (span,) = receiver.spans
        assert (span.name, span.service) == ("process", "pod-agent")
        assert span.resource["service.instance.id"] == line["instance"]


def test_a_program_that_cannot_be_of_use_says_why(tmp_path: Path) -> None:
    with running(tmp_path, "unready") as run:
        run.log_until("serving")
        status, body = run.get("/readyz")
        assert (status, json.loads(body)["checks"]["nats"]) == (503, "not connected")
        assert run.get("/livez")[0] == 200


def test_a_program_whose_loop_was_held_up_is_not_alive(tmp_path: Path) -> None:
    with running(tmp_path, "held-up", TREEWARD_LAG_MAX_S="0.1") as run:
        run.log_until("held up")
        status, body = run.get("/livez")
        assert status == 503
        assert json.loads(body)["loop_lag_s"] > 0.1


def test_a_crash_is_logged_once_with_its_traceback(tmp_path: Path) -> None:
    with running(tmp_path, "crash") as run:
        assert run.end() == 1
        (crash,) = (line for line in run.lines if "exception" in line)
        assert crash["message"] == "crashed"
        assert "RuntimeError: no way" in crash["exception"]


def test_a_failure_during_the_shutdown_is_a_crash_too(tmp_path: Path) -> None:
    with running(tmp_path, "fails-at-the-end") as run:
        run.log_until("serving")
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 1


@pytest.mark.parametrize("what", ["callback", "answer"])
def test_an_exception_out_of_a_callback_ends_the_program(tmp_path: Path, what: str) -> None:
    with running(tmp_path, what) as run:
        assert run.end() == 1
        assert any("ZeroDivisionError" in line.get("exception", "") for line in run.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_program_that_takes_its_time(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "stubborn") as run:
        run.log_until("serving")
        run.process.send_signal(number)
        run.log_until("told to stop")
        run.process.send_signal(number)
        assert run.end() == 0


def test_a_program_that_is_stopping_still_answers_that_it_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, "stubborn") as run:
        run.log_until("serving")
        assert run.get("/readyz")[0] == 200
        run.process.send_signal(signal.SIGTERM)
        run.log_until("told to stop")
        for _ in range(300):  # the port stays for as long as the service takes; it would be gone within 100 ms
            status, body = run.get("/readyz")
            assert (status, json.loads(body)["checks"]["stopping"]) == (503, "the program is stopping")


def test_a_program_that_does_not_stop_in_time_is_cut_short(tmp_path: Path) -> None:
    with running(tmp_path, "stubborn", TREEWARD_STOP_TIMEOUT_S="0.1") as run:
        run.log_until("serving")
        run.process.send_signal(signal.SIGTERM)
        run.log_until("did not stop in time and is cut short")
        assert run.end() == 1


def test_settings_that_cannot_be_used_end_the_program_with_code_2_and_one_line(tmp_path: Path) -> None:
    with running(tmp_path, "serve", TREEWARD_WINDOW="x") as run:
        text = run.refusal()
        assert text.startswith("treeward-pod-agent: TREEWARD_WINDOW: input should be a valid integer")
        assert text.count("\n") == 1


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path, "serve") as first:
        port = first.log_until("started")["http_port"]
        with running(tmp_path, "serve", TREEWARD_HTTP_PORT=str(port), TREEWARD_LOG_LEVEL="error") as second:
            assert f"TREEWARD_HTTP_PORT: cannot listen on 127.0.0.1:{port}: Address already in use" in second.refusal()


def test_without_a_port_nothing_listens(tmp_path: Path) -> None:
    with running(tmp_path, "serve", TREEWARD_HTTP_PORT="-1") as run:
        assert run.log_until("started")["http_port"] is None
