"""One program as a child process: started on a leash, killed, frozen and ended by its process id."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

LEASH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py")))


def leashed() -> tuple[str, ...]:
    """What to put before a command so that the program dies with this process.

    The thread that starts the program must live as long: the kernel watches the thread. Start from the main thread.
    """
    return (*LEASH, str(os.getpid()))


class ChildProcess(Protocol):
    """A program that can be started again: one of the services, the simulator, or nats-server."""

    name: str

    @property
    def process_id(self) -> int | None:
        """Of the running program; None if it does not run."""
        ...

    @property
    def exit_code(self) -> int | None:
        """What the last run ended with (negative: the signal); None while it runs, or before the first."""
        ...

    def start(self) -> None:
        """Start it; it must not run."""
        ...

    def ask_to_end(self) -> None:
        """Send SIGTERM (a frozen one is woken first); harmless if it does not run."""
        ...

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait for that; harmless if it does not run."""
        ...

    def pause(self) -> None:
        """Freeze it (SIGSTOP) and return when it has stopped."""
        ...

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        ...


class Child:
    """A program with its own process group and its own log, to which it appends."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._command = tuple(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """Of the running program; None if it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the last run ended with (negative: the signal); None while it runs, or before the first."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it; returns at once."""
        assert self.process_id is None, f"{self.name} runs already"
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal is for us, who end the programs in order.
            self._process = subprocess.Popen(
                [*leashed(), *self._command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ask_to_end(self) -> None:
        """Send SIGTERM; a frozen program is woken first, or it would not hear it."""
        if self._process is not None and self.process_id is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait for that."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP) and return when it has stopped; raises ProcessLookupError if it does not run."""
        process_id = self._living()
        os.kill(process_id, signal.SIGSTOP)
        os.waitid(os.P_PID, process_id, os.WSTOPPED)

    def resume(self) -> None:
        """Let it go on (SIGCONT); raises ProcessLookupError if it does not run."""
        os.kill(self._living(), signal.SIGCONT)

    def _living(self) -> int:
        process_id = self.process_id
        if process_id is None:
            raise ProcessLookupError(f"{self.name} does not run")
        return process_id
