"""What an owner tells who asks it: `explain`, about anything of its branch."""

import json
from collections.abc import Callable

from treeward.bus.interface import Subscription
from treeward.runtime.context import Context
from treeward.schemas import subjects


async def serve_explain(
    context: Context, zone: str, partition: str, describe: Callable[[str, float], dict[str, object]]
) -> Subscription:
    """Answer with what is known of a resource: `describe(key, now_s)`, as JSON. Raises BusError."""

    async def explain(_subject: str, body: bytes) -> bytes:
        return json.dumps(describe(body.decode(), context.now_s())).encode()

    return await context.bus.serve(subjects.owner_api("explain", zone, partition), explain)
