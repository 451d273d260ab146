"""Memory that was freed, given back to the kernel: after a start, a new version or a new reader of queries.

What these need for a moment lies between what stays. glibc gives back what is free at the end of its heap alone,
unless it is asked for the rest.
"""

import ctypes

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """Let the kernel have all whole pages that are free; does nothing where the C library is not glibc.

    It takes some milliseconds, in which other threads run.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
