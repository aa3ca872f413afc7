"""Rules about lines: numbers, pieces, what cannot be read, many in flight."""

import asyncio
import json

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import Resource, Trial
from treeward.cli.device_check.wire import LINE_BYTES_MAX, Wire, line_of
from treeward.schemas.device import Answer, Status

IN_FLIGHT = 40


@rule("ping")
async def check_ping(trial: Trial) -> None:
    """A ping is answered `ok`, under its `seq`."""
    answer = await trial.ask({"verb": "ping"})
    trial.expect(answer.status is Status.OK, f"a ping was answered {answer.status}")


@rule("pieces")
async def check_pieces(trial: Trial) -> None:
    """A request may arrive in pieces, and several at once; a line ends with a newline."""
    wire = await trial.wire()
    first, second, third = (wire.number() for _ in range(3))
    answers = [wire.expect(seq) for seq in (first, second, third)]
    resource = trial.resource()
    whole = line_of({"seq": first, "verb": "ping"})
    wire.write(whole[:9])
    await wire.push()
    await asyncio.sleep(0.05)
    wire.write(
        whole[9:] + line_of({"seq": second, **resource.request("observe")}) + line_of({"seq": third, "verb": "ping"})
    )
    for answer in answers:
        told = await wire.answer_of(answer, "a request that came in pieces or together with others")
        trial.note("piece by piece", told)
        trial.expect(told.status is Status.OK, f"a request that came in pieces was answered {told.status}")


@rule("ill-formed")
async def check_ill_formed(trial: Trial) -> None:
    """What is no request is answered `invalid`, under its `seq` if it has one, changes nothing, and the connection goes
    on.
    """
    wire = await trial.wire()
    resource = trial.resource()
    call = resource.call_of(1)
    for what, fields in {
        "an unknown verb": resource.request("fly"),
        "no verb": {name: value for name, value in call.items() if name != "verb"},
        "a call without a ticket": {name: value for name, value in call.items() if name != "ticket"},
        "a call without an owner": {name: value for name, value in call.items() if name != "owner"},
        "a ticket of 0": call | {"ticket": 0},
        "a life that is a word": call | {"life": "many"},
        "a life below 0": call | {"life": -1},
        "an id that is a list": call | {"id": [call["id"]]},
    }.items():
        answer = await trial.ask(fields, wire)
        trial.expect(answer.status is Status.INVALID, f"{what} was answered {answer.status}")
    for what, line in {"no JSON": b"{no json\n", "JSON that is no object": b"[1]\n"}.items():
        told = wire.expect(0)
        wire.write(line)
        answer = await wire.answer_of(told, what)
        trial.note(what, answer)
        trial.expect(answer.status is Status.INVALID, f"{what} was answered {answer.status}")
    trial.expect((await trial.ask({"verb": "ping"}, wire)).status is Status.OK, "the connection did not go on")
    seen = await resource.observe()
    trial.expect(not seen.exists and seen.begun == 0 and seen.high == 0, "a line that is no request changed something")


@rule("unknown-fields")
async def check_unknown_fields(trial: Trial) -> None:
    """Fields that a device does not know are ignored: the protocol is extended by them."""
    resource = trial.resource()
    answer = await trial.ask({**resource.request("observe"), "colour": {"new": True}})
    trial.expect(answer.status is Status.OK, f"observe with an unknown field was answered {answer.status}")
    answer = await trial.ask({**resource.call_of(1), "colour": "blue"})
    trial.expect(answer.status is Status.APPLIED, f"a call with an unknown field was answered {answer.status}")


@rule("too-long")
async def check_too_long(trial: Trial) -> None:
    """A line of more than 1 MiB ends its own connection at most; others are served."""
    long, other = await trial.connect(), await trial.connect()
    long.write(b'{"seq":1,"verb":"ping","pad":"' + b"x" * (2 * LINE_BYTES_MAX))
    await long.push()
    for wire in (other, await trial.connect()):
        answer = await trial.ask({"verb": "ping"}, wire)
        trial.expect(answer.status is Status.OK, "another connection was not served")


@rule("in-flight")
async def check_in_flight(trial: Trial) -> None:
    """Many requests may be in flight on one connection; each is answered once, in any order."""
    wire = await trial.wire()
    resources = [trial.resource() for _ in range(IN_FLIGHT)]
    calls = [wire.send(resource.call_of(7)) for resource in resources]
    pings = [wire.send({"verb": "ping"}) for _ in range(IN_FLIGHT)]
    for answer in calls:
        told = await _told(wire, answer, "one of many calls in flight")
        trial.expect(told.status is Status.APPLIED and told.last == 7, f"a call among many was answered {told.status}")
    for answer in pings:
        await _told(wire, answer, "one of many pings in flight")
    trial.exchanges.append(f"{IN_FLIGHT} calls and {IN_FLIGHT} pings at once -> each answered")
    await _each_has_its_own(trial, wire, resources)
    trial.expect(not wire.stray, f"lines came that answer nothing: {json.dumps(wire.stray[:3])}")


async def _each_has_its_own(trial: Trial, wire: Wire, resources: list[Resource]) -> None:
    """What was told under a number must be about the address that was asked under it."""
    await resources[0].applied(8, "destroy")
    seen = [wire.send(resource.request("observe")) for resource in resources]
    exist = [(await _told(wire, answer, "observe")).exists for answer in seen]
    trial.expect(
        exist == [False] + [True] * (len(resources) - 1), "an answer was about another address than its request"
    )


async def _told(wire: Wire, answer: "asyncio.Future[Answer]", what: str) -> Answer:
    return await wire.answer_of(answer, what)
