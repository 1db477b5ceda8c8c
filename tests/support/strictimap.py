"""An IMAP client that believes nothing: it keeps the mailbox as the protocol says it has to.

It follows RFC 9051 §7.4.1 and §7.5.1 to the letter: EXISTS only grows, EXPUNGE shifts numbers and
never comes during FETCH, STORE or SEARCH, and a FETCH response has to carry the uid that the
client has at that number. What breaks these rules is an AssertionError.
"""

from __future__ import annotations

import re
import select
import socket
import time

from tests.support.server import PASSWORD, USER

_EXPUNGE_FORBIDDEN = ("FETCH", "STORE", "SEARCH")
_LITERAL = re.compile(rb"\{(\d+)\}$")
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")


class StrictIMAP:
    """One session with a mailbox selected. uids: by sequence number; None where not yet known."""

    def __init__(self, port: int, mailbox: str = "INBOX") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.buffer = b""
        self.number = 0
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[str]] = {}
        assert self.line().startswith(b"* OK")
        self.command(f"LOGIN {USER} {PASSWORD}")
        self.command(f"SELECT {mailbox}")
        self.learn()

    def close(self) -> None:
        self.sock.close()

    def line(self) -> bytes:
        """A response with its literals."""
        text = self._to_crlf()
        while found := _LITERAL.search(text):
            count = int(found.group(1))
            while len(self.buffer) < count:
                self._more()
            text += self.buffer[:count]
            self.buffer = self.buffer[count:]
            text += self._to_crlf()
        return text

    def _to_crlf(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._more()
        text, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        return text

    def _more(self) -> None:
        data = self.sock.recv(65536)
        assert data, "closed by the server"
        self.buffer += data

    def command(self, text: str, literal: bytes | None = None) -> list[bytes]:
        """Send a command, take in everything that comes, return the untagged lines."""
        self.number += 1
        tag = f"s{self.number}".encode()
        line = tag + b" " + text.encode()
        if literal is not None:
            line += b" {%d+}\r\n" % len(literal) + literal
        self.sock.sendall(line + b"\r\n")
        words = text.upper().split()
        name = words[1] if words[0] == "UID" else words[0]
        numbered = name in _EXPUNGE_FORBIDDEN and words[0] != "UID"
        lines: list[bytes] = []
        while not (answer := self.line()).startswith(tag + b" "):
            self.take_in(answer, expunge=not numbered)
            lines.append(answer)
        assert answer.startswith(tag + b" OK"), (text, answer)
        return lines

    def take_in(self, line: bytes, *, expunge: bool = True) -> None:
        """Follow one untagged response."""
        match line.split(b" ", 3):
            case [b"*", number, b"EXISTS"]:
                assert int(number) >= len(self.uids), "EXISTS must not shrink a mailbox"
                self.uids += [None] * (int(number) - len(self.uids))
            case [b"*", number, b"EXPUNGE"]:
                assert expunge, "EXPUNGE during a command with sequence numbers"
                assert 1 <= int(number) <= len(self.uids), "EXPUNGE of a number that is not there"
                uid = self.uids.pop(int(number) - 1)
                if uid is not None:
                    self.flags.pop(uid, None)
            case [b"*", number, b"FETCH", rest]:
                self._fetched(int(number), rest)

    def _fetched(self, number: int, rest: bytes) -> None:
        assert 1 <= number <= len(self.uids), "FETCH of a number that is not there"
        found = _UID.search(rest)
        if found is not None:
            uid = int(found.group(1))
            known = self.uids[number - 1]
            assert known in (None, uid), f"number {number} was uid {known} and is {uid} now"
            self.uids[number - 1] = uid
        flags, uid_known = _FLAGS.search(rest), self.uids[number - 1]
        if flags is not None and uid_known is not None:
            self.flags[uid_known] = frozenset(flags.group(1).decode().split()) - {"\\Recent"}

    def learn(self) -> None:
        """Ask for all uids and flags."""
        if self.uids:
            self.command("FETCH 1:* (UID FLAGS)")
        known = [uid for uid in self.uids if uid is not None]
        assert known == sorted(set(known)), "uids ascend"

    def idle(self) -> None:
        self.sock.sendall(b"idle IDLE\r\n")
        while not (line := self.line()).startswith(b"+"):
            self.take_in(line)

    def idle_until(self, what: bytes, seconds: float) -> float:
        """Follow until a line with `what` comes; returns how long it took. Fails after that."""
        start = time.monotonic()
        while True:
            left = start + seconds - time.monotonic()
            assert left > 0, f"{what!r} did not come within {seconds} s"
            if b"\r\n" in self.buffer or select.select([self.sock], [], [], left)[0]:
                line = self.line()
                self.take_in(line)
                if what in line:
                    return time.monotonic() - start

    def done(self) -> None:
        self.sock.sendall(b"DONE\r\n")
        while not (line := self.line()).startswith(b"idle "):
            self.take_in(line)

    def view(self) -> dict[int, frozenset[str]]:
        """{uid: flags} as this client has it after asking the server for news."""
        self.command("NOOP")
        self.learn()
        assert None not in self.uids
        return {uid: self.flags[uid] for uid in self.uids if uid is not None}
