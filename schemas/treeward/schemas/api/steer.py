"""`tw.api.steer`: units that steer others."""

from typing import Any

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Key
from treeward.schemas.units import SteeringOperation


class SteerRequest(ApiRequest):
    """`tw.api.steer.<zone>`: submit a unit that steers. The same as publishing it to `tw.work.<zone>.<key>` oneself."""

    key: Key
    operation: SteeringOperation
    ticket: int | None = Field(default=None, ge=1, description="cancel, retry and amend: the unit they mean")
    spec: dict[str, Any] | None = Field(default=None, description="amend: the policies that change")
    reason: str | None = None
    by: str | None = Field(default=None, description="who asks for it, as the client says")
    message_id: str | None = Field(default=None, description="makes a repeat within two minutes harmless")


class SteerAnswer(ApiAnswer):
    """It was accepted as work, and is answered in its turn."""

    ticket: int
    duplicate: bool = Field(default=False, description="it had been accepted before, under this message id")
