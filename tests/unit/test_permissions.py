"""The table of permissions, and the folder of keys."""

import os
import stat
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from treeward.bus import permissions
from treeward.bus.nkeys import new_seed, public_key
from treeward.bus.permissions import CORE, SYSTEM, Rights
from treeward.cli.credentials_folder import ACCOUNTS, CredentialsFolder, User
from treeward.cli.main import build
from treeward.cli.output import CommandError

EVERYBODY = [
    permissions.bootstrap(),
    permissions.orchestrator(("zone-a", "zone-b")),
    permissions.operator(("zone-a", "zone-b")),
    permissions.backup(),
    permissions.restore(("zone-a", "zone-b")),
    permissions.zone_supervisor("zone-a"),
    permissions.pod_agent("zone-a"),
    permissions.submitter("ci", ("zone-a.vm.*", "zone-a.volume.data")),
    permissions.reader("audit", ("zone-a", "zone-b")),
]


def overlap(one: str, other: str) -> bool:
    """Whether some subject matches both."""
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(left) == len(right)


@pytest.mark.parametrize("rights", EVERYBODY, ids=lambda rights: rights.name)
def test_nothing_is_imported_twice(rights: Rights) -> None:
    if rights.account not in (CORE, SYSTEM):
        for subjects in (rights.publish, rights.subscribe):
            assert [pair for pair in combinations(subjects, 2) if overlap(*pair)] == []


@pytest.mark.parametrize("rights", EVERYBODY, ids=lambda rights: rights.name)
def test_nobody_may_publish_or_hear_everything(rights: Rights) -> None:
    assert not rights.everything
    for subject in (*rights.publish, *rights.subscribe):
        assert subject.split(".")[0] not in (">", "*")
        assert subject not in ("tw.>", "$JS.>", "$JS.API.>", "_INBOX.>")


def test_each_account_but_the_one_with_the_streams_belongs_to_one_role() -> None:
    roles: dict[str, set[str]] = {}
    for rights in EVERYBODY:
        roles.setdefault(rights.account, set()).add(rights.role)
    assert {account for account, of in roles.items() if len(of) > 1} == {CORE}


def test_a_seed_is_a_user_seed_and_no_two_are_alike() -> None:
    one, other = new_seed(), new_seed()
    assert one.startswith("SU") and public_key(one).startswith("U") and public_key(one) != public_key(other)
    with pytest.raises(ValueError, match="not an nkey seed"):
        public_key("SUNONSENSE")


def test_seeds_can_be_read_by_their_owner_only_and_are_in_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    CredentialsFolder(folder).make(["zone-a"])
    seeds = {path: path.read_text().strip() for path in folder.glob("*.nk")}
    assert len(seeds) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in seeds} == {0o600}
    for path in set(folder.iterdir()) - set(seeds):
        assert not [seed for seed in seeds.values() if seed in path.read_text()], path
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_rotation_keeps_the_old_key_until_it_is_finished(tmp_path: Path) -> None:
    folder = CredentialsFolder(tmp_path / "secrets")
    folder.make(["zone-a"])
    name = "pod-agent_zone-a"
    old = public_key((tmp_path / "secrets" / f"{name}.nk").read_text())
    folder.rotate(name, finish=False)
    new = public_key((tmp_path / "secrets" / f"{name}.nk").read_text())
    accounts = (tmp_path / "secrets" / ACCOUNTS).read_text()
    assert old != new and old in accounts and new in accounts
    with pytest.raises(CommandError, match="is being rotated"):
        folder.rotate(name, finish=False)
    folder.rotate(name, finish=True)
    accounts = (tmp_path / "secrets" / ACCOUNTS).read_text()
    assert old not in accounts and new in accounts


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        (("zone-a.vm.*", "zone-a.*.web-1"), "overlaps"),
        (("zone-a.vm",), "must be ZONE.KIND.ID"),
        (("*.vm.web-1",), "must be ZONE.KIND.ID"),
        (("zone-a.>",), "must be ZONE.KIND.ID"),
        ((), "say what for"),
    ],
)
def test_a_submitter_that_cannot_be_is_refused(tmp_path: Path, addresses: tuple[str, ...], sentence: str) -> None:
    folder = CredentialsFolder(tmp_path / "secrets")
    folder.make(["zone-a"])
    before = (tmp_path / "secrets" / ACCOUNTS).read_text()
    with pytest.raises(CommandError, match=sentence):
        folder.add(User(role="submitter", name="ci", addresses=addresses))
    assert (tmp_path / "secrets" / ACCOUNTS).read_text() == before


def test_the_manifests_are_secrets_one_for_each_user_and_one_for_the_servers(tmp_path: Path) -> None:
    folder = str(tmp_path / "secrets")
    for arguments in (["init", folder, "--zone", "zone-a"], ["add", folder, "zone", "zone-b"], ["manifests", folder]):
        words = ["credentials", *arguments]
        result = CliRunner().invoke(build(words), words)
        assert result.exit_code == 0, result.output
    documents = list(yaml.safe_load_all(result.stdout))
    assert {document["kind"] for document in documents} == {"Secret"}
    names = {document["metadata"]["name"] for document in documents}
    assert {"nats-accounts", "nats-pod-agent-zone-a", "nats-zone-supervisor-zone-b", "nats-bootstrap"} <= names
    by_name = {document["metadata"]["name"]: document["stringData"] for document in documents}
    assert by_name["nats-pod-agent-zone-b"]["TREEWARD_ZONE"] == "zone-b"
    assert by_name["nats-pod-agent-zone-b"]["seed.nk"].startswith("SU")
    assert len(documents) == 10
    assert "nats-restore" not in names, "no pod can get hold of it"


def test_a_shell_can_read_the_settings_of_every_user(tmp_path: Path) -> None:
    """As docs/credentials.md says: `set -a; . NAME.env`; the name of JetStream's own API has a `$`."""
    folder = tmp_path / "a folder"
    CredentialsFolder(folder).make(["zone-a"])
    for name in ("operator", "pod-agent_zone-a"):
        script = f"set -a; . '{folder}/{name}.env'; exec env"
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.defpath}
        )
        found = dict(line.split("=", 1) for line in done.stdout.splitlines())
        assert found["TREEWARD_NATS_NKEY_FILE"] == str(folder / f"{name}.nk")
        assert found.get("TREEWARD_NATS_API_PREFIX", "$JS.API") == ("$JS.API" if name == "operator" else "tw.js")
