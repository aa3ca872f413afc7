"""The table of forbidden things, tried on the servers of the cluster with the keys that its pods have."""

from tests.integration.test_credentials_table import FORBIDDEN_TO_HEAR, FORBIDDEN_TO_PUBLISH, is_denied
from tests.k8s.live.site import Site


async def denials(site: Site) -> list[tuple[str, str, str, bool]]:
    """Who, why not, which subject, and whether it was denied."""
    rows = []
    for name in dict.fromkeys(who for who, *_ in (*FORBIDDEN_TO_PUBLISH, *FORBIDDEN_TO_HEAR)):
        bus = await site.bus(name)
        try:
            for verb, table in (("publish", FORBIDDEN_TO_PUBLISH), ("subscribe", FORBIDDEN_TO_HEAR)):
                for who, subject, what in table:
                    if who == name:
                        rows.append((who, what, subject, await is_denied(bus, verb, subject)))
        finally:
            await bus.close()
    return rows
