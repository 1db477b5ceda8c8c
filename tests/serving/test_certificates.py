from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mox.config.listener import KeyCert, Listener, ListenerSMTP, ListenerTLS
from mox.serving.certificates import Certificates
from mox.tlsio.contexts import MinVersion
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlsio.identity import Identity
from tests.serving.harness import logged
from tests.tlsio.identities import ec_key, identity, pem_of, rsa_key
from tests.tlsio.pairs import connected
from tests.tlsio.test_contexts import only_signatures


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A configuration directory with certificates of listener "public"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.listener = Listener(
            ips=("127.0.0.1",),
            tls=ListenerTLS(key_certs=(KeyCert(cert_file="c.pem", key_file="k.pem"),)),
        )

    def write(self, made: Identity) -> None:
        (self.path / "c.pem").write_bytes(made.chain_pem)
        (self.path / "k.pem").write_bytes(made.key_pem)

    def load(self) -> Certificates:
        static = SimpleNamespace(
            listeners={"public": self.listener, "plain": Listener(ips=("127.0.0.1",))},
            hostname="mail.example",
        )
        config = SimpleNamespace(static=static, dir=self.path, data_dir=self.path / "data")
        return Certificates.load(config, self.clock)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def shown(certificates: Certificates, service: str = "imaps", name: str = "mail.example") -> str:
    context = certificates.server_context("public", service)
    assert context is not None
    client, _ = connected(context, name=name)
    return client.peer_chain()[0].subject.rfc4514_string().removeprefix("CN=")


def test_listeners_get_their_certificates(place: Place) -> None:
    place.write(identity("mail.example"))
    certificates = place.load()
    for service in ("smtp", "submission", "submissions", "imap", "imaps"):
        assert shown(certificates, service) == "mail.example"
    assert certificates.server_context("plain", "smtp") is None
    assert certificates.server_context("unknown", "smtp") is None


def test_files_that_cannot_be_used_stop_the_start(place: Place) -> None:
    with pytest.raises(TLSConfigError, match=r"listener public.*c\.pem"):
        place.load()
    place.write(Identity(identity("mail.example").chain_pem, pem_of(rsa_key())))
    with pytest.raises(TLSConfigError, match="listener public"):
        place.load()


def test_changed_files_are_loaded_after_a_while(place: Place) -> None:
    place.write(identity("old.example"))
    certificates = place.load()
    assert shown(certificates) == "old.example"
    place.write(identity("new.example", key=ec_key(1)))
    assert shown(certificates) == "old.example"
    place.clock.now += 10
    assert shown(certificates) == "new.example"
    first = certificates.server_context("public", "imaps")
    place.clock.now += 10
    assert certificates.server_context("public", "imaps") is first


def test_changes_that_do_not_fit_keep_the_old_certificate(place: Place) -> None:
    place.write(identity("old.example"))
    certificates = place.load()
    shown(certificates)
    place.clock.now += 10
    (place.path / "c.pem").write_bytes(identity("new.example", key=ec_key(1)).chain_pem)
    with logged() as log:
        assert shown(certificates) == "old.example"
        place.clock.now += 10
        assert shown(certificates) == "old.example"
    assert len(log.containing("keeping the old certificate")) == 1
    (place.path / "k.pem").write_bytes(pem_of(ec_key(1)))
    place.clock.now += 10
    assert shown(certificates) == "new.example"


def test_a_file_that_vanishes_keeps_the_old_certificate(place: Place) -> None:
    place.write(identity("old.example"))
    certificates = place.load()
    shown(certificates)
    (place.path / "k.pem").unlink()
    place.clock.now += 10
    with logged() as log:
        assert shown(certificates) == "old.example"
    assert log.containing("keeping the old certificate")


def test_services_have_their_options(place: Place) -> None:
    place.listener = Listener(
        ips=("127.0.0.1",),
        tls=ListenerTLS(key_certs=place.listener.tls.key_certs, min_version="TLSv1.3"),
        smtp=ListenerSMTP(enabled=True, tls_session_tickets_disabled=False),
    )
    place.write(identity("mail.example"))
    certificates = place.load()
    options = {
        service: certificates.server_context("public", service).options
        for service in ("smtp", "submission", "submissions", "imap", "imaps")
    }
    assert {o.min_version for o in options.values()} == {MinVersion.TLS13}
    assert [s for s, o in options.items() if o.session_tickets] == ["smtp"]
    assert not any(o.request_client_certificate for o in options.values())
    assert {s: o.alpn for s, o in options.items() if o.alpn} == {
        "submissions": ("smtp",),
        "imaps": ("imap",),
    }


# Certificates that ACME stored.


def store(place: Place, name: str, made: Identity) -> None:
    directory = place.path / "data/acme/keycerts/le"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(made.key_pem + made.chain_pem)


@pytest.fixture
def acme(place: Place) -> Place:
    place.listener = Listener(ips=("127.0.0.1",), tls=ListenerTLS(acme="le"))
    return place


def test_acme_certificates_appear_when_they_come(acme: Place) -> None:
    certificates = acme.load()
    assert certificates.server_context("public", "imaps") is None
    acme.clock.now += 10
    store(acme, "mail.example", identity("mail.example"))
    assert shown(certificates) == "mail.example"
    store(acme, "autoconfig.example", identity("autoconfig.example"))
    acme.clock.now += 10
    assert shown(certificates, name="autoconfig.example") == "autoconfig.example"


def test_acme_host_answers_for_other_names_and_old_clients(acme: Place) -> None:
    store(acme, "a.example", identity("a.example"))
    store(acme, "mail.example", identity("mail.example"))
    store(acme, "mail.example+rsa", identity("mail.example", key=rsa_key()))
    store(acme, "mail.example+token", Identity(b"x", b"y"))
    os.utime(acme.path / "data/acme/keycerts/le/a.example")
    certificates = acme.load()
    assert shown(certificates, name="unknown.example") == "mail.example"
    context = certificates.server_context("public", "smtp")
    assert context is not None
    old, _ = connected(context, only_signatures(b"ECDHE-RSA-AES128-GCM-SHA256"))
    assert old.peer_chain()[0].public_key() == rsa_key().public_key()


def test_session_survives_a_reload(place: Place) -> None:
    place.write(identity("old.example"))
    certificates = place.load()
    context = certificates.server_context("public", "imaps")
    assert context is not None
    client, server = connected(context)
    place.write(identity("new.example", key=ec_key(1)))
    place.clock.now += 10
    shown(certificates)
    del context
    client.write(b"still")
    server.feed(client.outgoing())
    assert server.read() == b"still"
    with pytest.raises(TLSError):
        server.feed(b"garbage garbage")
        server.read()
