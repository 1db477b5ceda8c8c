from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from mox.tlsio.client import ClientContext, VerifyFailure
from mox.tlsio.contexts import ServerContext, ServerOptions
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlsio.identity import Identity
from mox.tlsio.session import TLSSession
from tests.tlsio.identities import authority, ec_key, identity, pem_of
from tests.tlsio.pairs import connected


@pytest.fixture
def authority_file(tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    path.write_bytes(authority().pem)
    return str(path)


CASES: list[tuple[Identity, str, set[VerifyFailure]]] = [
    (identity("mail.example", signed=True), "mail.example", set()),
    (identity("mail.example", signed=True), "MAIL.example.", set()),
    (identity("*.example.org", signed=True), "a.example.org", set()),
    (identity("127.0.0.1", "::1", signed=True), "127.0.0.1", set()),
    (identity("127.0.0.1", "::1", signed=True), "::1", set()),
    (identity("mail.example", signed=True), "other.example", {VerifyFailure.HOST_MISMATCH}),
    (identity("*.example.org", signed=True), "a.b.example.org", {VerifyFailure.HOST_MISMATCH}),
    (identity("*.example.org", signed=True), "example.org", {VerifyFailure.HOST_MISMATCH}),
    (identity("mail.example"), "mail.example", {VerifyFailure.NOT_TRUSTED}),
    (
        identity("mail.example", signed=True, expired=True),
        "mail.example",
        {VerifyFailure.EXPIRED},
    ),
    (
        identity("mail.example"),
        "other.example",
        {VerifyFailure.NOT_TRUSTED, VerifyFailure.HOST_MISMATCH},
    ),
]


@pytest.mark.parametrize(("theirs", "name", "failures"), CASES)
def test_verdict_is_remembered_without_verification(
    authority_file: str, theirs: Identity, name: str, failures: set[VerifyFailure]
) -> None:
    context = ClientContext(verify=False, ca_files=[authority_file], system_ca=False)
    client, server = connected(ServerContext([theirs], ServerOptions()), context, name)
    verdict = client.verification()
    assert verdict is not None
    assert {failure for failure, _ in verdict.failures} == failures
    assert verdict.ok == (not failures)
    assert server.verification() is None


@pytest.mark.parametrize(("theirs", "name", "failures"), CASES)
def test_verification_ends_the_handshake(
    authority_file: str, theirs: Identity, name: str, failures: set[VerifyFailure]
) -> None:
    context = ClientContext(verify=True, ca_files=[authority_file], system_ca=False)
    server = ServerContext([theirs], ServerOptions())
    if not failures:
        connected(server, context, name)
        return
    with pytest.raises(TLSError):
        connected(server, context, name)


def test_system_authorities_do_not_trust_a_test_certificate() -> None:
    context = ClientContext(verify=True)
    with pytest.raises(TLSError, match="certificate"):
        connected(ServerContext([identity("mail.example")], ServerOptions()), context)


def test_authorities_that_do_not_load_are_a_config_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for name in (bad, tmp_path / "missing.pem"):
        with pytest.raises(TLSConfigError, match="pem"):
            ClientContext(verify=True, ca_files=[str(name)])


def test_addresses_are_not_sent_as_server_name() -> None:
    _, server = connected(name="192.0.2.1")
    assert server.info().server_name == ""


def unreadable(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """A certificate (DER) that OpenSSL reads and the library for looking into it does not."""
    key = ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for oid in ("1.2.3.4", "1.2.3.5"):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")
        builder = builder.add_extension(extension, False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert der.count(old) == 1
    return der.replace(old, new), pem_of(key)


# Only the old way gives OpenSSL what the library cannot read.
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL X509 objects:DeprecationWarning")
@pytest.mark.parametrize(
    ("old", "new", "has_chain"),
    [
        (b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04", True),  # an extension twice
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", False),  # a version that is none
    ],
)
def test_certificate_that_cannot_be_read_is_for_nobody(
    old: bytes, new: bytes, has_chain: bool
) -> None:
    der, key = unreadable(old, new)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
    context.use_privatekey(load_pem_private_key(key, None))
    server = SSL.Connection(context)
    server.set_accept_state()
    client = TLSSession(ClientContext(verify=False, system_ca=False), "mail.example")
    while not client.handshake():
        server.bio_write(client.outgoing())
        with contextlib.suppress(SSL.WantReadError):
            server.do_handshake()
        client.feed(server.bio_read(65536))
    verdict = client.verification()
    assert verdict is not None
    assert VerifyFailure.HOST_MISMATCH in {failure for failure, _ in verdict.failures}
    if has_chain:
        assert len(client.peer_chain()) == 1
    else:
        with pytest.raises(TLSError):
            client.peer_chain()
