"""Questions to the orchestrators: request/reply on `tw.api.<endpoint>.<zone>`."""

from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from treeward.bus.interface import Bus
from treeward.cli.output import NO, UNAVAILABLE, CommandError
from treeward.schemas import subjects
from treeward.schemas.address import Address, InvalidAddressError, is_token
from treeward.schemas.api.parts import Problem
from treeward.schemas.api.queued import QueuedAnswer
from treeward.schemas.api.state import StateAnswer
from treeward.schemas.api.work import WorkAnswer

Answer = TypeVar("Answer", bound=BaseModel)
Page = TypeVar("Page", StateAnswer, QueuedAnswer, WorkAnswer)


async def ask(
    bus: Bus, endpoint: str, zone: str, question: BaseModel, answer: type[Answer], *, timeout_s: float
) -> Answer:
    """The answer; raises CommandError if nobody answers in time (UNAVAILABLE) or the answer is an error (NO)."""
    body = question.model_dump_json(exclude_defaults=True).encode()
    reply = await bus.request(subjects.api(endpoint, zone), body, timeout_s=timeout_s)
    if reply is None:
        text = (
            f"no orchestrator answered for zone {zone} within {timeout_s:g} s; is one running, and is the zone defined?"
        )
        raise CommandError(text, UNAVAILABLE)
    try:
        return answer.model_validate_json(reply)
    except ValidationError as error:
        try:
            problem = Problem.model_validate_json(reply)
        except ValidationError:
            text = f"the orchestrator's answer cannot be read ({error.error_count()} problems); are the versions equal?"
            raise CommandError(text, UNAVAILABLE) from None
        raise CommandError(problem.error, NO) from None


async def ask_pages(
    bus: Bus, endpoint: str, zone: str, question: BaseModel, answer: type[Page], *, timeout_s: float
) -> AsyncIterator[Page]:
    """The pages of an answer, each asked when the one before has been taken; raises what `ask` raises."""
    while True:
        page = await ask(bus, endpoint, zone, question, answer, timeout_s=timeout_s)
        yield page
        if page.next is None:
            return
        question = question.model_copy(update={"beyond": page.next})


def zone_and_key(text: str) -> tuple[str, str | None]:
    """`zone-a` or `zone-a.vm.web-1`; raises CommandError."""
    if is_token(text):
        return text, None
    try:
        address = Address.parse(text)
    except InvalidAddressError:
        raise CommandError(f"{text!r}: must be a zone, or an address <zone>.<kind>.<id>") from None
    return address.zone, address.key


def zone_and_ticket(text: str) -> tuple[str, int] | None:
    """`zone-a:17`; None if it is no such text."""
    zone, colon, ticket = text.partition(":")
    if not colon or not is_token(zone) or not ticket.isdigit() or int(ticket) < 1:
        return None
    return zone, int(ticket)
