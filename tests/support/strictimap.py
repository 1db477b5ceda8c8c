"""An IMAP client that believes nothing: it keeps its own table of sequence numbers and checks it.

RFC 9051 §2.3.1.2, §7.5.1, §7.4.1; RFC 7162 for sessions with QRESYNC.
"""

from __future__ import annotations

import re
import socket

from tests.support.server import PASSWORD, USER

_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)$", re.S)
_COUNT = re.compile(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE)$")
_VANISHED = re.compile(rb"\* VANISHED ([\d:,]+)$")
_LITERAL = re.compile(rb"\{(\d+)\}$")
# RFC 9051 §7.5.1: no EXPUNGE during these.
_BY_NUMBER = ("FETCH", "STORE", "SEARCH")


class StrictClient:
    """One session. `uids` has the uid of each sequence number, 0 where it is not known yet."""

    def __init__(self, port: int, *, qresync: bool = False, rev2: bool = False) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.qresync = qresync
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.modseqs: dict[int, int] = {}
        self.tokens: dict[int, str] = {}  # of the selected mailbox, by uid
        self.selecting = False
        self.by_number = False
        self._buffer = b""
        self._number = 0
        self._line()
        self.ok(f"LOGIN {USER} {PASSWORD}")
        if qresync:
            self.ok("ENABLE QRESYNC")
        if rev2:
            self.ok("ENABLE IMAP4rev2")

    @property
    def local_port(self) -> int:
        return int(self.sock.getsockname()[1])

    # ---- commands

    def ok(self, command: str, literal: bytes = b"") -> bytes:
        text = self.command(command, literal)
        assert text.startswith(b"OK"), f"{command}: {text!r}"
        return text

    def command(self, command: str, literal: bytes = b"") -> bytes:
        """Send a command, take in what comes; the text of the tagged response."""
        self.begin(command, literal)
        return self.end()

    def begin(self, command: str, literal: bytes = b"") -> None:
        self._number += 1
        self.by_number = command.startswith(_BY_NUMBER)
        data = f"c{self._number} {command}".encode()
        if literal:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.sock.sendall(data + b"\r\n")

    def end(self) -> bytes:
        tag = f"c{self._number} ".encode()
        while True:
            response = self._response()
            if response.startswith(tag):
                self.by_number = False
                assert not response[len(tag) :].startswith(b"BAD"), response
                return response[len(tag) :]
            self._untagged(response)

    def select(self, mailbox: str) -> None:
        self.uids, self.flags, self.modseqs, self.tokens = [], {}, {}, {}
        self.selecting = True
        self.ok(f'SELECT "{mailbox}"')
        self.selecting = False
        self.learn()

    def learn(self) -> None:
        """Ask for the uids of numbers that are not known yet."""
        while 0 in self.uids:
            first = self.uids.index(0) + 1
            self.command(f"FETCH {first}:* (UID FLAGS)")
            if 0 in self.uids:
                # Gone before it could be asked for: the server tells at the next chance.
                self.ok("NOOP")

    def idle_begin(self) -> None:
        self.begin("IDLE")
        while not (response := self._response()).startswith(b"+"):
            self._untagged(response)

    def idle_end(self) -> None:
        self.sock.sendall(b"DONE\r\n")
        assert self.end().startswith(b"OK")

    def close(self) -> None:
        self.sock.close()

    # ---- responses

    def _untagged(self, response: bytes) -> None:
        count = _COUNT.match(response)
        if count:
            self._count(int(count[1]), count[2])
            return
        fetch = _FETCH.match(response)
        if fetch:
            self._fetch(int(fetch[1]), fetch[2])
            return
        vanished = _VANISHED.match(response)
        if vanished:
            self._vanished(vanished[1].decode())
        assert not response.startswith(b"* BYE"), response

    def _count(self, number: int, what: bytes) -> None:
        if what == b"EXISTS":
            assert number >= len(self.uids), f"EXISTS {number} after {len(self.uids)}"
            self.uids += [0] * (number - len(self.uids))
        elif what == b"EXPUNGE":
            assert not self.by_number, "EXPUNGE while numbers are in use"
            assert not self.qresync, "EXPUNGE after ENABLE QRESYNC"
            assert 1 <= number <= len(self.uids), f"EXPUNGE {number} of {len(self.uids)}"
            self._forget(self.uids.pop(number - 1))
        else:
            assert number <= len(self.uids)

    def _vanished(self, text: str) -> None:
        assert self.qresync
        assert not self.by_number, "VANISHED while numbers are in use"
        for part in text.split(","):
            first, _, last = part.partition(":")
            for uid in range(int(first), int(last or first) + 1):
                del self.uids[self._place(uid)]
                self._forget(uid)

    def _place(self, uid: int) -> int:
        """The index of a uid; where it was not known yet, of an unknown one that it may be."""
        if uid in self.uids:
            return self.uids.index(uid)
        after = [i for i, known in enumerate(self.uids) if known > uid]
        end = after[0] if after else len(self.uids)
        assert end > 0, f"VANISHED {uid}, which was not there"
        assert self.uids[end - 1] == 0, f"VANISHED {uid}, which was not there"
        return end - 1

    def _forget(self, uid: int) -> None:
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)

    def _fetch(self, number: int, items: bytes) -> None:
        assert 1 <= number <= len(self.uids), f"FETCH {number} of {len(self.uids)}"
        found = re.search(rb"UID (\d+)", items)
        if found:
            self._learn(number, int(found[1]))
        uid = self.uids[number - 1]
        flags = re.search(rb"FLAGS \(([^)]*)\)", items)
        if flags and uid:
            self.flags[uid] = frozenset(flags[1].decode().split()) - {"\\Recent"}
        modseq = re.search(rb"MODSEQ \((\d+)\)", items)
        if modseq and uid:
            assert int(modseq[1]) >= self.modseqs.get(uid, 0), "modseq went back"
            self.modseqs[uid] = int(modseq[1])
        token = re.search(rb"X-Token: (\S+)", items)
        if token and uid:
            known = self.tokens.setdefault(uid, token[1].decode())
            assert known == token[1].decode(), f"uid {uid} was {known}, is {token[1]!r}"

    def _learn(self, number: int, uid: int) -> None:
        known = self.uids[number - 1]
        assert known in (0, uid), f"number {number} was uid {known}, is {uid}"
        self.uids[number - 1] = uid
        before = [each for each in self.uids[: number - 1] if each]
        after = [each for each in self.uids[number:] if each]
        assert not before or before[-1] < uid, f"uid {uid} after {before[-1]}"
        assert not after or uid < after[0], f"uid {uid} before {after[0]}"

    def _response(self) -> bytes:
        """A whole response: with its literals, without the last line end."""
        response = self._line()
        while literal := _LITERAL.search(response):
            size = int(literal[1])
            while len(self._buffer) < size:
                self._receive()
            response += b"\r\n" + self._buffer[:size]
            self._buffer = self._buffer[size:]
            response += self._line()
        return response

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _receive(self) -> None:
        data = self.sock.recv(1 << 16)
        assert data, "connection closed"
        self._buffer += data
