"""The embedded nats-server as one of the programs of a data centre."""

import os
import signal
import socket

from treeward.runtime.embedded_nats import EmbeddedNats, NatsServerError

NATS = "nats-server"


class StartError(Exception):
    """The data centre could not be started; the message says why in one sentence. Nothing is left running."""


class NatsChild:
    """The embedded server as a child process among others."""

    name = NATS

    def __init__(self, server: EmbeddedNats) -> None:
        self.server = server

    @property
    def process_id(self) -> int | None:
        """Of the running server; None if it does not run."""
        return self.server.process_id

    @property
    def exit_code(self) -> int | None:
        """What the last run ended with by itself."""
        return self.server.exit_code

    def start(self) -> None:
        """Start it and wait until it accepts clients; raises StartError."""
        _check_free(self.server.port)
        try:
            self.server.start()
        except NatsServerError as error:
            raise StartError(str(error)) from None

    def ask_to_end(self) -> None:
        """Send SIGTERM; a frozen server is woken first."""
        process_id = self.process_id
        if process_id is not None:
            os.kill(process_id, signal.SIGCONT)
            os.kill(process_id, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.server.kill()

    def pause(self) -> None:
        """Freeze it."""
        self.server.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.server.resume()


def _check_free(port: int) -> None:
    """Another server on the port would be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartError(f"port {port} on 127.0.0.1 cannot be used: {error.strerror}") from None
