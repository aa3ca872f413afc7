"""Options that several commands have, in one wording."""

import contextlib
import getpass
from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option(
        "--server", "-s", envvar="TREEWARD_NATS_URL", show_default="nats://127.0.0.1:4222", metavar="URL[,URL...]",
        help="NATS servers; how to log in is set by TREEWARD_NATS_... (docs/cli.md)",
    ),
]  # fmt: skip
By = Annotated[
    str | None, typer.Option("--by", show_default="your user name", help="who asks for it; goes on record with it")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output instead of text for people")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="how long to wait for it")]


def asker(reason: str | None, by: str | None) -> dict[str, str]:
    """The fields of a unit that say who asks for it and why. Nobody checks the name: accounts are NATS's affair."""
    if by is None:
        with contextlib.suppress(OSError, KeyError):
            by = getpass.getuser()
    return {name: value for name, value in (("reason", reason), ("by", by)) if value}
