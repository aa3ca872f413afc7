"""`treeward-orchestrator`."""

from typing import NoReturn

from treeward.orchestrator.orchestrator import Orchestrator
from treeward.runtime.program import Program, run_program
from treeward.runtime.service import connected


async def serve(program: Program) -> None:
    async with connected(program) as context:
        await Orchestrator(context).run(program.stopping)


def main() -> NoReturn:
    run_program("orchestrator", serve)


if __name__ == "__main__":
    main()
