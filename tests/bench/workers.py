"""Starting and measuring worker processes (`served`) from a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Worker:
    process: subprocess.Popen[str]
    port: int

    def pss_kb(self) -> int:
        """Proportional set size: shared pages count in part."""
        for line in self._proc("smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise ValueError("no PSS")

    def cpu_s(self) -> float:
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


@contextmanager
def workers(count: int, *, tls: bool = True) -> Iterator[list[Worker]]:
    """Worker processes that share limits, each with a port of its own."""
    started = []
    with tempfile.TemporaryDirectory() as data_dir:
        try:
            for slot in range(count):
                started.append(_start(slot, tls, data_dir))
            yield started
        finally:
            for worker in started:
                worker.process.terminate()
                worker.process.wait()


def _start(slot: int, tls: bool, data_dir: str) -> Worker:
    words = [sys.executable, "-m", "tests.bench.served", str(slot), "tls" if tls else "plain"]
    process = subprocess.Popen([*words, data_dir], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return Worker(process, int(process.stdout.readline()))


def source_address(number: int) -> str:
    """A loopback address in a /21 of its own, so that no limit is reached."""
    return f"127.{40 + number // 32 % 200}.{number % 32 * 8}.10"


def report(name: str, value: float, unit: str) -> None:
    sys.stdout.write(f"{name:<44}{value:>10.1f} {unit}\n")
