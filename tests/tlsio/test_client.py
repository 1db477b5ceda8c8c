from __future__ import annotations

from pathlib import Path

import pytest

from mox.tlsio.client import ClientContext, VerifyFailure
from mox.tlsio.contexts import ServerContext, ServerOptions
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlsio.identity import Identity
from tests.tlsio.identities import authority, identity
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
