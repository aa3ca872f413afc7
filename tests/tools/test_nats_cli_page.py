"""Every command of docs/nats-cli.md, with the real `nats` command against a real server and real services."""

import asyncio
import os
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.credentials import accounts_of, connected_as
from tests.support.stack import stack
from tests.tools.built import ROOT, needs, tool
from tests.tools.page import Shell, Step, steps_of

from treeward.cli.credentials_folder import CredentialsFolder, User
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas.address import ROOT as ROOT_ZONE
from treeward.schemas.streams import Retention

PAGE = ROOT / "docs" / "nats-cli.md"


@contextmanager
def shell(folder: Path, **variables: str) -> Iterator[Shell]:
    """A bash in which `nats` and `treeward` are what this clone has, and nothing is configured."""
    folder.mkdir()
    path = os.pathsep.join([str(Path(tool("nats")).parent), str(sysconfig.get_path("scripts")), os.environ["PATH"]])
    own = {"PATH": path, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "LC_ALL": "C.UTF-8"} | variables
    shell = Shell(folder, own)
    try:
        yield shell
    finally:
        shell.end()


def of_shell(name: str) -> list[Step]:
    """The commands of the page that are run there."""
    steps = [step for step in steps_of(PAGE.read_text()) if step.shell == name]
    assert len(steps) > 10
    return steps


def wrong(shell: Shell, steps: list[Step]) -> list[str]:
    """What a page says otherwise than it is."""
    return [problem for step in steps if (problem := shell.run(step)) is not None]


@needs("nats", "`make tools` builds it, with Go")
async def test_every_command_of_the_page_does_what_the_page_shows(tmp_path: Path) -> None:
    steps = of_shell("open")
    async with stack(tmp_path, hosts=2) as centre:
        with shell(tmp_path / "shell", NATS_URL=centre.url) as bash:
            problems = await asyncio.to_thread(wrong, bash, steps)
    assert not problems, "\n\n".join(problems)


@needs("nats", "`make tools` builds it, with Go")
async def test_the_commands_with_keys_do_what_the_page_shows(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    """A server with the generated accounts, and another one that knows no keys."""
    steps = of_shell("credentials")
    secrets = CredentialsFolder(tmp_path / "shell" / "secrets")
    with shell(tmp_path / "shell") as bash:
        secrets.make(["zone-a"])
        secrets.add(User(role="submitter", name="ci", addresses=("zone-a.vm.*",)))
        secrets.add(User(role="reader", name="audit", zones=("zone-a",)))
        server = EmbeddedNats(tmp_path / "nats-with-keys", accounts=accounts_of(secrets.path))
        server.start()
        try:
            async with connected_as(server.url, secrets.path, "orchestrator") as bus:
                for zone in (ROOT_ZONE, "zone-a"):
                    await bus.provision(zone, Retention())
            bash.run(Step(0, "", f"SERVER={server.url}; OPEN={nats_server.url}"))
            problems = await asyncio.to_thread(wrong, bash, steps)
        finally:
            server.kill()
    assert not problems, "\n\n".join(problems)


def test_the_page_is_read_as_it_is_meant() -> None:
    comments = "<!-- shell: open -->\n<!-- meanwhile: b -->\n"
    text = comments + "```console\n$ a\n09:00:01 x … z\n…\nend\n^C\n```\n```sh\n$ no\n```\n"
    (step,) = steps_of(text)
    assert (step.shell, step.command, step.meanwhile, step.interrupted) == ("open", "a", "b", True)
    assert step.matches("  11:22:33 x y z\n\nanything\nend\n")
    assert step.matches("11:22:33 x  z\nend")
    assert not step.matches("11:22:33 x y\nend")
    assert not step.matches("11:22:33 x y z\nend\nand more")
    assert {step.shell for step in steps_of(PAGE.read_text())} == {"open", "credentials"}
