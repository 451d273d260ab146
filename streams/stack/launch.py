"""Turn this process into a server that cannot outlive the process that started it (Linux).

Run by path as a tiny program: ``launch.py PARENT_PID COMMAND...``. It asks the kernel for SIGTERM at the
parent's death and then becomes the command, so the request holds for the server itself. A program of its own,
not a ``preexec_fn``: Python code between fork and exec is not safe in a process with threads.
It is not imported by anything and imports nothing of ours.
"""

import ctypes
import os
import signal
import sys

__all__ = ["launch"]

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def launch(parent: int, command: list[str]) -> None:
    """Become ``command``, to be terminated when ``parent`` dies; return only if it is already dead."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() == parent:
        try:
            os.execv(command[0], command)  # noqa: S606  becoming the server, without a shell, is the purpose
        except OSError as error:
            sys.exit(f"{command[0]!r} cannot be run: {error.strerror}")


if __name__ == "__main__":
    launch(int(sys.argv[1]), sys.argv[2:])
