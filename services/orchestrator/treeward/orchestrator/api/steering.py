"""`tw.api.steer`: a unit that steers, submitted on behalf of whoever asks. It only saves a client the publish to WORK.

Nothing is decided here: it is accepted by WORK or not, has a ticket, and is answered in its turn like any other.
"""

import json

from treeward.orchestrator.api.questions import UnanswerableError
from treeward.runtime.context import Context
from treeward.schemas import subjects
from treeward.schemas.api.steer import SteerAnswer, SteerRequest
from treeward.schemas.units import InvalidUnitError, parse_unit

SUBMIT_S = 3.0


class Steering:
    """Submits what steers, and nothing else."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def steer(self, zone: str, request: SteerRequest) -> SteerAnswer:
        """Check it as the door does and submit it. Raises UnanswerableError; NoSuchZoneError, BusUnavailableError."""
        body = json.dumps(request.model_dump(mode="json", exclude={"key", "message_id"}, exclude_none=True)).encode()
        try:
            parse_unit(body, zone=zone, key=request.key)
        except InvalidUnitError as error:
            raise UnanswerableError(f"steer: {error}") from None
        receipt = await self._context.bus.submit(
            subjects.work(zone, request.key), body, message_id=request.message_id, timeout_s=SUBMIT_S
        )
        return SteerAnswer(ticket=receipt.ticket, duplicate=receipt.duplicate)
