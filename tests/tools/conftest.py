"""The fixtures that the tests of this folder use."""

from tests.support.nats_server import nats_server

__all__ = ["nats_server"]
