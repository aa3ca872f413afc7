"""The accounts block of a NATS server's configuration, from the table in `permissions`.

What crosses the border of an account is named twice, as the server wants it: exported by the one that has it, imported
by the one that may use it. The lists of the single users lie within that.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from treeward.bus.permissions import API, API_ELSEWHERE, CORE, SYSTEM, Rights, account_of
from treeward.schemas import subjects

PULL_THRESHOLD = "10m"
"""An open pull is forgotten after so long without an answer; readers are sent heartbeats every second."""


@dataclass(slots=True)
class _Account:
    exports: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(`service`, `chunks` or `stream`; subject) > who may import it."""
    imports: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(`service` or `stream`, account, subject there) > subject here."""
    users: list[str] = field(default_factory=list)


def render_accounts(users: Sequence[tuple[Rights, Sequence[str]]]) -> str:
    """Configuration for `(rights, public keys)` of every user; to be included in that of each server of a cluster."""
    accounts: dict[str, _Account] = {CORE: _Account(), SYSTEM: _Account()}
    for rights, keys in users:
        account = accounts.setdefault(rights.account, _Account())
        account.users += [_user(rights, key) for key in keys]
        if rights.account not in (CORE, SYSTEM):
            _cross(rights, accounts)
        for whose in _reported_to(rights):
            _share_reports(whose, accounts, rights.account)
    return "# Made by `treeward credentials`; changes by hand are lost.\n" + _render(accounts)


def _render(accounts: dict[str, _Account]) -> str:
    lines = [f"system_account: {SYSTEM}", "accounts {"]
    for name, account in accounts.items():
        lines += [f"  {json.dumps(name)} {{", *(["    jetstream: enabled"] if name == CORE else [])]
        lines += _list("exports", (_export(*key, allowed) for key, allowed in account.exports.items()))
        lines += _list("imports", (_import(*key, here) for key, here in account.imports.items()))
        lines += [*_list("users", account.users), "  }"]
    return "\n".join([*lines, "}", ""])


def plain_accounts() -> str:
    """Configuration of a server without credentials: everybody is one user, who hears of closed connections.

    Only for a server that nobody else can reach.
    """
    accounts = {CORE: _Account(users=["{user: treeward, password: treeward}"]), SYSTEM: _Account()}
    _share_reports(CORE, accounts, CORE)
    return _render(accounts) + "no_auth_user: treeward\n"


def _reported_to(rights: Rights) -> Iterable[str]:
    """The accounts of whose closed connections a user is told: of those that it may have to claim for others."""
    if rights.role == "orchestrator":
        return (CORE, *(account_of("zone-supervisor", zone) for zone in rights.zones))
    return (account_of("pod-agent", rights.zone),) if rights.role == "zone-supervisor" else ()


def _share_reports(whose: str, accounts: dict[str, _Account], listener: str) -> None:
    there = f"$SYS.ACCOUNT.{whose}.DISCONNECT"
    _share("stream", there, subjects.closed(whose), accounts[SYSTEM], SYSTEM, accounts[listener], listener)


def _cross(rights: Rights, accounts: dict[str, _Account]) -> None:
    """What this user's rights need to pass between its account and the one with the streams."""
    core, own = accounts[CORE], accounts[rights.account]
    for subject in rights.publish:
        if subject.startswith("tw.presence."):
            _share("stream", subject, subject, own, rights.account, core, CORE)
            if rights.role == "pod-agent":
                supervisor = account_of("zone-supervisor", rights.zone)
                above = accounts.setdefault(supervisor, _Account())
                _share("stream", subject, subject, own, rights.account, above, supervisor)
        elif subject.startswith("tw.owner."):
            if rights.role == "pod-agent":  # what it asks is answered by its supervisor, without a way round
                supervisor = account_of("zone-supervisor", rights.zone)
                above = accounts.setdefault(supervisor, _Account())
                _share("service", subject, subject, above, supervisor, own, rights.account)
        elif not subject.startswith(("_R_.", "_INBOX_")):
            there = API + subject.removeprefix(API_ELSEWHERE) if subject.startswith(API_ELSEWHERE) else subject
            many = ".CONSUMER.MSG.NEXT." in subject or subject.startswith("$SRV.")
            _share("chunks" if many else "service", there, subject, core, CORE, own, rights.account)
    for subject in rights.subscribe:
        if subject.startswith("tw.event."):
            _share("stream", subject, subject, core, CORE, own, rights.account)
        elif subject.startswith(("tw.owner.", "tw.control.")):
            _share("service", subject, subject, own, rights.account, core, CORE)


def _share(kind: str, there: str, here: str, giver: _Account, giver_name: str, taker: _Account, name: str) -> None:
    giver.exports.setdefault((kind, there), set()).add(name)
    taker.imports["stream" if kind == "stream" else "service", giver_name, there] = here


def _list(name: str, items: Iterable[str]) -> list[str]:
    lines = [f"      {item}" for item in items]
    return [f"    {name}: [", *lines, "    ]"] if lines else []


def _export(kind: str, subject: str, allowed: Iterable[str]) -> str:
    answers = f', response_type: stream, threshold: "{PULL_THRESHOLD}"' if kind == "chunks" else ""
    what = "stream" if kind == "stream" else "service"
    return f"{{{what}: {json.dumps(subject)}, accounts: {json.dumps(sorted(allowed))}{answers}}}"


def _import(kind: str, account: str, there: str, here: str) -> str:
    renamed = f", to: {json.dumps(here)}" if here != there else ""
    return f"{{{kind}: {{account: {json.dumps(account)}, subject: {json.dumps(there)}}}{renamed}}}"


def _user(rights: Rights, key: str) -> str:
    if rights.everything:
        return f"{{nkey: {key}}}  # {rights.name}"
    denied = f", deny: {json.dumps(rights.publish_denied)}" if rights.publish_denied else ""
    return (
        f"{{nkey: {key}, permissions: {{publish: {{allow: {json.dumps(rights.publish)}{denied}}}, "
        f"subscribe: {{allow: {json.dumps(rights.subscribe)}}}}}}}  # {rights.name}"
    )
