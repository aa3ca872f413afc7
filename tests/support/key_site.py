"""A server with generated accounts and somebody of each role."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support.credentials import accounts_of, connected_as

from treeward.bus.nats_bus import NatsBus
from treeward.cli.credentials_folder import CredentialsFolder, User
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention

AGENT, SUPERVISOR, ORCHESTRATOR = "pod-agent_zone-a", "zone-supervisor_zone-a", "orchestrator"
SUBMITTER, READER = "submitter_ci", "reader_audit"


class Site:
    """A server, its credentials and an operator who sees all that is stored."""

    def __init__(self, url: str, folder: Path, bus: NatsBus) -> None:
        self.url = url
        self.folder = folder
        self.bus = bus

    async def positions(self) -> dict[str, tuple[int, int, int]]:
        """First and last position and size of every stream that somebody else than the server writes."""
        found = {}
        for zone in (ROOT, "zone-a", "zone-b"):
            for spec in (spec for spec in streams.streams_of(zone, Retention()) if spec.subjects):
                state = await self.bus.state(spec.name)
                assert state is not None, spec.name
                found[spec.name] = (state.first, state.last, state.messages)
        return found

    @asynccontextmanager
    async def users(self, *names: str) -> AsyncIterator[list[NatsBus]]:
        """A connection for each of them; nothing that they do may be denied."""
        async with AsyncExitStack() as open_:
            buses = [await open_.enter_async_context(connected_as(self.url, self.folder, name)) for name in names]
            yield buses
            denied = {name: bus.violation for name, bus in zip(names, buses, strict=True) if bus.violation}
            assert denied == {}


@asynccontextmanager
async def site_in(tmp_path: Path) -> AsyncIterator[Site]:
    """A server with two zones, and everybody who has a key to it."""
    folder = tmp_path / "credentials"
    here = CredentialsFolder(folder)
    here.make(["zone-a", "zone-b"])
    here.add(User(role="submitter", name="ci", addresses=("zone-a.vm.*", "zone-a.volume.data")))
    here.add(User(role="reader", name="audit", zones=("zone-a",)))
    server = EmbeddedNats(tmp_path / "nats", accounts=accounts_of(folder))
    server.start()
    try:
        async with connected_as(server.url, folder, "bootstrap") as bus:
            await bus.provision(ROOT, Retention())
            assert bus.violation is None
        async with connected_as(server.url, folder, ORCHESTRATOR) as bus:
            for zone in (ROOT, "zone-a", "zone-b"):
                await bus.provision(zone, Retention())
            yield Site(server.url, folder, bus)
            assert bus.violation is None
    finally:
        server.kill()
