"""`treeward provision`: makes root's streams, in which zones are defined and the root supervisor is claimed."""

from typing import Annotated

import typer

from treeward.bus.provision import provision
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server
from treeward.cli.output import FINE, CommandError, fail, say_json
from treeward.runtime.settings import Settings
from treeward.runtime.settings_file import BadSettingsError
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention


def command(
    replicas: Annotated[int | None, typer.Option(min=1, max=5, help="copies of each stream", show_default="1")] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make root's streams, once for each NATS. A repeat changes nothing.

    Ages and the number of copies are those of the services' settings (TREEWARD_REPLICAS and others).
    """
    try:
        retention = retention_of(replicas)
    except CommandError as error:
        fail(error)
    run(_provision(server, retention, as_json=as_json))


def retention_of(replicas: int | None) -> Retention:
    """How long things are kept, as the settings say; raises CommandError."""
    try:
        settings = Settings.load()
    except BadSettingsError as error:
        raise CommandError(str(error)) from None
    return Retention(
        replicas=replicas or settings.replicas,
        log_age_s=settings.log_age_s,
        history_age_s=settings.history_age_s,
        mailbox_age_s=settings.mailbox_age_s,
        duplicate_window_s=settings.duplicate_window_s,
    )


async def _provision(server: str | None, retention: Retention, *, as_json: bool) -> int:
    async with connected(server) as bus:
        made = await provision(bus, ROOT, retention)
    if as_json:
        say_json({"made": made})
    else:
        typer.echo(f"made {', '.join(made)}" if made else "everything was there")
    return FINE
