"""`treeward-zone-supervisor`."""

from typing import NoReturn

from treeward.runtime.program import Program, read_command_line, run_program
from treeward.runtime.service import connected
from treeward.zone_supervisor.supervisor import Supervisor


async def serve(program: Program) -> None:
    async with connected(program) as context:
        await Supervisor(context).run(program.stopping)


def main() -> NoReturn:
    read_command_line("zone-supervisor")
    run_program("zone-supervisor", serve)


if __name__ == "__main__":
    main()
