import ctypes

import psutil
import pytest

from agents.memory import give_back_memory

KB, MB = 1024, 1 << 20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc can be asked to give back memory")
def test_what_was_freed_between_what_stays_is_given_back():
    """Of 96 MB in blocks of 96 KB, each followed by one that stays, at least 80 MB are the kernel's again."""
    process = psutil.Process()
    blocks = [(bytearray(96 * KB), bytearray(1 * KB)) for _ in range(1024)]
    for freed, _ in blocks:
        freed[:] = b"x" * len(freed)
    full = process.memory_info().rss
    staying = [stays for _, stays in blocks]
    del blocks, freed
    give_back_memory()
    assert full - process.memory_info().rss > 80 * MB
    assert len(staying) == 1024
