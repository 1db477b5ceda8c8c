"""Logging in with the key of a TLS client certificate: AUTH=EXTERNAL and PREAUTH."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mox.store.errors import StoreError
from mox.store.tlskeys import TlsKey, add_key, all_keys, fingerprint, remove_key
from mox.tlsio.light import LightSession
from mox.tlsio.session import TLSSession
from tests.imapd.harness import PASSWORD, Client, Literal, Site, unverified
from tests.tlsio.identities import identity

Make = Callable[..., Site]


def der() -> bytes:
    pem = identity("client.example").chain_pem
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def register(site: Site, account: str = "mjl", *, no_preauth: bool = False) -> str:
    key = TlsKey(
        account=account,
        login_address=f"{account}@example.org",
        name="laptop",
        created=1_800_000_000,
        no_preauth=no_preauth,
        certificate=der(),
    )
    return add_key(site.ctx.store, key)


def context(directory: Path) -> ssl.SSLContext:
    """What a client with the certificate of `der` does TLS with."""
    own = identity("client.example")
    for name, pem in (("client.pem", own.chain_pem), ("client.key", own.key_pem)):
        (directory / name).write_bytes(pem)
    made = unverified()
    made.load_cert_chain(directory / "client.pem", directory / "client.key")
    return made


class Certified(Client):
    """A client that shows its certificate."""

    def __init__(self, port: int, directory: Path, *, implicit: bool) -> None:
        self._context = context(directory)
        self._implicit = implicit
        super().__init__(port, tls=False)

    def line(self) -> str:
        if self._implicit:
            self._implicit = False
            self.sock = self._context.wrap_socket(self.sock)
        return super().line()

    def starttls(self) -> None:
        self.ok("starttls")
        self.sock = self._context.wrap_socket(self.sock)


@pytest.fixture
def connect(make_site: Make, tmp_path: Path) -> Callable[..., Certified]:
    def make(site: Site, service: str = "imaps") -> Certified:
        client = Certified(site.port(service), tmp_path, implicit=service == "imaps")
        site._clients.append(client)
        return client

    return make


def test_a_known_key_is_logged_in_at_once(make_site: Make, connect: Callable[..., Client]) -> None:
    site = make_site(tls=True)
    register(site)
    client = connect(site)
    assert client.greeting.startswith("* PREAUTH [CAPABILITY IMAP4rev2 ")
    assert "NAMESPACE" in client.greeting
    client.ok("select inbox")
    assert client.ok("getacl inbox") == ["* ACL INBOX mjl@example.org lrswipkxtecda"]


def test_external_with_and_without_a_name(make_site: Make, connect: Callable[..., Client]) -> None:
    site = make_site(tls=True)
    register(site, no_preauth=True)
    client = connect(site)
    assert client.greeting.startswith("* OK ")
    assert " AUTH=EXTERNAL " in client.greeting
    # RFC 4422 appendix A: an empty response stands for who the certificate says.
    client.ok("authenticate external =")
    client.ok("unauthenticate")
    name = b64encode(b"mjl@example.org").decode()
    client.ok(f"authenticate external {name}")
    client.ok("select inbox")


def test_another_account_is_refused(make_site: Make, connect: Callable[..., Client]) -> None:
    site = make_site(tls=True)
    register(site, no_preauth=True)
    client = connect(site)
    other = b64encode(b"small@example.org").decode()
    assert client.no(f"authenticate external {other}").startswith("[A")
    # Nor by password: the certificate has said who the client is.
    assert client.command("login small@example.org", Literal(PASSWORD)).status == "NO"
    client.ok("login mjl@example.org", Literal(PASSWORD))


def test_after_starttls(make_site: Make, connect: Callable[..., Certified]) -> None:
    site = make_site(tls=True, plain_login=False)
    register(site)
    client = connect(site, "imap")
    assert "AUTH=EXTERNAL" not in client.greeting
    client.no("authenticate external =")
    client.starttls()
    (line,) = client.ok("capability")
    assert "AUTH=EXTERNAL" in line
    client.ok("authenticate external =")


def test_an_unknown_key_is_no_certificate(
    make_site: Make, connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tls=True)
    monkeypatch.setattr("mox.serving.context.Context.has_tls_keys", True)
    client = connect(site)
    assert client.greeting.startswith("* OK ")
    assert "EXTERNAL" not in client.greeting
    client.no("authenticate external =")
    client.ok("login mjl@example.org", Literal(PASSWORD))


def test_clients_without_certificate_are_served_as_before(make_site: Make) -> None:
    site = make_site(tls=True)
    register(site)
    client = site.connect("imaps")
    assert "EXTERNAL" not in client.greeting
    client.ok("login mjl@example.org", Literal(PASSWORD))


def test_a_removed_key_no_longer_logs_in(make_site: Make, connect: Callable[..., Client]) -> None:
    site = make_site(tls=True)
    known_by = register(site)
    assert connect(site).greeting.startswith("* PREAUTH")
    remove_key(site.ctx.store, known_by)
    assert connect(site).greeting.startswith("* OK")


def test_a_key_of_an_account_that_is_gone(make_site: Make, connect: Callable[..., Client]) -> None:
    site = make_site(tls=True)
    register(site, "nobody")
    assert connect(site).greeting.startswith("* OK")


def test_the_light_engine_serves_while_no_key_is_registered(
    make_site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for certificates costs every connection memory."""
    site = make_site(tls=True)
    engines: list[object] = []
    from mox.imapd import loop

    greet = loop._greet

    def noted(session: object) -> None:
        engines.append(session.conn.session)  # type: ignore[attr-defined]
        greet(session)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_greet", noted)
    site.connect("imaps")
    register(site)
    site.connect("imaps")
    assert [type(engine) for engine in engines] == [LightSession, TLSSession]


def test_keys_are_kept_by_fingerprint(site: Site) -> None:
    known_by = register(site)
    certificate = x509.load_der_x509_certificate(der())
    assert known_by == fingerprint(certificate)
    assert len(known_by) == 43
    assert all_keys(site.ctx.store.dbs)[known_by].name == "laptop"
    with pytest.raises(StoreError, match="registered already"):
        register(site, "small")
    remove_key(site.ctx.store, known_by)
    with pytest.raises(StoreError, match="no key"):
        remove_key(site.ctx.store, known_by)
