"""A dispatcher for one zone that nobody dealt it to: `python second_dispatcher.py`, with TREEWARD_ZONE set."""

from treeward.orchestrator.dispatching import Dispatching
from treeward.runtime.program import Program, run_program
from treeward.runtime.service import connected


async def serve(program: Program) -> None:
    """Dispatch until killed."""
    assert program.settings.zone is not None, "TREEWARD_ZONE names the zone"
    async with connected(program) as context:
        await Dispatching(context, program.settings.zone).run()


if __name__ == "__main__":
    run_program("orchestrator", serve)
