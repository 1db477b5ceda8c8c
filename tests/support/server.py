"""A whole mox server on loopback, in a directory of its own, as its own processes."""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tests.support import queued

MOX = Path(sys.executable).parent / "mox"
USER = "mox@localhost"
PASSWORD = "moxmoxmox"
_STANDARD = (25, 465, 587, 143, 993, 80, 443, 81)


def eventually(condition: Callable[[], object], seconds: float = 10.0, pause: float = 0.02) -> None:
    """Wait until `condition` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(pause)


def free_offset() -> int:
    """A port offset at which every port that localserve uses is free.

    Below 32768, from where on the kernel gives ports to outgoing connections.
    """
    for _ in range(200):
        offset = random.randrange(2_000, 31_700)
        if all(_is_free(port + offset) for port in _STANDARD):
            return offset
    raise OSError("no free range of ports")


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((address, port))
            except OSError:
                return False
    return True


class Server:
    """`mox localserve` in `directory`; start() and stop() may be called again and again."""

    def __init__(
        self,
        directory: Path,
        *,
        env: dict[str, str] | None = None,
        offset: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`offset` and `host` are to be given for a directory that was made by others."""
        self.directory = directory
        self.offset = free_offset() if offset is None else offset
        self.host = host
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = directory.with_suffix(".log")
        self._log: IO[bytes] | None = None

    @property
    def smtp(self) -> int:
        return 25 + self.offset

    @property
    def submission(self) -> int:
        return 587 + self.offset

    @property
    def submissions(self) -> int:
        return 465 + self.offset

    @property
    def imap(self) -> int:
        return 143 + self.offset

    @property
    def imaps(self) -> int:
        return 993 + self.offset

    @property
    def http(self) -> int:
        return 80 + self.offset

    @property
    def https(self) -> int:
        return 443 + self.offset

    @property
    def metrics(self) -> int:
        return 81 + self.offset

    @property
    def certificate(self) -> Path:
        return self.directory / "localhost.crt"

    @property
    def maildir(self) -> Path:
        return self.directory / "accounts/mox/Maildir"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def config(self) -> Path:
        return self.directory / "mox.conf"

    @property
    def queue_is_empty(self) -> bool:
        """Whether everything that was submitted has left the queue."""
        return queued.count(self.directory) == 0

    def command(self, *words: str) -> list[str]:
        return [str(MOX), *words]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run another mox command on this server's configuration."""
        return subprocess.run(
            self.command("-config", str(self.config), *words),
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in mox.conf or domains.conf, in one step as editors do."""
        path = self.directory / name
        text = path.read_text()
        assert old in text
        changed = path.with_name(f"{name}.new")
        changed.write_text(text.replace(old, new))
        changed.replace(path)

    def init(self) -> None:
        """Write the configuration only."""
        subprocess.run(
            self.command(*self._localserve(), "-initonly"),
            env=self.env,
            check=True,
            capture_output=True,
        )

    def _localserve(self) -> Sequence[str]:
        words = ["localserve", "-dir", str(self.directory)]
        if not self.directory.exists():
            words += ["-port-offset", str(self.offset)]
        return words

    def start(self, *, wait: bool = True) -> None:
        self._log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            self.command(*self._localserve()),
            env=self.env,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        if wait:
            self.wait()

    def wait(self, seconds: float = 30.0) -> None:
        """Until SMTP, submission and IMAP greet."""
        for port in (self.smtp, self.submission, self.imap):
            eventually(lambda port=port: self._greets(port), seconds)  # type: ignore[misc]

    def _greets(self, port: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"server ended: {self.log[-3000:]}"
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.host, port), timeout=2) as sock,
        ):
            return bool(sock.recv(100))
        return False

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """To the supervisor."""
        os.kill(self.pid, number)

    def processes(self) -> list[int]:
        """Pids of all processes below the supervisor."""
        return _descendants(self.pid)

    def workers(self, kind: str = "") -> list[int]:
        """Pids of worker processes whose title names this kind."""
        found = []
        for pid in _descendants(self.process.pid if self.process else 0):
            title = _title(pid)
            if title.startswith("mox: ") and kind in title:
                found.append(pid)
        return found

    def kill_group(self) -> None:
        """kill -9 of every process at once."""
        assert self.process is not None
        pids = [self.process.pid, *_descendants(self.process.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        eventually(lambda: not any(is_alive(pid) for pid in pids))
        self._close_log()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill_group()
            raise
        self._close_log()
        return code

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    # ---- clients

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def imap_client(self, *, tls: bool = False) -> imaplib.IMAP4:
        client: imaplib.IMAP4
        if tls:
            client = imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=self.tls())
        else:
            client = imaplib.IMAP4("127.0.0.1", self.imap)
        client.login(USER, PASSWORD)
        return client

    def empty(self, mailbox: str) -> None:
        """Remove all messages of a mailbox."""
        client = self.imap_client()
        client.select(mailbox)
        client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
        client.close()
        client.logout()

    def count(self, mailbox: str = "INBOX") -> int:
        """How many messages IMAP says a mailbox has."""
        client = self.imap_client()
        try:
            return int(client.select(mailbox, readonly=True)[1][0] or b"0")
        finally:
            client.logout()

    def drop(self, name: str, text: str) -> None:
        """Put a message into INBOX as other programs do: complete, by a rename. `name` as cur/x."""
        written = self.maildir / "tmp" / name.partition("/")[2]
        written.write_text(text)
        written.rename(self.maildir / name)

    def deliver(self, message: bytes, *recipients: str, sender: str = "a@localhost") -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            client.sendmail(sender, recipients or [USER], message)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return found
    for child in map(int, children):
        found += [child, *_descendants(child)]
    return found


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def running(
    directory: Path, *, offset: int | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    server = Server(directory, offset=offset, host=host)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
