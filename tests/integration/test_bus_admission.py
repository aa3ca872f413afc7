"""Servers that answer and are no use: they do not let us in, or do not encrypt where that was asked for."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.command import treeward

from treeward.bus.connection import Credentials, NotAdmittedError
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.embedded_nats import EmbeddedNats

MakeServer = Callable[..., EmbeddedNats]
SECRET = "authorization { user: ada, password: engine }"


async def test_who_is_not_let_in_is_told_so_and_not_that_nobody_answers(make_server: MakeServer) -> None:
    server = make_server("closed", accounts=SECRET)
    server.start()
    with pytest.raises(NotAdmittedError, match="Authorization Violation"):
        await NatsBus.connect(server.url, timeout_s=4.0)
    said = await treeward("tree", url=server.url, code=3)
    assert said.err.startswith(f"error: no connection to {server.url}: Authorization Violation; TREEWARD_NATS_... ")
    assert len(said.err.splitlines()) == 1
    bus = await NatsBus.connect(server.url, credentials=Credentials(user="ada", password="engine"), timeout_s=10.0)
    await bus.close()


async def test_a_server_that_does_not_encrypt_is_told_nothing_where_that_was_asked_for(
    make_server: MakeServer,
) -> None:
    server = make_server("plain", accounts=SECRET, extra="debug: true\ntrace: true")
    server.start()
    url = server.url.replace("nats://", "tls://")
    with pytest.raises(NotAdmittedError, match="the server does not demand TLS"):
        await NatsBus.connect(url, credentials=Credentials(user="ada", password="engine"), timeout_s=4.0)
    log = server.log_path.read_text()
    assert "Client connection created" in log
    assert "<<- [CONNECT" not in log, "the password goes to nobody who may listen"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_a_server_with_a_certificate_that_is_trusted_is_taken_and_another_is_not(
    make_server: MakeServer, tmp_path: Path
) -> None:
    for name in ("ours", "other"):
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN=nats"
        names = ["-addext", "subjectAltName=IP:127.0.0.1"]
        await asyncio.to_thread(
            subprocess.run, [*command.split(), *names], cwd=tmp_path, capture_output=True, check=True
        )
    files = f'cert_file: "{tmp_path / "ours.pem"}", key_file: "{tmp_path / "ours.key"}"'
    server = make_server("encrypted", extra=f"tls {{ {files} }}")
    server.start()
    url = server.url.replace("nats://", "tls://")
    bus = await NatsBus.connect(url, credentials=trusting(tmp_path / "ours.pem"), timeout_s=10.0)
    await bus.close()
    with pytest.raises(NotAdmittedError, match="certificate"):
        await NatsBus.connect(url, credentials=trusting(tmp_path / "other.pem"), timeout_s=4.0)


def trusting(authority: Path) -> Credentials:
    return Credentials(tls=ssl.create_default_context(cafile=authority))


async def test_what_is_no_url_of_a_server_is_said_in_one_line() -> None:
    url = "nats://127.0.0.1:99999"
    for said in (await treeward("tree", url=url, code=2), await treeward("tree", "--server", url, code=2)):
        assert "must be nats://HOST:PORT" in said.err and len(said.err.splitlines()) == 1
