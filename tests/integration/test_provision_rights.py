"""Whoever sets up the first streams changes none: only root's owner gives a mailbox its copies again."""

import pytest

from treeward.bus.interface import StreamDiffersError
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention

UPDATE = "$JS.API.STREAM.UPDATE."


async def test_only_roots_owner_asks_for_the_copies_that_a_mailbox_lacks(nats_server: EmbeddedNats) -> None:
    """The key `bootstrap` has no right to change a stream: its request would be denied, and waited for in vain."""
    asked: list[str] = []
    bus = await NatsBus.connect(nats_server.url)
    try:
        await bus.provision(ROOT, Retention(replicas=1))
        await bus.subscribe(f"{UPDATE}>", lambda subject, _data, _headers: asked.append(subject))
        wanted = Retention(replicas=3)
        with pytest.raises(StreamDiffersError):  # one server has no place for three copies of anything
            await provision(bus, ROOT, wanted)
        assert asked == []
        with pytest.raises(StreamDiffersError):
            await bus.provision(ROOT, wanted)
        assert asked == [f"{UPDATE}{streams.mailbox(ROOT)}"]
    finally:
        await bus.close()
