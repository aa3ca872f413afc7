"""A folder with everybody's keys and the server's accounts that are generated from them.

`users.json` says who there is (no secrets); `NAME.nk` is a seed, `NAME.env` the settings that go with it. Every file is
written beside its place and moved there, so that nobody reads half of one; seeds can be read by their owner only.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treeward.bus.accounts import render_accounts
from treeward.bus.nkeys import new_seed, public_key
from treeward.bus.permissions import (
    API,
    Rights,
    Role,
    backup,
    bootstrap,
    operator,
    orchestrator,
    pod_agent,
    reader,
    restore,
    submitter,
    system,
    zone_supervisor,
)
from treeward.cli.output import CommandError
from treeward.schemas.address import TOKEN_RULE, is_token

USERS, ACCOUNTS = "users.json", "nats-accounts.conf"


class User(BaseModel):
    """One user. `keys`: its public keys; the last one is that of the seed, an earlier one is being replaced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    name: str = ""
    """For a submitter or reader."""
    zones: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class Users(BaseModel):
    """Everybody, and the zones that there are credentials for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zones: tuple[str, ...] = ()
    users: tuple[User, ...] = Field(default=())

    def rights_of(self, user: User) -> Rights:
        """What the table says of a user."""
        match user.role:
            case "system":
                return system()
            case "bootstrap":
                return bootstrap()
            case "orchestrator":
                return orchestrator(self.zones)
            case "operator":
                return operator(self.zones)
            case "backup":
                return backup()
            case "restore":
                return restore(self.zones)
            case "zone-supervisor":
                return zone_supervisor(user.zones[0])
            case "pod-agent":
                return pod_agent(user.zones[0])
            case "submitter":
                return submitter(user.name, user.addresses)
            case "reader":
                return reader(user.name, user.zones)


class CredentialsFolder:
    """The folder; every change is complete when the method returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Users:
        """Who there is; raises CommandError if the folder has none."""
        try:
            return Users.model_validate_json((self.path / USERS).read_bytes())
        except FileNotFoundError:
            raise CommandError(f"{self.path}: no credentials here; begin with `treeward credentials init`") from None
        except (OSError, ValidationError) as error:
            raise CommandError(f"{self.path / USERS}: cannot be used: {error}") from None

    def make(self, zones: Sequence[str]) -> Users:
        """A key for each service of these zones, for the bootstrap, an operator and the server's own account."""
        if (self.path / USERS).exists():
            raise CommandError(f"{self.path}: has credentials already; `add` and `rotate` change them")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write(".gitignore", "*\n", 0o644)
        roles: tuple[Role, ...] = ("system", "bootstrap", "orchestrator", "operator", "backup", "restore")
        users = Users(users=tuple(self._with_new_key(User(role=role)) for role in roles))
        return self.add_zones(zones, users)

    def add_zones(self, zones: Sequence[str], users: Users | None = None) -> Users:
        """Keys for the supervisors and agents of further zones; orchestrators and operators may then serve them."""
        users = users or self.read()
        for zone in zones:
            if not is_token(zone) or zone == "root":
                raise CommandError(f"zone: {zone!r} must be {TOKEN_RULE}, and not root")
            if zone in users.zones:
                raise CommandError(f"zone: there are credentials for {zone} already")
            roles: tuple[Role, ...] = ("zone-supervisor", "pod-agent")
            new = (self._with_new_key(User(role=role, zones=(zone,))) for role in roles)
            users = Users(zones=(*users.zones, zone), users=(*users.users, *new))
        self._save(users)
        return users

    def add(self, user: User) -> Users:
        """A further submitter or reader."""
        users = self.read()
        _check(user, users)
        users = Users(zones=users.zones, users=(*users.users, self._with_new_key(user)))
        self._save(users)
        return users

    def rotate(self, name: str, *, finish: bool) -> Users:
        """Give a user a new seed, with the old key still valid; with `finish` only the newest key is."""
        users = self.read()
        found = [user for user in users.users if _name(user) == name]
        if not found:
            known = ", ".join(_name(user) for user in users.users)
            raise CommandError(f"{name!r}: nobody has that name; there are {known}")
        (user,) = found
        if finish:
            new = user.model_copy(update={"keys": user.keys[-1:]})
        elif len(user.keys) > 1:
            raise CommandError(f"{name}: is being rotated; first `rotate {name} --finish`")
        else:
            new = self._with_new_key(user)
        users = Users(zones=users.zones, users=tuple(new if one is user else one for one in users.users))
        self._save(users)
        return users

    def _with_new_key(self, user: User) -> User:
        seed = new_seed()
        self._write(f"{_name(user)}.nk", seed + "\n", 0o600)
        return user.model_copy(update={"keys": (*user.keys, public_key(seed))})

    def _save(self, users: Users) -> None:
        self._write(USERS, users.model_dump_json(indent=1, exclude_defaults=True) + "\n", 0o600)
        rights = [(users.rights_of(user), user.keys) for user in users.users]
        self._write(ACCOUNTS, render_accounts(rights), 0o600)
        for one, _ in rights:
            lines = environment_of(one, str((self.path / f"{one.name}.nk").resolve()))
            self._write(f"{one.name}.env", "".join(f"{key}={quote(value)}\n" for key, value in lines.items()), 0o600)

    def _write(self, name: str, text: str, mode: int) -> None:
        temporary = self.path / f".{name}.new"
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
        temporary.replace(self.path / name)


def environment_of(rights: Rights, seed_file: str) -> dict[str, str]:
    """The settings with which a program uses these credentials."""
    return {
        "TREEWARD_NATS_NKEY_FILE": seed_file,
        "TREEWARD_NATS_INBOX_PREFIX": rights.inbox_prefix,
        **({"TREEWARD_NATS_API_PREFIX": rights.api_prefix} if rights.api_prefix != API else {}),  # a shell reads `$JS`
        **({"TREEWARD_ZONE": rights.zone} if rights.zone else {}),
    }


def _name(user: User) -> str:
    if user.role in ("submitter", "reader"):
        return f"{user.role}_{user.name}"
    return f"{user.role}_{user.zones[0]}" if user.zones else user.role


def _check(user: User, users: Users) -> None:
    if not is_token(user.name):
        raise CommandError(f"name: {user.name!r} must be {TOKEN_RULE}")
    if any(_name(user) == _name(other) for other in users.users):
        raise CommandError(f"{_name(user)}: exists already; `rotate` gives it a new key")
    if user.role == "submitter":
        for address in user.addresses:
            zone, *rest = address.split(".")
            if len(rest) != 2 or not is_token(zone) or not all(part == "*" or is_token(part) for part in rest):
                raise CommandError(f"--may {address}: must be ZONE.KIND.ID, with * for any KIND or ID")
        for number, one in enumerate(user.addresses):
            for other in user.addresses[:number]:
                if _overlap(one, other):  # the server would take each unit twice
                    raise CommandError(f"--may {one}: overlaps with {other}; list what lies in both once")
    if not (user.addresses if user.role == "submitter" else user.zones):
        raise CommandError("say what for: --may ZONE.KIND.ID for a submitter, --zone ZONE for a reader")


def _overlap(one: str, other: str) -> bool:
    return all(a == b or "*" in (a, b) for a, b in zip(one.split("."), other.split("."), strict=True))
