"""Letting go of index pages that a process has read.

They stay mapped and count as memory of each process that has read them, although they are the
kernel's cache, which goes when memory is short: after a while every process seems to have as much
memory as the index has octets. So when many have come since the last time, all are let go. What is
read again is mapped again, sixteen pages at a time, which takes a microsecond.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import gevent

from mox import logfmt

if TYPE_CHECKING:
    from gevent._types import _TimerWatcher as TimerWatcher

LOOK_S: Final = 5.0
# So many more octets of files than after the last time are worth it.
MANY_OCTETS: Final = 1 << 20

# proc(5): the third number is that of resident pages of files.
_STATM: Final = "/proc/self/statm"
_MAPS: Final = "/proc/self/maps"
# bits/mman-linux.h. Nothing is lost by it where a file is mapped shared.
_MADV_DONTNEED: Final = 4

log = logfmt.logger("store")

_libc = ctypes.CDLL(None, use_errno=True)
_NEVER: Final = 1 << 62
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Residence:
    """Looks now and then, on the event loop of a process, and has pages let go."""

    __slots__ = ("_later", "_least", "_path", "_timer")

    def __init__(self, index_dir: str, later: Callable[[Callable[[], None]], None]) -> None:
        """`later` has its argument run on a native thread soon; it must not wait."""
        self._path = os.path.realpath(os.path.join(index_dir, "data.mdb"))
        self._later = later
        # Does not keep a process alive that has nothing else to do.
        self._timer: TimerWatcher = gevent.get_hub().loop.timer(LOOK_S, LOOK_S, ref=False)
        try:
            self._least = _file_octets()
        except OSError as e:
            # It is for the looks of it only.
            log.debug("pages of the index stay mapped, there is no /proc", err=e)
        else:
            self._timer.start(self.look)

    def close(self) -> None:
        self._timer.stop()
        self._timer.close()

    def look(self) -> None:
        """Have the pages let go if they are many. Does not wait."""
        if _file_octets() - self._least > MANY_OCTETS:
            self._later(self._let_go)

    def _let_go(self) -> None:
        # Should it fail, that is told once: it would again in five seconds.
        self._least = _NEVER
        let_go_of(self._path)
        self._least = _file_octets()


def _file_octets() -> int:
    with open(_STATM, "rb") as statm:
        return int(statm.read().split()[2]) * _PAGE


def let_go_of(path: str) -> None:
    """Unmap what this process has read of a file that it has mapped shared.

    Blocks. Raises OSError.
    """
    with open(_MAPS, encoding="utf-8", errors="surrogateescape") as maps:
        ranges = list(mapped_ranges(maps, path))
    for start, end in ranges:
        if _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)


def mapped_ranges(maps: Iterable[str], path: str) -> Iterator[tuple[int, int]]:
    """Yield where a file is mapped shared: the first address, and the one behind the last.

    `maps`: lines of /proc/PID/maps, proc(5).
    """
    for line in maps:
        fields = line.rstrip("\n").split(maxsplit=5)
        if len(fields) == 6 and fields[5] == path and fields[1].endswith("s"):
            start, _, end = fields[0].partition("-")
            yield int(start, 16), int(end, 16)
