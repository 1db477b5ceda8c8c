"""Values of metrics that are summed over processes, in the files of prometheus_client.

Its own class for them asks for the process id and takes a lock of the event loop for each count,
which is most of what a count costs; here a fork is noticed when it happens, and the lock is a
native one. What is in the files is the same.
"""

from __future__ import annotations

import os
import struct
from _thread import RLock  # the C one, which gevent leaves alone: pool threads count, too
from collections.abc import Sequence
from typing import Final

from prometheus_client.mmap_dict import MmapedDict, mmap_key

_PAIR: Final = struct.Struct("dd")


class _Process:
    """The files of one process, by kind of metric. A fork begins with none."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.files: dict[str, MmapedDict] = {}

    def file(self, kind: str) -> MmapedDict:
        if kind not in self.files:
            directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
            path = os.path.join(directory, f"{kind}_{os.getpid()}.db")
            self.files[kind] = MmapedDict(path)  # type: ignore[no-untyped-call]  # has no types
        return self.files[kind]


_process = _Process()


def _forked() -> None:
    global _process
    parent, _process = _process, _Process()
    for file in parent.files.values():
        file.close()  # type: ignore[no-untyped-call]


os.register_at_fork(after_in_child=_forked)


class SharedValue:
    """One number of one process. See prometheus_client.values for what its users expect."""

    __slots__ = ("_at", "_file", "_key", "_kind", "_process", "_value")

    _multiprocess = True

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: object,
    ) -> None:
        self._kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
        with _process.lock:
            self._open()

    def _open(self) -> None:
        """Find the place in the file of this process, where it may stand already."""
        self._process = _process
        self._file = _process.file(self._kind)
        value, _ = self._file.read_value(self._key)  # type: ignore[no-untyped-call]
        self._value = float(value)
        self._at: int = self._file._positions[self._key]

    def inc(self, amount: float) -> None:
        with _process.lock:
            if self._process is not _process:
                self._open()
            self._write(self._value + amount, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        with _process.lock:
            if self._process is not _process:
                self._open()
            self._write(value, timestamp or 0.0)

    def _write(self, value: float, timestamp: float) -> None:
        self._value = value
        at = self._at
        # The map is another one when the file has grown. Assigned at once: readers of other
        # processes must not see half of it.
        self._file._m[at : at + 16] = _PAIR.pack(value, timestamp)

    def get(self) -> float:
        with _process.lock:
            if self._process is not _process:
                self._open()
            return self._value

    def set_exemplar(self, exemplar: object) -> None:
        """Exemplars are not kept in the files."""

    def get_exemplar(self) -> None:
        return None
