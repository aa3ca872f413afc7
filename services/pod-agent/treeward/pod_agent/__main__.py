"""`treeward-pod-agent`."""

from typing import NoReturn

from treeward.pod_agent.agent import Agent
from treeward.runtime.program import Program, read_command_line, run_program
from treeward.runtime.service import connected


async def serve(program: Program) -> None:
    async with connected(program) as context:
        await Agent(context).run(program.stopping)


def main() -> NoReturn:
    read_command_line("pod-agent")
    run_program("pod-agent", serve)


if __name__ == "__main__":
    main()
