"""Turn this process into a server that hears the signals which end it, and on Linux cannot outlive its parent.

Run by path as a tiny program: ``launch.py PARENT_PID COMMAND...``. A shell starts background jobs with SIGINT
ignored, a caller may ignore or block more, and every child inherits that; so the signals that end a server get
their defaults first. On Linux it then asks the kernel for SIGTERM at the parent's death. Last it becomes the
command, so that all of this holds for the server itself. A program of its own, not a ``preexec_fn``: Python code
between fork and exec is not safe in a process with threads. It is not imported by anything and imports nothing
of ours.
"""

import ctypes
import os
import signal
import sys

__all__ = ["launch"]

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
ENDING = (signal.SIGINT, signal.SIGTERM)  # SIGHUP stays as it is: whoever used nohup wants it ignored


def launch(parent: int, command: list[str]) -> None:
    """Become ``command``, on Linux to be terminated when ``parent`` dies; return only if it is already dead."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if sys.platform == "linux":
        _end_with_parent()
    if os.getppid() == parent:
        try:
            os.execv(command[0], command)  # noqa: S606  becoming the server, without a shell, is the purpose
        except OSError as error:
            sys.exit(f"{command[0]!r} cannot be run: {error.strerror}")


def _end_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")


if __name__ == "__main__":
    launch(int(sys.argv[1]), sys.argv[2:])
