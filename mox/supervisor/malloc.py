"""Two habits of glibc's malloc that cost a server of several processes memory.

By default the first free of a large block (scrypt's 16 MB) raises the size from which blocks get
a mapping of their own, so that the next such block comes from the heap and stays there: 16 MB
for each worker that has checked one password. With the threshold set it no longer moves.

Imports leave small holes all over the heap. A forked process would put its own data there first,
and copy a page of 4 KB for every few octets. So the holes are filled before the fork.
"""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_THRESHOLD_BYTES: Final = 256 * 1024
# Sizes in which holes are filled, largest first; from 1 KB down every size that malloc tells apart.
_HOLE_BYTES: Final = (*range(65536, 1032, -256), *range(1032, 0, -16))


class _Info(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )

    # What can be given back: the unused end of the heap.
    keepcost: int


def give_memory_back() -> None:
    """Set the thresholds for this process and those it forks; only glibc has them."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)


def fill_holes() -> int:
    """Take the free blocks that lie among others, for good; returns their octets.

    They are part of pages in use: filling them costs nothing. Call it when what the processes
    share is loaded. Only glibc 2.33 and newer tells where the heap's unused end begins.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return 0
    libc.mallinfo2.restype = _Info
    for function in (libc.malloc, libc.sbrk):
        function.argtypes, function.restype = [ctypes.c_size_t], ctypes.c_size_t
    libc.free.argtypes, libc.free.restype = [ctypes.c_size_t], None
    end = libc.sbrk(0) - libc.mallinfo2().keepcost
    filled = 0
    for size in _HOLE_BYTES:
        while 0 < (block := libc.malloc(size)) < end:
            filled += size
        libc.free(block)
    return filled
