"""Submission with the key of a TLS client certificate instead of a password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mox.store.tlskeys import TlsKey, add_key
from tests.smtpd.harness import Client, Site, unverified
from tests.tlsio.identities import identity

PEM = identity("client.example").chain_pem


def register(site: Site) -> None:
    der = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)
    key = TlsKey(
        account="mjl", login_address="mjl@example.org", name="", created=0, certificate=der
    )
    add_key(site.ctx.store, key)


def with_certificate(site: Site, directory: Path) -> Client:
    own = identity("client.example")
    for name, pem in (("client.pem", own.chain_pem), ("client.key", own.key_pem)):
        (directory / name).write_bytes(pem)
    client = site.connect("submission")
    client.say("EHLO laptop")
    client.say("STARTTLS")
    context = unverified()
    context.load_cert_chain(directory / "client.pem", directory / "client.key")
    client.sock = context.wrap_socket(client.sock)
    return client


def test_a_known_key_sends_mail(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(tls=True)
    site.ctx.store.account("mjl")
    register(site)
    client = with_certificate(site, tmp_path)
    assert "AUTH EXTERNAL " in client.say("EHLO laptop")[1]
    assert client.say("AUTH EXTERNAL =")[0] == 235
    assert client.say("MAIL FROM:<mjl@example.org>")[0] == 250


def test_without_a_certificate_it_is_not_offered(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)
    site.ctx.store.account("mjl")
    register(site)
    client = site.connect("submissions")
    assert "EXTERNAL" not in client.say("EHLO laptop")[1]
    assert client.say("AUTH EXTERNAL =")[0] >= 500


def test_an_unknown_key_is_not_offered_it(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(tls=True)
    client = with_certificate(site, tmp_path)
    assert "EXTERNAL" not in client.say("EHLO laptop")[1]
