"""A rule on trial: addresses of its own, what was sent and answered, and what it expects."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from treeward.cli.device_check.wire import NoDeviceError, RuleBrokenError, Wire, close_all
from treeward.schemas.device import Answer, Status

Command = Callable[[], Awaitable[None]]
"""Does something to the device and returns when it is done."""

SHOWN = ("life", "owner", "ticket", "operation", "host", "definition", "absent", "undo")
TOLD = ("high", "owner", "last", "last_applied", "begun", "exists", "reason")


class NotOfferedError(Exception):
    """The device says that it does not do this, which it may; the sentence says what it does not do."""


@dataclass(frozen=True, slots=True)
class Site:
    """What is tried, and with what.

    `slow` makes calls on resources whose id begins with `check-` take a second or longer, until `quick`; `restart`
    ends the device side in whatever it does and starts it again on what it has remembered. Rules that need one that is
    absent are not tried.
    """

    address: str
    zone: str
    kind: str
    run: str
    """Part of every id, so that no run meets what an earlier one has left."""
    host: str | None = None
    spec: dict[str, Any] | None = None
    timeout_s: float = 10.0
    rounds: int = 20
    """How often a race is tried."""
    watch_s: float = 3.0
    """For how long nothing may happen after a restart; longer than a slow call takes."""
    slow: Command | None = None
    quick: Command | None = None
    restart: Command | None = None


@dataclass(slots=True)
class Trial:
    """One rule being tried."""

    site: Site
    rule: str
    exchanges: list[str] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    resources: int = 0

    def resource(self) -> "Resource":
        """An address that nobody has used before."""
        self.resources += 1
        return Resource(self, self.site.kind, f"check-{self.site.run}-{self.rule}-{self.resources}")

    async def connect(self) -> Wire:
        """One more connection."""
        wire = await Wire.open(self.site.address, timeout_s=self.site.timeout_s)
        self.wires.append(wire)
        return wire

    async def wire(self) -> Wire:
        """The first connection."""
        return self.wires[0] if self.wires else await self.connect()

    async def ask(self, fields: dict[str, Any], wire: Wire | None = None) -> Answer:
        """Send one request, wait for its answer, and note both."""
        wire = await self.wire() if wire is None else wire
        said = say_request(fields)
        answer = await wire.answer_of(wire.send(fields), said)
        self.note(said, answer)
        return answer

    def note(self, said: str, answer: Answer) -> None:
        """Put one exchange on record."""
        self.exchanges.append(f"{said} -> {say_answer(answer)}")

    def expect(self, holds: object, sentence: str) -> None:
        """Raise RuleBrokenError unless it holds."""
        if not holds:
            raise RuleBrokenError(sentence)

    @contextlib.asynccontextmanager
    async def slowness(self) -> AsyncIterator[None]:
        """Calls take their time inside."""
        assert self.site.slow is not None and self.site.quick is not None
        await self.site.slow()
        self.exchanges.append("(made slow)")
        try:
            yield
        finally:
            await self.site.quick()

    async def restart(self) -> None:
        """Restart the device side and wait until it listens again."""
        assert self.site.restart is not None
        await close_all(self.wires)
        self.wires.clear()
        await self.site.restart()
        self.exchanges.append("(restarted)")
        give_up_s = asyncio.get_running_loop().time() + self.site.timeout_s
        while True:
            try:
                wire = await self.connect()
                await wire.answer_of(wire.send({"verb": "ping"}), "ping")
            except (NoDeviceError, RuleBrokenError) as error:  # the old one may still be dying
                if asyncio.get_running_loop().time() > give_up_s:
                    raise RuleBrokenError(f"after the restart {error}") from None
                await self.close()
                await asyncio.sleep(0.05)
            else:
                return

    async def close(self) -> None:
        """Give its connections up."""
        await close_all(self.wires)
        self.wires.clear()


@dataclass(frozen=True, slots=True)
class Resource:
    """One address, and the requests for it."""

    trial: Trial
    kind: str
    id: str

    def request(self, verb: str, **fields: Any) -> dict[str, Any]:
        """The fields of a request."""
        return {"verb": verb, "zone": self.trial.site.zone, "kind": self.kind, "id": self.id, **fields}

    def call_of(
        self,
        ticket: int,
        operation: str = "create",
        *,
        life: int = 1,
        owner: str = "a",
        spec: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The fields of a call; a create has the spec of the site."""
        site = self.trial.site
        spec = site.spec if operation == "create" else spec
        fields = {
            "life": life, "owner": owner, "ticket": ticket, "operation": operation, "host": site.host, "spec": spec,
        }  # fmt: skip
        return self.request("call", **{name: value for name, value in fields.items() if value is not None})

    async def call(
        self, ticket: int, operation: str = "create", *, life: int = 1, owner: str = "a", wire: Wire | None = None
    ) -> Answer:
        """Call the device and wait for the answer."""
        return await self.trial.ask(self.call_of(ticket, operation, life=life, owner=owner), wire)

    async def applied(self, ticket: int, operation: str = "create", *, life: int = 1, owner: str = "a") -> Answer:
        """A call that must be applied."""
        answer = await self.call(ticket, operation, life=life, owner=owner)
        self.trial.expect(
            answer.status is Status.APPLIED,
            f"{operation} of a {self.kind} must be applied here, and was {answer.status}: {answer.reason}",
        )
        return answer

    async def synchronize(self, life: int, owner: str = "a", *, wire: Wire | None = None, **fields: Any) -> Answer:
        """Synchronize as often as the device says `busy`, and return what it says then."""
        site = self.trial.site
        give_up_s = asyncio.get_running_loop().time() + site.timeout_s
        host = {"host": site.host} if site.host is not None else {}
        while True:
            request = self.request("synchronize", life=life, owner=owner, **host, **fields)
            answer = await self.trial.ask(request, wire)
            if answer.status is not Status.BUSY:
                return answer
            self.trial.expect(asyncio.get_running_loop().time() < give_up_s, "it says busy without end")
            await asyncio.sleep(0.05)

    async def observe(self, *, wire: Wire | None = None) -> Answer:
        """Ask what exists; must be `ok`."""
        answer = await self.trial.ask(self.request("observe"), wire)
        self.trial.expect(answer.status is Status.OK, f"observe was answered {answer.status}: {answer.reason}")
        return answer

    async def begun(self, ticket: int) -> None:
        """Wait until the call of this ticket has begun, as `observe` tells it."""
        give_up_s = asyncio.get_running_loop().time() + self.trial.site.timeout_s
        wire = await self.trial.wire()
        while (await wire.answer_of(wire.send(self.request("observe")), "observe")).begun < ticket:
            self.trial.expect(
                asyncio.get_running_loop().time() < give_up_s,
                f"`begun` never reached {ticket} while the call of ticket {ticket} was in progress",
            )
            await asyncio.sleep(0.02)


def say_request(fields: dict[str, Any]) -> str:
    """A request in a few words."""
    told = " ".join(f"{name}={fields[name]}" for name in SHOWN if fields.get(name) is not None)
    return f"{fields.get('verb')} {told}".strip()


def say_answer(answer: Answer) -> str:
    """An answer in a few words: what differs from nothing; a `-` behind a ticket in `recent`: it was refused."""
    told = answer.model_dump(mode="json", include=set(TOLD))
    words = [f"{name}={told[name]}" for name in TOLD if told[name] not in (None, 0, False)]
    if answer.recent:
        words.append("recent=" + ",".join(f"{known.ticket}{'' if known.applied else '-'}" for known in answer.recent))
    return " ".join([answer.status.value, *words])
