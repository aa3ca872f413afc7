"""Says which units of a replay were not answered, and what the orchestrators say to it."""

from treeward.bus.interface import Bus
from treeward.cli.ask import ask
from treeward.cli.output import CommandError, clean, say
from treeward.cli.replay.records import Records
from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest

SHOWN_MAX = 10
ANSWER_S = 2.0


async def tell_unanswered(bus: Bus, records: Records) -> None:
    """One line for each resource whose first unit is unanswered, up to ten, with the reason if anyone knows it."""
    heads = records.heads()
    say(f"{len(records.open)} units of {len(heads)} resources were not answered:")
    for unit in sorted(heads, key=lambda unit: (unit.zone, unit.ticket or 0))[:SHOWN_MAX]:
        try:
            question = ExplainRequest(ticket=unit.ticket)
            answer = await ask(bus, "explain", unit.zone, question, ExplainAnswer, timeout_s=ANSWER_S)
            why = " ".join(answer.sentences)
        except CommandError as error:
            why = str(error)
        say(f"  {unit.zone}.{unit.key} {unit.action} #{unit.ticket}: {clean(why)}")
    if len(heads) > SHOWN_MAX:
        say(f"  and {len(heads) - SHOWN_MAX} more")
