"""Fixtures of the tests that need a real nats-server."""

from tests.support.nats_server import nats_cluster, nats_server

__all__ = ["nats_cluster", "nats_server"]
