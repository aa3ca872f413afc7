"""The one place where a command connects to the bus, and where the bus's errors become sentences and exit codes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import typer
import uvloop

from treeward.bus.connection import NotAdmittedError
from treeward.bus.interface import (
    BusError,
    BusUnavailableError,
    NoSuchZoneError,
    StreamDiffersError,
    SubmitRefusedError,
)  # fmt: skip
from treeward.bus.nats_bus import NatsBus
from treeward.cli.output import INTERRUPTED, NO, UNAVAILABLE, CommandError, fail
from treeward.runtime.login import credentials_of
from treeward.runtime.settings import Settings
from treeward.runtime.settings_file import BadSettingsError
from treeward.runtime.settings_types import is_server

CONNECT_S = 3.0


def run(command: Coroutine[Any, Any, int]) -> None:
    """Run a command to its exit code; expected errors end it with one sentence, without a traceback."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(command)
    except CommandError as error:
        fail(error)
    except BusError as error:
        fail(sentence_of(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    raise typer.Exit(code)


def sentence_of(error: BusError) -> CommandError:
    """What a person should know of an error of the bus."""
    match error:
        case NoSuchZoneError():
            text = f"{error}; define it with `treeward apply` (root's own streams with `treeward provision`)"
            return CommandError(text, NO)
        case BusUnavailableError():
            return CommandError(f"{error}; is NATS running there? Choose another with --server", UNAVAILABLE)
        case SubmitRefusedError():
            return CommandError(f"{error}; nothing was stored", NO)
        case StreamDiffersError():
            return CommandError(f"{error}; nothing was changed", NO)
        case _:
            return CommandError(str(error), UNAVAILABLE)


@contextlib.asynccontextmanager
async def connected(server: str | None) -> AsyncIterator[NatsBus]:
    """A bus on `server`, else on what the settings name; raises CommandError with UNAVAILABLE after 3 s.

    What the bus would log is silenced: to a command's user every problem is one sentence.
    """
    logging.getLogger("treeward").setLevel(logging.CRITICAL)
    try:
        settings = Settings.load()
        credentials = credentials_of(settings)
    except BadSettingsError as error:
        raise CommandError(str(error)) from None
    servers = [part.strip() for part in server.split(",")] if server else list(settings.nats_url)
    if wrong := [each for each in servers if not is_server(each)]:
        raise CommandError(f"--server {wrong[0]!r}: must be nats://HOST:PORT (or tls, ws, wss)")
    try:
        bus = await NatsBus.connect(
            servers,
            name="treeward",
            inbox_prefix=settings.nats_inbox_prefix,
            api_prefix=settings.nats_api_prefix,
            credentials=credentials,
            timeout_s=CONNECT_S,
        )
    except NotAdmittedError as error:
        advice = "TREEWARD_NATS_... says how to log in, and what to check the server with (docs/credentials.md)"
        raise CommandError(f"no connection to {', '.join(servers)}: {error}; {advice}", UNAVAILABLE) from None
    except BusUnavailableError:
        where = ", ".join(servers)
        text = f"no NATS server answers at {where}; start one (`treeward up`) or choose another with --server"
        raise CommandError(text, UNAVAILABLE) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot connect to {', '.join(servers)}: {error}") from None
    try:
        yield bus
    finally:
        await bus.close()
