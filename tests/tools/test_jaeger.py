"""Units as one waterfall in the real Jaeger, with the shipped configuration, read back by its API."""

import asyncio
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.stack import stack
from tests.support.until import until
from tests.tools.attributes import ANY, documented
from tests.tools.built import ROOT, needs, tool
from tests.tools.waterfall import Span, waterfall

from treeward.runtime.embedded_nats import free_port
from treeward.telemetry import names

SHIPPED = ROOT / "k8s" / "components" / "jaeger" / "config.yaml"
PORTS = (4317, 4318, 8888, 13133, 16685, 16686)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OF_A_UNIT = {names.SUBMIT, names.DISPATCH, names.MAILBOX_WAIT, names.PROCESS, names.DEVICE_CALL, names.SETTLE}
NAMES = OF_A_UNIT | {names.CRASH, names.TAKEOVER}
OF_JAEGER = {
    "span.kind",
    "error",
    "otel.status_code",
    "otel.status_description",
    "otel.scope.name",
    "otel.scope.version",
}
"""How it shows what a span has besides its attributes."""
pytestmark = [needs("nats", "`make tools` builds it, with Go"), needs("jaeger", "`make tools` builds it, with Go")]
Found = dict[str, Any]


class Jaeger:
    """A running one; its API answers what has arrived."""

    def __init__(self, query: int, otlp: int) -> None:
        self._url = f"http://127.0.0.1:{query}"
        self.otlp = f"http://127.0.0.1:{otlp}"

    def ask(self, path: str) -> Any:
        """What `/api` says; None: it is not up, or does not know."""
        try:
            return json.loads(urllib.request.urlopen(f"{self._url}/api/{path}", timeout=20).read())["data"] or []
        except (urllib.error.URLError, ConnectionError):
            return None

    def spans(self, trace_id: str) -> list[Found]:
        """The spans of a trace with service, tags and the span that each hangs below."""
        found = []
        for trace in self.ask(f"traces/{trace_id}") or []:
            for span in trace["spans"]:
                tags = {tag["key"]: tag["value"] for tag in span["tags"]}
                above = [one["spanID"] for one in span["references"] if one["traceID"] == span["traceID"]]
                service = trace["processes"][span["processID"]]["serviceName"]
                one = {"name": span["operationName"], "id": span["spanID"], "above": above}
                one |= {"begun_us": span["startTime"], "lasted_us": span["duration"]}
                found.append({**one, "tags": tags, "service": service})
        return found

    def every_span(self, services: Iterable[str]) -> list[Found]:
        """Those of all traces in which a service took part."""
        traces = {one["traceID"] for service in services for one in self.ask(f"traces?service={service}&limit=1000")}
        return [span for trace in traces for span in self.spans(trace)]


