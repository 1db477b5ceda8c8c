from __future__ import annotations

import pytest

from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import ServerOptions
from mox.tlsio.errors import TLSError
from mox.tlsio.light import LightSession
from mox.tlsio.server import Opening
from mox.tlsio.session import TLSSession
from tests.tlsio.pairs import LIGHT, connected, server_context
from tests.tlsio.test_session import tls12


def client() -> ClientContext:
    return ClientContext(verify=False, system_ca=False)


@pytest.mark.parametrize(
    ("options", "client", "engine"),
    [
        (LIGHT, client(), LightSession),
        (LIGHT, tls12(), TLSSession),
        (ServerOptions(), client(), TLSSession),
        (ServerOptions(channel_bindings=False, session_tickets=True), client(), TLSSession),
        (
            ServerOptions(channel_bindings=False, request_client_certificate=True),
            client(),
            TLSSession,
        ),
    ],
)
def test_the_lightest_engine_that_can_is_taken(
    options: ServerOptions, client: ClientContext, engine: type
) -> None:
    _, server = connected(server_context(options), client)
    assert type(server) is engine


def test_light_sessions_have_no_channel_binding() -> None:
    _, server = connected(server_context(LIGHT), client())
    assert server.channel_binding("tls-exporter") is None


@pytest.mark.parametrize("options", [LIGHT, ServerOptions()])
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01", b"EHLO client.example\r\n"])
def test_a_beginning_that_is_none_is_an_error(options: ServerOptions, said: bytes) -> None:
    opening = Opening(server_context(options))
    session = (opening.feed(said) if said else None) or opening.feed(b"")
    assert session is not None
    with pytest.raises(TLSError):
        session.handshake()


def test_large_writes_of_light_sessions_keep_their_order() -> None:
    a, server = connected(server_context(LIGHT), client())
    for part in (b"first", b"second" * 5000, b"", memoryview(b"third")):
        server.write(part)
    a.feed(server.outgoing())
    assert a.read() == b"first" + b"second" * 5000 + b"third"
    assert server.outgoing() == b""
