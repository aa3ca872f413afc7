"""Servers that can be reached and have no quorum: only a question to a leader shows it."""

from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.clock import SystemClock
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.runtime.jetstream_watch import JetStreamWatch
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics


async def test_servers_without_a_quorum_are_silent_although_they_are_connected(
    nats_cluster: list[EmbeddedNats],
) -> None:
    bus = await NatsBus.connect([server.url for server in nats_cluster], name="watched", timeout_s=20.0)
    metrics = Metrics()
    try:
        await bus.provision(ROOT, Retention(replicas=3))
        watch = JetStreamWatch(bus, SystemClock(), metrics, None, ask_s=0.5)
        async with watch.running():
            assert watch.silence_s() == 0.0
            info = await bus.streams.info(streams.log(ROOT))
            assert info is not None
            leader = info["cluster"]["leader"]
            others = [server for server in nats_cluster if server.name != leader]
            next(server for server in nats_cluster if server.name == leader).kill()
            others[0].kill()
            await until(lambda: bus.connected and watch.silence_s() > 1.0, "silence on a connection that stands")
            assert float(metrics.gauge(names.JETSTREAM_SILENCE).value) > 1.0
            others[0].start()
            await until(lambda: watch.silence_s() == 0.0, "an answer, with two of three servers")
    finally:
        await bus.close()
