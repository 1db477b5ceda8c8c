"""Keep glibc's malloc from holding on to large blocks.

By default the first free of a large block (scrypt's 16 MB) raises the size from which blocks get
a mapping of their own, so that the next such block comes from the heap and stays there: 16 MB
for each worker that has checked one password. With the threshold set it no longer moves.
"""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_THRESHOLD_BYTES: Final = 256 * 1024


def give_memory_back() -> None:
    """Set the thresholds for this process and those it forks; only glibc has them."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)
