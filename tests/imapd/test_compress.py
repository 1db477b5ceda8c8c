"""COMPRESS=DEFLATE (RFC 4978) and UNAUTHENTICATE (RFC 8437)."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from tests.imapd.harness import PASSWORD, Client, Literal, Site, message


class Deflated:
    """A socket whose octets are compressed, as a client sees it."""

    def __init__(self, sock: object) -> None:
        self.sock = sock
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)

    def packed(self, data: bytes) -> bytes:
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(self.packed(data))  # type: ignore[attr-defined]

    def recv(self, size: int) -> bytes:
        while True:
            data = self.sock.recv(size)  # type: ignore[attr-defined]
            plain = self._in.decompress(data)
            if plain or not data:
                return plain

    def close(self) -> None:
        self.sock.close()  # type: ignore[attr-defined]


def compress(client: Client) -> Deflated:
    client.ok("compress deflate")
    client.sock = Deflated(client.sock)
    return client.sock


def test_both_directions_are_compressed(site: Site) -> None:
    client = site.login("inbox")
    compress(client)
    sent = message(1, "text " * 10_000)
    client.append("inbox", sent)
    assert client.ok("fetch 1 rfc822.size") == [f"* 1 FETCH (RFC822.SIZE {len(sent)})"]
    assert len(client.ok("fetch 1 body.peek[]")[0]) > 50_000
    assert client.command("logout").status == "OK"


def test_rfc_4978_example(site: Site) -> None:
    client = site.login()
    compress(client)
    # RFC 4978 §3: a second time is refused with NO and the code.
    assert client.no("compress deflate").startswith("[COMPRESSIONACTIVE]")


def test_other_algorithms_are_unknown(site: Site) -> None:
    client = site.login()
    client.bad("compress gzip")
    client.bad("compress")
    client.ok("noop")


def test_octets_that_came_with_the_command(site: Site) -> None:
    client = site.login()
    deflated = Deflated(client.sock)
    client.send(b"a compress deflate\r\n" + deflated.packed(b"b noop\r\nc noop\r\n"))
    assert client.line().startswith("a OK")
    client._data = deflated._in.decompress(client._data)
    client.sock = deflated
    assert client.line().startswith("b OK")
    assert client.line().startswith("c OK")


def test_pipelined_idle_and_done(site: Site) -> None:
    client = site.login("inbox")
    compress(client)
    client.send("i idle\r\nDONE\r\nn noop\r\n")
    lines = [client.line() for _ in range(3)]
    assert [line[:4] for line in lines] == ["+ id", "i OK", "n OK"]


def test_news_while_idle_after_a_rest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.login("inbox")
    compress(client)
    for number in range(1, 4):
        client.idle()
        site.add(message(number))
        assert client.line() == f"* {number} EXISTS"
        assert client.done()[0].endswith("RECENT")


def test_over_tls(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)
    client = site.connect("imaps")
    client.ok("login mjl@example.org", Literal(PASSWORD))
    compress(client)
    client.ok("select inbox")


def test_a_bomb_is_a_long_line(site: Site) -> None:
    client = site.login()
    compress(client)
    client.send(b"x" * 5_000_000)
    assert client.line() == "* BYE [ALERT] line too long"


def test_garbage_ends_the_connection(site: Site) -> None:
    client = site.login()
    raw = client.sock
    compress(client)
    raw.sendall(b"\xff" * 100)
    client.sock = raw
    assert client.is_closed()


# ---- UNAUTHENTICATE


def test_unauthenticate_forgets_everything(site: Site) -> None:
    client = site.login("inbox", enable="imap4rev2 qresync")
    client.ok("unauthenticate")
    client.bad("select inbox")
    client.bad("unauthenticate")
    (line,) = client.ok("capability")
    assert "AUTH=PLAIN" in line
    assert "MOVE" not in line
    client.ok("login small@example.org", Literal(PASSWORD))
    # IMAP4rev2 is no longer enabled.
    assert "* 0 RECENT" in client.ok("select inbox")
    client.bad("select inbox (qresync (1 1))")


def test_unauthenticate_ends_compression(site: Site) -> None:
    client = site.login()
    deflated = compress(client)
    client.ok("unauthenticate")
    client.sock = deflated.sock
    client.ok("noop")
    client.ok("login mjl@example.org", Literal(PASSWORD))
    compress(client)
    client.ok("noop")


def test_changes_of_the_former_account_are_not_told(site: Site) -> None:
    client = site.login("inbox")
    client.ok("unauthenticate")
    site.add(message(1))
    assert client.ok("noop") == []
    assert not site.ctx.store.notifier._watchers
