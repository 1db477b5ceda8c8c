"""Large messages leave the event loop to others: little of one is worked on between two turns."""

from __future__ import annotations

import base64
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import gevent
import pytest

from mox.address import parse_address
from mox.mailauth.canonical import BodyCanonicalizer
from mox.mailauth.content import PIECE_OCTETS, SignedContent
from mox.mailauth.dkimsign import sign
from mox.smtp.content import ChunkReader, DotReader
from mox.store import spool as spool_module
from mox.store.spool import Spool
from tests.smtpd.harness import FakeResolver, Site
from tests.smtpd.test_judging import SIGNER, ZONE

MakeSite = Callable[..., Site]

SIZE = 3_000_000
# Octets of one message between two turns, for each kind of work; and what waits of a line end.
MOST = (1 << 18) + 8
HEAD = (
    b"From: <a@remote.example>\r\nTo: <mjl@example.org>\r\nSubject: large\r\n"
    b"Message-Id: <1@remote.example>\r\n"
)
MULTIPART = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
ENCODED = base64.encodebytes(random.Random(1).randbytes(SIZE * 3 // 4)).replace(b"\n", b"\r\n")
BODIES = {
    "text": b"\r\n" + b"lorem ipsum  dolor\tsit amet \r\n" * (SIZE // 30),
    "dots": b"\r\n" + b".dot\r\n" * (SIZE // 6),
    "short lines": b"\r\n" + b"x\r\n" * (SIZE // 3),
    "empty lines": b"\r\n" * (SIZE // 2) + b"x\r\n",
    "one line": b"\r\n" + b"a " * (SIZE // 2) + b"\r\n",
    "8 bits": b"\r\n" + b"caf\xc3\xa9\r\n" * (SIZE // 7),
    "attachment": MULTIPART + ENCODED + b"--b--\r\n",
}


class Work:
    """Octets that the event loop's thread worked on, in all and in one turn at most, by kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._turn: Counter[str] = Counter()
        self._thread = threading.get_native_id()
        self._watcher = gevent.get_hub().loop.check()
        self._watcher.start(self._turn.clear)
        for reader in (DotReader, ChunkReader):
            self._count(monkeypatch, reader, "feed", "received")
        self._count(monkeypatch, BodyCanonicalizer, "feed", "hashed")
        self._count_pieces(monkeypatch)
        self._count_windows(monkeypatch)

    def stop(self) -> None:
        self._watcher.stop()
        self._watcher.close()

    def _note(self, kind: str, octets: int) -> None:
        assert threading.get_native_id() == self._thread, "threads keep the interpreter from us"
        self.all[kind] += octets
        self._turn[kind] += octets
        self.most[kind] = max(self.most[kind], self._turn[kind])

    def _count(self, monkeypatch: pytest.MonkeyPatch, cls: type, name: str, kind: str) -> None:
        method = getattr(cls, name)

        def counted(instance: object, data: bytes) -> object:
            self._note(kind, len(data))
            return method(instance, data)

        monkeypatch.setattr(cls, name, counted)

    def _count_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pieces = spool_module._pieces

        def counted(chunks: list[bytes]) -> Iterator[bytes]:
            for piece in pieces(chunks):
                self._note("converted", len(piece))
                yield piece

        monkeypatch.setattr(spool_module, "_pieces", counted)

    def _count_windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = Spool._read_in_pool

        def counted(spool: Spool, at: int, length: int) -> bytes:
            data = read(spool, at, length)
            self._note("looked at", len(data))
            return data

        monkeypatch.setattr(Spool, "_read_in_pool", counted)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    counted = Work(monkeypatch)
    yield counted
    counted.stop()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(resolver=FakeResolver(ZONE))


def signed(body: bytes) -> bytes:
    octets = HEAD + body
    fields = sign(
        [SIGNER], SignedContent(octets, wire=True), parse_address("a@remote.example"), 1.8e9
    )
    return fields + octets


def check(work: Work, octets: int) -> None:
    assert set(work.all) == {"received", "converted", "hashed", "looked at"}
    for kind, total in work.all.items():
        assert total >= octets * 0.49, kind  # stored: one octet for a line end
        assert work.most[kind] <= MOST, kind
    assert work.most["hashed"] <= 2 * PIECE_OCTETS


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_of_data_little_is_worked_on_in_one_turn(site: Site, work: Work, body: bytes) -> None:
    message = signed(body)
    work.all.clear()
    work.most.clear()
    assert site.connect().deliver("a@remote.example", "mjl@example.org", message=message)[0] == 250
    [stored] = site.messages()
    assert stored.endswith(message)
    assert b"dkim=pass" in stored[: len(stored) - len(message)]
    check(work, len(message))


def test_of_a_chunk_little_is_worked_on_in_one_turn(site: Site, work: Work) -> None:
    message = signed(BODIES["text"])
    work.all.clear()
    work.most.clear()
    client = site.connect()
    client.envelope("a@remote.example", "mjl@example.org")
    assert client.bdat(message[:1000], message[1000:])[0] == 250
    check(work, len(message))


def test_what_users_send_is_hashed_in_many_turns(make_site: MakeSite, work: Work) -> None:
    site = make_site(signers={"example.org": (SIGNER,)})
    site.set_password()
    client = site.logged_in()
    message = HEAD.replace(b"a@remote.example", b"mjl@example.org") + BODIES["8 bits"]
    assert client.deliver("mjl@example.org", "x@remote.example", message=message)[0] == 250
    assert len(site.queued()) == 1
    check(work, len(message))
