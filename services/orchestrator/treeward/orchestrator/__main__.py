"""`treeward-orchestrator`."""

import asyncio
from typing import NoReturn

from treeward.orchestrator.app import answer_questions
from treeward.orchestrator.orchestrator import Orchestrator
from treeward.runtime.program import Program, read_command_line, run_program
from treeward.runtime.service import connected


async def serve(program: Program) -> None:
    async with connected(program) as context, asyncio.TaskGroup() as group:
        answering = group.create_task(answer_questions(context), name="tw.api")
        await Orchestrator(context).run(program.stopping)
        answering.cancel()


def main() -> NoReturn:
    read_command_line("orchestrator")
    run_program("orchestrator", serve)


if __name__ == "__main__":
    main()
