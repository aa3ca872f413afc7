"""`treeward credentials`: keys for services and people, and what the NATS servers are told of them."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from treeward.cli.credentials_folder import ACCOUNTS, CredentialsFolder, User, Users, environment_of
from treeward.cli.output import BAD_INPUT, CommandError, fail, say

app = typer.Typer(no_args_is_help=True, help="Make keys for services and people, and the server's accounts.")
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="where keys and configuration are kept")]
Zones = Annotated[list[str], typer.Option("--zone", metavar="ZONE", help="may be repeated")]


@app.command()
def init(folder: Folder, zone: Zones = []) -> None:  # noqa: B006  typer copies it
    """Make a folder with a key for each service of these zones, the bootstrap, an operator and the server itself."""
    try:
        users = CredentialsFolder(folder).make(zone)
    except CommandError as error:
        fail(error)
    _tell(folder, users)


@app.command()
def add(
    folder: Folder,
    role: Annotated[str, typer.Argument(metavar="zone|submitter|reader")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    zone: Zones = [],  # noqa: B006
    may: Annotated[
        list[str], typer.Option("--may", metavar="ZONE.KIND.ID", help="what a submitter may submit for, * for any")
    ] = [],  # noqa: B006
) -> None:
    """Add the keys of a zone, or one for a submitter or a reader."""
    here = CredentialsFolder(folder)
    try:
        match role:
            case "zone":
                users = here.add_zones([name])
            case "submitter":
                users = here.add(User(role=role, name=name, addresses=tuple(may)))
            case "reader":
                users = here.add(User(role=role, name=name, zones=tuple(zone)))
            case _:
                raise CommandError(f"{role!r}: must be zone, submitter or reader", BAD_INPUT)
    except CommandError as error:
        fail(error)
    _tell(folder, users)


@app.command()
def rotate(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="such as pod-agent_zone-a")],
    finish: Annotated[bool, typer.Option("--finish", help="let the old key be valid no longer")] = False,
) -> None:
    """Give a user a new key. The old one stays valid until `--finish`, so that programs can be restarted in turn."""
    try:
        users = CredentialsFolder(folder).rotate(name, finish=finish)
    except CommandError as error:
        fail(error)
    _tell(folder, users)


@app.command()
def show(folder: Folder) -> None:
    """Print who may publish and subscribe what."""
    try:
        users = CredentialsFolder(folder).read()
    except CommandError as error:
        fail(error)
    for user in users.users:
        rights = users.rights_of(user)
        typer.echo(f"{rights.name}  (account {rights.account}, {len(user.keys)} key{'s' * (len(user.keys) > 1)})")
        for verb, subjects in (
            ("publish", rights.publish),
            ("not publish", rights.publish_denied),
            ("subscribe", rights.subscribe),
        ):
            for subject in subjects:
                typer.echo(f"  {verb:<12} {subject}")


@app.command()
def manifests(
    folder: Folder,
    namespace: Annotated[str, typer.Option(help="of the Kubernetes objects")] = "treeward",
) -> None:
    """Print Kubernetes Secrets, for `| kubectl apply -f -`; never keep them in git."""
    here = CredentialsFolder(folder)
    try:
        users = here.read()
        accounts = (folder / ACCOUNTS).read_text()
        secrets = [_secret("nats-accounts", namespace, {ACCOUNTS: accounts})]
        for user in users.users:
            if user.role == "restore":  # it could replace everything: it stays with whoever has this folder
                continue
            rights = users.rights_of(user)
            seed = (folder / f"{rights.name}.nk").read_text()
            settings = environment_of(rights, "/etc/treeward/nats/seed.nk")
            secrets.append(_secret(secret_name(rights.name), namespace, {"seed.nk": seed, **settings}))
    except CommandError as error:
        fail(error)
    except OSError as error:
        fail(CommandError(f"{error.filename}: cannot be read ({error.strerror})"))
    typer.echo(yaml.safe_dump_all(secrets, sort_keys=False), nl=False)


def secret_name(name: str) -> str:
    """Name of a user's Secret; Kubernetes knows lower case only."""
    return f"nats-{name}".lower().replace("_", "-")


def _secret(name: str, namespace: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "treeward", "app.kubernetes.io/managed-by": "treeward-credentials"},
        },
        "stringData": data,
    }


def _tell(folder: Path, users: Users) -> None:
    for user in users.users:
        typer.echo(folder / f"{users.rights_of(user).name}.nk")
    say(f"include {folder / ACCOUNTS} in the configuration of every NATS server, and reload it (SIGHUP)")
