"""A running server process under a supervisor, and words to talk about it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PROGRAM = Path(__file__).parent / "server_program.py"
DEADLINE_S = 20.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def eventually(claim: Callable[[], Any], what: str = "") -> Any:
    """Wait until `claim` returns something true, and return that."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        value = claim()
        if value:
            return value
        assert time.monotonic() < deadline, what or "did not happen in time"
        time.sleep(0.02)


@dataclass
class Facts:
    """What an echo worker says of itself."""

    pid: int
    slot: int
    uid: int
    gid: int
    groups: int
    text: str


class Server:
    """A server_program with its configuration file and log."""

    def __init__(self, directory: Path, **values: Any) -> None:
        self.config = directory / "server.json"
        self.data_dir = directory / "data"
        self.port = free_port()
        self.values: dict[str, Any] = {
            "data_dir": str(self.data_dir),
            "kinds": ["smtp"],
            "endpoints": [["127.0.0.1", self.port, "smtp", "local"]],
            **values,
        }
        self.write()
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def write(self, **values: Any) -> None:
        self.values.update(values)
        self.config.write_text(json.dumps(self.values))

    def start(self, *, wait: bool = True, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.config)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        threading.Thread(target=self._collect, daemon=True).start()
        if wait:
            self.wait_line("ready to serve")

    def _collect(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait_exit(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def wait_line(self, text: str, count: int = 1) -> str:
        """Wait for the `count`th log line with this text."""

        def found() -> str | None:
            lines = [line for line in list(self.lines) if text in line]
            return lines[count - 1] if len(lines) >= count else None

        line: str = eventually(found, f"no line {text!r}")
        return line

    def wait_line_or_exit(self, text: str) -> bool:
        """Wait for a new log line with this text; false when the process ends before."""
        assert self.process is not None
        before = sum(text in line for line in self.lines)

        def happened() -> bool:
            assert self.process is not None
            count = sum(text in line for line in list(self.lines))
            return count > before or self.process.poll() is not None

        eventually(happened)
        return self.process.poll() is None

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def ask(self, word: str = "") -> Facts:
        with self.connect() as sock:
            return self.facts(sock, word)

    def facts(self, sock: socket.socket, word: str = "") -> Facts:
        line = sock.makefile().readline()
        pid, slot, uid, gid, groups, text = line.rstrip("\n").split(" ", 5)
        if word:
            sock.sendall(f"{word}\n".encode())
        return Facts(int(pid), int(slot), int(uid), int(gid), int(groups), text)

    def workers(self) -> dict[int, str]:
        """Children by pid, with the names that they give themselves."""
        found = {}
        for child in psutil.Process(self.pid).children():
            try:
                if child.status() != psutil.STATUS_ZOMBIE:
                    found[child.pid] = " ".join(child.cmdline()).strip()
            except psutil.NoSuchProcess:
                continue
        return found

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
