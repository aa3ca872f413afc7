"""Options that several commands have, in one wording."""

from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option(
        "--server", "-s", envvar="TREEWARD_NATS_URL", show_default="nats://127.0.0.1:4222", metavar="URL[,URL...]",
        help="NATS servers; how to log in is set by TREEWARD_NATS_... (docs/cli.md)",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output instead of text for people")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="how long to wait for it")]
