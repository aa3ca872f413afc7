"""The endpoints on the bus: FastStream handlers in a queue group, so that one orchestrator answers each request.

A request ends here, whatever comes of it: in an answer, or in a `Problem` with the headers of the services protocol.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from faststream.nats import NatsBroker, NatsMessage, NatsResponse
from pydantic import BaseModel, ValidationError

from treeward.bus.interface import BusError, BusUnavailableError, NoSuchZoneError
from treeward.orchestrator.api.micro import QUEUE_GROUP, Endpoint, Micro
from treeward.orchestrator.api.questions import Questions, UnanswerableError
from treeward.orchestrator.api.steering import Steering
from treeward.runtime.context import Context
from treeward.schemas import subjects
from treeward.schemas.address import TOKEN_RULE, is_token
from treeward.schemas.api import REQUESTS
from treeward.schemas.api.parts import Problem
from treeward.schemas.sentences import explain_validation

ANSWER_S = 4.0
"""The longest that an answer takes; less than the 5 s that clients wait by default, so that they are told."""
WORKERS = 64
"""Questions that one endpoint of one instance works on at once."""

Answer = Callable[[str, Any], Awaitable[BaseModel]]
"""Zone and request, which is of the model that REQUESTS names."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question has no answer; `code` is one of HTTP's, as is usual in the services protocol."""

    code: int
    reason: str


class Handlers:
    """The endpoints and the announcement of this instance, for one broker after another."""

    def __init__(self, context: Context, questions: Questions, steering: Steering, micro: Micro) -> None:
        self._context = context
        self._micro = micro
        self._answers: dict[str, Answer] = {
            "state": questions.state,
            "tree": questions.tree,
            "explain": questions.explain,
            "queued": questions.queued,
            "work": questions.work,
            "steer": steering.steer,
        }
        micro.endpoints = [Endpoint(name, subjects.api(name, "*")) for name in self._answers]

    def register(self, broker: NatsBroker) -> None:
        """Subscribe with a broker that has not been started."""
        for endpoint in self._micro.endpoints:
            subscriber = broker.subscriber(endpoint.subject, queue=QUEUE_GROUP, max_workers=WORKERS)
            subscriber(self._handler_of(endpoint))
        for subject, verb in self._micro.subjects():
            broker.subscriber(subject)(self._announcer_of(verb))

    def _handler_of(self, endpoint: Endpoint) -> Callable[[NatsMessage], Awaitable[NatsResponse]]:
        async def handle(message: NatsMessage) -> NatsResponse:
            begun_s = self._context.clock.monotonic_s()
            zone = message.raw_message.subject.rpartition(".")[2]
            answer = await self._answer(endpoint.name, zone, message.body)
            error = answer.reason if isinstance(answer, Refusal) else None
            endpoint.count(self._context.clock.monotonic_s() - begun_s, error)
            if not isinstance(answer, Refusal):
                return NatsResponse(answer.model_dump_json().encode(), headers={"content-type": "application/json"})
            return NatsResponse(
                Problem(error=answer.reason).model_dump_json().encode(),
                headers={
                    "content-type": "application/json",
                    "Nats-Service-Error": " ".join(answer.reason.split()),  # a header is one line
                    "Nats-Service-Error-Code": str(answer.code),
                },
            )

        return handle

    async def _answer(self, name: str, zone: str, body: bytes) -> BaseModel | Refusal:
        model = REQUESTS[name]
        if not is_token(zone):
            return Refusal(400, f"zone: {zone!r} must be {TOKEN_RULE}")
        try:
            request = model.model_validate_json(body.strip() or b"{}")
            async with asyncio.timeout(ANSWER_S):
                return await self._answers[name](zone, request)
        except ValidationError as error:
            return Refusal(400, f"{name}: {explain_validation(error, fields=model.model_fields)}")
        except UnanswerableError as error:
            return Refusal(400, str(error))
        except NoSuchZoneError:
            return Refusal(404, f"no zone {zone} is defined; `treeward tree` lists those that are")
        except TimeoutError:
            return Refusal(503, f"{name}: no answer within {ANSWER_S:g} s; NATS may be slow or away, ask again")
        except BusUnavailableError as error:
            return Refusal(503, f"{name}: NATS did not answer in time, ask again: {error}")
        except BusError as error:
            return Refusal(500, f"{name}: {error}")
        except Exception:  # the outermost frame of a request: a question must not end who takes work
            self._context.log.exception("a question ended in a fault of ours", endpoint=name, zone=zone)
            return Refusal(500, f"{name}: a fault of the orchestrator, which has logged it")

    def _announcer_of(self, verb: str) -> Callable[[NatsMessage], Awaitable[NatsResponse]]:
        async def announce(_message: NatsMessage) -> NatsResponse:
            return NatsResponse(self._micro.answer(verb), headers={"content-type": "application/json"})

        return announce
