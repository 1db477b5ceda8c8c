from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import MinVersion, ServerContext, ServerOptions
from mox.tlsio.errors import TLSError
from mox.tlsio.session import TLSSession
from tests.tlsio import pairs
from tests.tlsio.identities import identity, rsa_key
from tests.tlsio.pairs import FULL, connected, pump, server_context, shake_hands


def tls12() -> ClientContext:
    context = ClientContext(verify=False, system_ca=False)
    context.context.set_max_proto_version(SSL.TLS1_2_VERSION)
    return context


@pytest.fixture(autouse=True, params=["full", "light"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for both engines; TLS 1.2 is always the full one's."""
    monkeypatch.setattr(pairs, "engine", getattr(pairs, request.param.upper()))


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def client(request: pytest.FixtureRequest) -> ClientContext:
    if request.param == "TLSv1.2":
        return tls12()
    return ClientContext(verify=False, system_ca=False, min_version=MinVersion.TLS13)


@pytest.mark.parametrize("step", [1, 7, 65536])
def test_both_directions_carry_bytes(client: ClientContext, step: int) -> None:
    a, b = connected(client=client, step=step)
    for source, target in ((a, b), (b, a)):
        message = bytes(range(256)) * 300
        source.write(message)
        got = b""
        wire = source.outgoing()
        for start in range(0, len(wire), step):
            target.feed(wire[start : start + step])
            got += target.read()
        assert got == message


def test_info_tells_what_was_agreed(client: ClientContext) -> None:
    a, b = connected(client=client)
    assert a.info().version == b.info().version
    assert b.info().version in ("TLSv1.2", "TLSv1.3")
    assert b.info().server_name == "mail.example"
    assert b.info().cipher == a.info().cipher != ""


def test_exporter_binding_agrees_on_tls13_only() -> None:
    a, b = connected(server_context(FULL))
    binding = a.channel_binding("tls-exporter")
    assert binding is not None
    assert len(binding) == 32
    assert b.channel_binding("tls-exporter") == binding
    assert a.channel_binding("tls-unique") is None
    c, d = connected(client=tls12())
    assert c.channel_binding("tls-exporter") is d.channel_binding("tls-exporter") is None


def test_unique_binding_agrees_with_the_standard_library() -> None:
    server = TLSSession(server_context())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out, server_hostname="mail.example")
    for _ in range(4):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            server.feed(out.read())
            server.handshake()
            into.write(server.outgoing())
    assert server.channel_binding("tls-unique") == client.get_channel_binding("tls-unique")


def test_unique_binding_is_withheld_where_sessions_resume() -> None:
    options = ServerOptions(session_tickets=True)
    _, server = connected(server_context(options), tls12())
    assert server.channel_binding("tls-unique") is None


def test_end_point_binding_is_the_certificate_hash(client: ClientContext) -> None:
    a, b = connected(server_context(FULL), client)
    cert = x509.load_pem_x509_certificate(identity("mail.example").chain_pem)
    assert a.channel_binding("tls-server-end-point") == cert.fingerprint(hashes.SHA256())
    assert b.channel_binding("tls-server-end-point") == cert.fingerprint(hashes.SHA256())


def test_binding_does_not_exist_before_the_handshake() -> None:
    assert TLSSession(server_context()).channel_binding("tls-exporter") is None


def test_close_notify_ends_the_other_side(client: ClientContext) -> None:
    a, b = connected(client=client)
    a.write(b"last words")
    a.close()
    pump(a, b)
    assert b.read() == b"last words"
    assert b.eof


def test_end_without_close_notify_is_an_end(client: ClientContext) -> None:
    a, b = connected(client=client)
    a.write(b"last words")
    pump(a, b)
    b.feed(b"")
    assert b.read() == b"last words"
    assert b.eof


def test_end_in_the_handshake_is_an_error() -> None:
    session = TLSSession(server_context())
    session.feed(b"")
    with pytest.raises(TLSError, match="ended during"):
        session.handshake()


def test_plain_text_instead_of_tls_is_an_error() -> None:
    session = TLSSession(server_context())
    session.feed(b"EHLO client.example\r\n")
    with pytest.raises(TLSError):
        session.handshake()


@given(st.binary(min_size=1, max_size=600))
@settings(max_examples=200)
def test_garbage_raises_nothing_but_its_error(garbage: bytes) -> None:
    session = TLSSession(_CONTEXT)
    for start in (b"", b"\x16\x03\x01\x00\x20"):
        try:
            session.feed(start + garbage)
            session.handshake()
            session.read()
        except TLSError:
            return


_CONTEXT = server_context()


def test_damaged_record_is_an_error_and_sends_an_alert() -> None:
    a, b = connected()
    a.write(b"hello")
    wire = bytearray(a.outgoing())
    wire[-1] ^= 1
    b.feed(bytes(wire))
    with pytest.raises(TLSError):
        b.read()
    assert b.outgoing()


def test_plaintext_before_a_damaged_record_is_given_first() -> None:
    a, b = connected()
    a.write(b"good")
    good = a.outgoing()
    a.write(b"bad")
    bad = bytearray(a.outgoing())
    bad[-1] ^= 1
    b.feed(good + bytes(bad))
    assert b.read() == b"good"
    with pytest.raises(TLSError):
        b.read()


def test_renegotiation_by_a_foreign_client_is_refused() -> None:
    foreign = SSL.Context(SSL.TLS_CLIENT_METHOD)
    foreign.set_max_proto_version(SSL.TLS1_2_VERSION)
    context = ClientContext(verify=False, system_ca=False)
    context.context = foreign
    client = TLSSession.__new__(TLSSession)
    client._connection = SSL.Connection(foreign)
    client._connection.set_connect_state()
    client._established, client._largest, client._may_resume = False, 0, False
    client._verification, client.eof, client.is_server = None, False, False
    server = TLSSession(server_context())
    shake_hands(client, server)
    client._connection.renegotiate()
    with pytest.raises(SSL.WantReadError):
        client._connection.do_handshake()
    server.feed(client.outgoing())
    assert server.read() == b""
    client.feed(server.outgoing())
    with pytest.raises(SSL.Error):
        client._connection.do_handshake()


def test_rest_keeps_the_session_working(client: ClientContext) -> None:
    a, b = connected(client=client)
    for size in (10, 40_000, 1, 100_000):
        a.write(b"x" * size)
        pump(a, b)
        assert len(b.read()) == size
        assert a.read() == b""
        assert a.rest() == b.rest() == b""
        b.write(b"y" * size)
        pump(b, a)
        assert len(a.read()) == size


def test_rest_gives_out_what_was_not_sent() -> None:
    a, b = connected()
    assert a.read() == b.read() == b""
    a.write(b"z" * 5000)
    a._largest = 5000
    b.feed(a.rest())
    assert b.read() == b"z" * 5000


def test_rest_in_the_middle_of_a_record() -> None:
    a, b = connected()
    a.write(b"z" * 5000)
    wire = a.outgoing()
    b.feed(wire[:3000])
    assert b.read() == b""
    b.rest()
    b.feed(wire[3000:])
    assert b.read() == b"z" * 5000


def test_write_of_nothing_sends_nothing() -> None:
    a, _ = connected()
    a.write(b"")
    assert a.outgoing() == b""


def test_client_certificate_is_asked_for_and_not_verified() -> None:
    context = server_context(ServerOptions(request_client_certificate=True))
    mine = identity("someone", key=rsa_key())
    _, server = connected(context, ClientContext(verify=False, system_ca=False, identity=mine))
    assert isinstance(server, TLSSession)
    (cert,) = server.peer_chain()
    assert cert.public_key() == rsa_key().public_key()


def test_client_certificate_may_be_missing(client: ClientContext) -> None:
    _, server = connected(server_context(ServerOptions(request_client_certificate=True)), client)
    assert isinstance(server, TLSSession)
    assert server.peer_chain() == ()


def test_client_certificate_is_not_asked_for_by_default() -> None:
    theirs = ClientContext(verify=False, system_ca=False, identity=identity("someone"))
    _, server = connected(server_context(FULL), theirs)
    assert isinstance(server, TLSSession)
    assert server.peer_chain() == ()


def test_peer_chain_starts_with_the_server_and_has_all() -> None:
    context = ServerContext([identity("mail.example", signed=True)], ServerOptions())
    client, _ = connected(context)
    chain = client.peer_chain()
    assert len(chain) == 2
    assert chain[0].issuer == chain[1].subject
