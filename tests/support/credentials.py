"""A real server with generated credentials, and a connection as any of its users."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from treeward.bus.connection import Credentials
from treeward.bus.nats_bus import NatsBus
from treeward.bus.permissions import Rights
from treeward.cli.credentials_folder import ACCOUNTS, CredentialsFolder


def accounts_of(folder: Path) -> str:
    """The accounts, for a server's configuration."""
    return (folder / ACCOUNTS).read_text()


def rights_of(folder: Path, name: str) -> Rights:
    """What the table says of a user."""
    users = CredentialsFolder(folder).read()
    return next(rights for rights in map(users.rights_of, users.users) if rights.name == name)


@asynccontextmanager
async def connected_as(url: str, folder: Path, name: str, *, tls: Path | None = None) -> AsyncIterator[NatsBus]:
    """A bus with the credentials of a user, closed at the end; `tls` has the authority, `tls.crt`."""
    rights = rights_of(folder, name)
    crashes: list[BaseException] = []
    bus = await NatsBus.connect(
        url,
        name=name,
        inbox_prefix=rights.inbox_prefix,
        api_prefix=rights.api_prefix,
        credentials=Credentials(
            nkey_seed_file=str(folder / f"{name}.nk"),
            tls=None if tls is None else ssl.create_default_context(cafile=tls / "tls.crt"),
        ),
        timeout_s=10.0,
        crash=crashes.append,
    )
    try:
        yield bus
    finally:
        await bus.close()
    assert not crashes
