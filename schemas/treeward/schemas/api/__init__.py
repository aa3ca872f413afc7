"""Questions about a zone and their answers: request/reply on `tw.api.<endpoint>.<zone>` (DESIGN section 4).

Each endpoint has a module of its name. An empty request body means every default. What cannot be answered comes back as
`Problem`, `{"error": "..."}`, in place of the answer. State is never given without its source and age: `position` is
that of the event that says so in the zone's log, `age_s` the time since that event was stored, and `doubt` names the
unit whose effect nobody knows yet.
"""

from typing import Literal

from pydantic import BaseModel

from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest
from treeward.schemas.api.queued import QueuedAnswer, QueuedRequest
from treeward.schemas.api.state import StateAnswer, StateRequest
from treeward.schemas.api.steer import SteerAnswer, SteerRequest
from treeward.schemas.api.tree import TreeAnswer, TreeRequest
from treeward.schemas.api.work import WorkAnswer, WorkRequest

Endpoint = Literal["state", "tree", "explain", "queued", "work", "steer"]

REQUESTS: dict[str, type[BaseModel]] = {
    "state": StateRequest, "tree": TreeRequest, "explain": ExplainRequest, "queued": QueuedRequest,
    "work": WorkRequest, "steer": SteerRequest,
}  # fmt: skip
"""The model of each endpoint's request."""

ANSWERS: dict[str, type[BaseModel]] = {
    "state": StateAnswer, "tree": TreeAnswer, "explain": ExplainAnswer, "queued": QueuedAnswer,
    "work": WorkAnswer, "steer": SteerAnswer,
}  # fmt: skip
"""The model of each endpoint's answer."""
