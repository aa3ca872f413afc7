"""Starts a program that dies with the one that started it: `python leash.py PARENT_ID PROGRAM [ARGUMENT...]`.

On Linux the kernel sends the signal, so nothing has to run when the parent is killed with SIGKILL: no thread that
watches a pipe (nats-server has none), no warden that can be killed as well. The wish outlives `execv`, and the process
id stays the same. It is asked for here, in a program of its own, and not between fork and exec of the parent, where
Python code can deadlock on a lock that another thread holds. SIGKILL, since whoever started us cannot end us in order
any more, and every program here is built to be killed. Other systems have no such signal: there it only starts.

Run by path, so it imports nothing but the standard library.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the program."""
    parent_id, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_id:  # it died before we asked, and the signal will never come
            sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