@contextmanager
def jaeger(folder: Path) -> Iterator[Jaeger]:
    """The shipped configuration on free ports of this machine; checked by Jaeger itself before it is started."""
    text, ports = SHIPPED.read_text(), {port: free_port() for port in PORTS}
    command = [tool("jaeger"), "validate", "--config", str(SHIPPED)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for port, own in ports.items():
        assert str(port) in text
        text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{own}").replace(f"port: {port}", f"port: {own}")
    config = folder / "jaeger.yaml"
    config.write_text(text.replace("host: 0.0.0.0", "host: 127.0.0.1"))
    with (folder / "jaeger.log").open("wb") as log:
        process = subprocess.Popen([tool("jaeger"), "--config", str(config)], stdout=log, stderr=log)
    try:
        yield Jaeger(ports[16686], ports[4318])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def below(spans: list[Found], name: str) -> list[str]:
    """The names of what hangs below the spans of a name."""
    ids = {span["id"] for span in spans if span["name"] == name}
    return sorted(span["name"] for span in spans if ids & set(span["above"]))


async def test_units_are_waterfalls_in_jaeger(tmp_path: Path) -> None:
    """One submitted with a `traceparent`; one that crashed, was flushed with what waited, and ran after a takeover."""
    with jaeger(tmp_path) as seen:
        await until(lambda: seen.ask("services") is not None, "Jaeger answers")
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": seen.otlp, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        settings |= {"TREEWARD_CALL_TIMEOUT_S": "2", "TREEWARD_BACKOFF_MAX_S": "0.4"}
        async with stack(tmp_path, pod_agents=2, settings=settings) as centre:
            await centre.wait_for_outcome("zone-a", await centre.submit("zone-a.vm.web-1", "create"))
            header = f"traceparent:00-{TRACE}-{SPAN}-01"
            command = [tool("nats"), "--server", centre.url, "pub", "-J", "--no-templates", "-H", header]
            command += ["tw.work.zone-a.vm.web-1", '{"operation":"stop"}']
            said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
            ticket = int((said.stdout + said.stderr).rpartition("Sequence: ")[2].split()[0])
            await centre.wait_for_outcome("zone-a", ticket)
            await until(lambda: {span["name"] for span in seen.spans(TRACE)} >= OF_A_UNIT, "the waterfall of the unit")
            _check_plain(seen.spans(TRACE), ticket)

            crashed_trace = "1" + TRACE[1:]
            centre.add_fault(effect="hang", kind="vm", id="web-1", operation="start")
            owner = centre.owner_of("zone-a", "a1")
            lost = await centre.bus.submit(
                "tw.work.zone-a.vm.web-1", b'{"operation":"start"}', timeout_s=30.0,
                headers={"traceparent": f"00-{crashed_trace}-{SPAN}-01"},
            )  # fmt: skip
            behind = await centre.submit("zone-a.vm.web-1", "stop")
            await until(lambda: centre.events_of("zone-a.vm.web-1", "crashed"), "the crash")
            (crash,) = centre.events_of("zone-a.vm.web-1", "crashed")[:1]
            assert crash.ticket == lost.ticket and behind in crash.flushed
            await until(lambda: any(s["name"] == names.CRASH for s in seen.spans(crashed_trace)), "its span")
            centre.kill(owner)
            await until(lambda: centre.owner_of("zone-a", "a1") not in ("", owner), "the takeover")
            centre.clear_faults()
            assert (await centre.wait_for_outcome("zone-a", lost.ticket, timeout_s=60.0)).type == "completed"
            assert (await centre.wait_for_outcome("zone-a", behind, timeout_s=60.0)).type == "completed"
            # Each program reports for itself: what settled it may be seen before what it hangs below.
            await until(lambda: names.SETTLE in below(seen.spans(crashed_trace), names.PROCESS), "its settling")
            spans = seen.spans(crashed_trace)
            assert below(spans, names.SUBMIT).count(names.DISPATCH) >= 2
            assert below(spans, names.PROCESS).count(names.SETTLE) == 1
            assert names.CRASH in below(spans, names.PROCESS)
            lives = {span["tags"][names.LIFE] for span in spans if span["name"] == names.DISPATCH}
            assert len(lives) >= 2, "sent again in another life"
            instances = {"orchestrator", "zone-supervisor", "pod-agent"}
            assert set(seen.ask("services")) - {"jaeger"} == instances
            for service in instances:
                assert set(seen.ask(f"services/{service}/operations")) <= NAMES, "few, and none with an id"
            _check_cardinality(seen.every_span(instances))
            _draw(seen.spans(TRACE), "unit.svg", "a unit, submitted with a traceparent")
            _draw(
                spans,
                "crashed-unit.svg",
                "a unit whose call hung: its process crashed, its agent was killed, the next one ran it",
            )


def _check_cardinality(spans: list[Found]) -> None:
    """Names and attributes are those of docs/tracing.md, and what can be grouped by has the few values said there."""
    table = documented()
    assert len({span["name"] for span in spans}) >= len(OF_A_UNIT)
    found: dict[str, set[str]] = {}
    for span in spans:
        assert span["name"] in NAMES
        for key, value in span["tags"].items():
            found.setdefault(key, set()).add(str(value))
    assert found.keys() - OF_JAEGER <= table.keys()
    for key in found.keys() - OF_JAEGER:
        assert table[key] == ANY or found[key] <= table[key], key


def _draw(spans: list[Found], name: str, title: str) -> None:
    """Renew a picture of docs/tracing.md, if that is asked for."""
    if "TREEWARD_PICTURES" not in os.environ:
        return
    drawn = [
        Span(
            span["id"], tuple(span["above"]), span["name"], span["service"], span["begun_us"], span["lasted_us"],
            _note(span["tags"]),
        )
        for span in spans
    ]  # fmt: skip
    (ROOT / "docs" / "pictures" / name).write_text(waterfall(drawn, title))


def _note(tags: Found) -> str:
    shown = {names.ATTEMPT: "attempt {}", names.LIFE: "life {}", names.OUTCOME: "{}"}
    return ", ".join(text.format(tags[key]) for key, text in shown.items() if key in tags)


def _check_plain(spans: list[Found], ticket: int) -> None:
    assert below(spans, names.SUBMIT) == [names.DISPATCH]
    assert below(spans, names.DISPATCH) == [names.MAILBOX_WAIT, names.PROCESS]
    assert below(spans, names.PROCESS) == [names.DEVICE_CALL, names.SETTLE]
    assert [span["above"] for span in spans if span["name"] == names.SUBMIT] == [[SPAN]]
    assert {span["tags"][names.TICKET] for span in spans} == {ticket}
    assert {span["service"] for span in spans} == {"orchestrator", "pod-agent"}
