from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.tlsio.client import ClientContext
from mox.tlsio.hello import UNREADABLE, ClientHello, read_hello
from mox.tlsio.session import TLSSession


def hello(name: str, **options: tuple[str, ...]) -> bytes:
    session = TLSSession(ClientContext(verify=False, system_ca=False, **options), name)
    session.handshake()
    return session.outgoing()


def of_tls12() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, server_hostname="mail.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


PLAIN = hello("mail.example")
WITH_ALPN = hello("mail.example", alpn=("imap", "h2"))


def records(wire: bytes, size: int) -> bytes:
    """The same handshake message in records of so many octets."""
    message = wire[5:]
    parts = [message[n : n + size] for n in range(0, len(message), size)]
    return b"".join(wire[:3] + len(part).to_bytes(2) + part for part in parts)


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (PLAIN, ClientHello("mail.example", (), tls13=True)),
        (WITH_ALPN, ClientHello("mail.example", (b"imap", b"h2"), tls13=True)),
        (hello("192.0.2.1"), ClientHello("", (), tls13=True)),
        (of_tls12(), ClientHello("mail.example", (), tls13=False)),
        (records(WITH_ALPN, 300), ClientHello("mail.example", (b"imap", b"h2"), tls13=True)),
        (records(PLAIN, 10), UNREADABLE),
        (b"EHLO client.example\r\n", UNREADABLE),
        (b"\x16\x03\x01\x00\x01\x02", UNREADABLE),
        (b"\x16\x03\x01\x00\x04\x01\x00\x80\x00", UNREADABLE),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", UNREADABLE),
    ],
)
def test_what_the_client_asks_for(wire: bytes, told: ClientHello) -> None:
    assert read_hello(wire) == told


def test_a_hello_may_come_in_any_pieces() -> None:
    for wire in (WITH_ALPN, records(WITH_ALPN, 300)):
        for end in range(len(wire)):
            assert read_hello(wire[:end]) is None
        assert read_hello(wire + b"more") == read_hello(wire)


@given(st.binary(max_size=400), st.integers(0, len(WITH_ALPN) - 1))
def test_garbage_raises_nothing(garbage: bytes, at: int) -> None:
    read_hello(garbage)
    read_hello(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc" + garbage)
    read_hello(WITH_ALPN[:at] + garbage[:1] + WITH_ALPN[at + 1 :])
    read_hello(WITH_ALPN[:at] + garbage + WITH_ALPN[at:])
