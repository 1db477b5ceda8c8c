from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat
from OpenSSL import SSL

from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import MinVersion, ServerContext, ServerOptions
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlsio.identity import Identity
from tests.tlsio.identities import authority, ec_key, identity, pem_of, rsa_key
from tests.tlsio.pairs import FULL, LIGHT, connected


def leaf_name(context: ServerContext, name: str, client: ClientContext | None = None) -> str:
    session, _ = connected(context, client, name)
    return session.peer_chain()[0].subject.rfc4514_string().removeprefix("CN=")


IDENTITIES = [
    identity("first.example"),
    identity("second.example", "also.example"),
    identity("*.wild.example", "wild.example"),
]
SITES = [ServerContext(IDENTITIES, options) for options in (FULL, LIGHT)]
ENGINES = pytest.mark.parametrize("engine", [FULL, LIGHT], ids=["full", "light"])


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("first.example", "first.example"),
        ("second.example", "second.example"),
        ("also.example", "second.example"),
        ("SECOND.Example", "second.example"),
        ("a.wild.example", "*.wild.example"),
        ("a.b.wild.example", "first.example"),
        ("unknown.example", "first.example"),
        ("127.0.0.1", "first.example"),
    ],
)
def test_server_name_chooses_the_certificate(asked: str, given: str) -> None:
    assert [leaf_name(site, asked) for site in SITES] == [given, given]


def only_signatures(ciphers: bytes) -> ClientContext:
    client = ClientContext(verify=False, system_ca=False)
    client.context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client.context.set_cipher_list(ciphers)
    return client


@ENGINES
@pytest.mark.parametrize("rsa_first", [True, False])
def test_ecdsa_is_preferred_and_rsa_is_there_for_old_clients(
    engine: ServerOptions, rsa_first: bool
) -> None:
    pair = [identity("m.example", key=rsa_key(), signed=True), identity("m.example")]
    context = ServerContext(pair if rsa_first else pair[::-1], engine)
    both, _ = connected(context)
    assert both.peer_chain()[0].public_key() == ec_key().public_key()
    assert len(both.peer_chain()) == 1
    old, _ = connected(context, only_signatures(b"ECDHE-RSA-AES128-GCM-SHA256"))
    assert old.peer_chain()[0].public_key() == rsa_key().public_key()
    assert len(old.peer_chain()) == 2


@ENGINES
@pytest.mark.parametrize(
    ("key", "form"),
    [
        (ec_key(), PrivateFormat.PKCS8),
        (ec_key(), PrivateFormat.TraditionalOpenSSL),
        (rsa_key(), PrivateFormat.TraditionalOpenSSL),
    ],
)
def test_key_forms_are_accepted(key, form, engine) -> None:
    chain = identity("mail.example", key=key).chain_pem
    connected(ServerContext([Identity(chain, pem_of(key, form))], engine))


@pytest.mark.parametrize(
    "broken",
    [
        Identity(b"", b""),
        Identity(b"no certificate", pem_of(ec_key())),
        Identity(identity("mail.example").chain_pem, b"no key"),
        Identity(identity("mail.example").chain_pem, pem_of(rsa_key())),
        Identity(identity("mail.example").chain_pem, pem_of(ec_key(1))),
    ],
)
def test_what_does_not_fit_is_a_config_error(broken: Identity) -> None:
    with pytest.raises(TLSConfigError):
        ServerContext([broken], ServerOptions())


def test_no_identity_is_a_config_error() -> None:
    with pytest.raises(TLSConfigError):
        ServerContext([], ServerOptions())


def test_min_version_refuses_older_clients() -> None:
    context = ServerContext([identity("m.example")], ServerOptions(min_version=MinVersion.TLS13))
    with pytest.raises(TLSError):
        connected(context, only_signatures(b"ECDHE-ECDSA-AES128-GCM-SHA256"))


def test_old_versions_can_be_allowed() -> None:
    context = ServerContext([identity("m.example")], ServerOptions(min_version=MinVersion.TLS10))
    client = ClientContext(verify=False, system_ca=False, min_version=MinVersion.TLS10)
    client.context.set_max_proto_version(SSL.TLS1_VERSION)
    session, _ = connected(context, client)
    assert session.info().version == "TLSv1"


@ENGINES
@pytest.mark.parametrize(
    ("offered", "chosen"), [(("imap",), "imap"), (("x", "imap", "y"), "imap"), ((), "")]
)
def test_alpn_in_common_is_chosen(
    offered: tuple[str, ...], chosen: str, engine: ServerOptions
) -> None:
    context = ServerContext([identity("m.example")], replace(engine, alpn=("imap",)))
    client = ClientContext(verify=False, system_ca=False, alpn=offered)
    session, server = connected(context, client)
    assert session.info().alpn == server.info().alpn == chosen


@ENGINES
def test_alpn_of_another_protocol_is_refused(engine: ServerOptions) -> None:
    context = ServerContext([identity("m.example")], replace(engine, alpn=("imap",)))
    with pytest.raises(TLSError):
        connected(context, ClientContext(verify=False, system_ca=False, alpn=("h2", "http/1.1")))


def test_alpn_is_ignored_by_default() -> None:
    client = ClientContext(verify=False, system_ca=False, alpn=("h2",))
    session, _ = connected(client=client)
    assert session.info().alpn == ""


@ENGINES
def test_alpn_holds_for_certificates_chosen_by_name(engine: ServerOptions) -> None:
    identities = [identity("first.example"), identity("second.example")]
    context = ServerContext(identities, replace(engine, alpn=("smtp",)))
    client = ClientContext(verify=False, system_ca=False, alpn=("smtp",))
    session, _ = connected(context, client, "second.example")
    assert session.info().alpn == "smtp"


def test_authority_pem_alone_is_no_identity() -> None:
    with pytest.raises(TLSConfigError):
        ServerContext([Identity(authority().pem, pem_of(ec_key()))], ServerOptions())
