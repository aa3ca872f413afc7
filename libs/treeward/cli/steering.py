"""What all commands that steer have in common: who asks and why, and that it is submitted as a unit of work."""

from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer

from treeward.cli.connection import run
from treeward.cli.options import asker
from treeward.cli.output import CommandError, fail
from treeward.cli.prepare import address_of, prepare
from treeward.cli.submit import submit_one

AddressArgument = Annotated[str, typer.Argument(metavar="ZONE.KIND.ID")]
Reason = Annotated[str | None, typer.Option(help="goes on record with it")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="wait until it has been answered")]
WaitTimeout = Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="how long --wait waits")]


class Asking(NamedTuple):
    """The options of a command that steers."""

    reason: str | None
    by: str | None
    wait: bool
    timeout_s: float
    server: str | None
    as_json: bool

    def fields(self, operation: str, **more: Any) -> dict[str, Any]:
        """The fields of a unit; what is None is left out."""
        more = {name: value for name, value in more.items() if value is not None}
        return {"operation": operation, **more, **asker(self.reason, self.by)}

    def submit(self, address: str, operation: str, **more: Any) -> None:
        """Submit a unit for a resource and end with its exit code."""
        try:
            unit = prepare(address_of(address), self.fields(operation, **more), now=datetime.now(UTC))
        except CommandError as error:
            fail(error)
        run(submit_one(self.server, unit, wait=self.wait, timeout_s=self.timeout_s, as_json=self.as_json))
