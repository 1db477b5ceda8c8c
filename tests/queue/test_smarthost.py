"""Transports to one server: TLS that must be right, logins, extensions that must be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.queue.peer import EXTENSIONS, Peer
from tests.queue.site import Site
from tests.tlsio.identities import authority, identity

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]

NAMES = {("relay.example", "A"): ("127.0.0.1",)}
CA = "TLS:\n\tCA:\n\t\tCertFiles:\n\t\t\t- ca.pem\n"


@pytest.fixture
def relay(make_site: MakeSite, tmp_path: Path) -> Callable[..., Site]:
    """A site whose mail all goes to a peer by a transport of a kind with these settings."""

    def make(peer: Peer, kind: str = "SMTP", *settings: str, **options: object) -> Site:
        (tmp_path / "ca.pem").write_bytes(authority().pem)
        lines = ["Transports:", "\trelay:", f"\t\t{kind}:"]
        lines += [f"\t\t\t{line}" for line in ("Host: relay.example", f"Port: {peer.port}")]
        lines += [f"\t\t\t{line}" for line in settings]
        return make_site(
            names=NAMES,
            static="\n".join([*lines, CA]),
            dynamic="Routes:\n\t-\n\t\tTransport: relay\n",
            **options,
        )

    return make


def attempt(site: Site, *recipients: str, **changes: object) -> None:
    site.submit(*(recipients or ("you@there.example",)), **changes)
    site.start()
    site.until_attempted()


def error(site: Site) -> str:
    [msg] = site.queued()
    return msg.results[-1].error


def genuine() -> object:
    return identity("relay.example", signed=True)


def test_all_domains_go_over_the_same_connections(
    relay: Callable[..., Site], make_peer: MakePeer
) -> None:
    peer = make_peer()
    site = relay(peer, "SMTP", "NoSTARTTLS: true")
    for number in range(40):
        site.submit(f"you@d{number}.example")
    site.start()
    site.until_empty()
    assert len(peer.mails) == 40
    assert peer.most_open <= 20
    assert len(site.names.queries) <= 2 * peer.sessions


def test_tls_at_once(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(identity=genuine(), implicit_tls=True)
    site = relay(peer, "Submissions")
    attempt(site)
    assert peer.mails
    assert peer.commands("STARTTLS") == []


@pytest.mark.parametrize("kind", ["Submission", "SMTP"])
def test_starttls(relay: Callable[..., Site], make_peer: MakePeer, kind: str) -> None:
    peer = make_peer(identity=genuine())
    attempt(relay(peer, kind))
    assert peer.handshakes == 1
    assert peer.mails


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("flaw", ["name", "authority", "expired"])
def test_certificate_must_be_right(
    relay: Callable[..., Site], make_peer: MakePeer, implicit: bool, flaw: str
) -> None:
    wrong = {
        "name": identity("other.example", signed=True),
        "authority": identity("relay.example"),
        "expired": identity("relay.example", signed=True, expired=True),
    }[flaw]
    peer = make_peer(identity=wrong, implicit_tls=implicit)
    site = relay(peer, "Submissions" if implicit else "Submission")
    attempt(site)
    assert "TLS" in error(site)
    assert peer.commands("MAIL") == []


def test_missing_tls_is_no_reason_to_send_in_clear(
    relay: Callable[..., Site], make_peer: MakePeer
) -> None:
    peer = make_peer(script={"STARTTLS": ["502 5.5.1 what?"]})
    site = relay(peer, "SMTP")
    attempt(site)
    assert "502" in error(site)
    assert peer.sessions == 1
    assert peer.commands("MAIL") == []


def test_certificate_can_be_left_unchecked(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(identity=identity("other.example"))
    attempt(relay(peer, "SMTP", "STARTTLSInsecureSkipVerify: true"))
    assert peer.mails


def test_tls_can_be_off(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(identity=genuine())
    attempt(relay(peer, "SMTP", "NoSTARTTLS: true"))
    assert peer.handshakes == 0
    assert peer.mails


AUTH = ("NoSTARTTLS: true", "Auth:", "\tUsername: me", "\tPassword: secret")
PLAIN = (*AUTH, "\tMechanisms:", "\t\t- PLAIN")


def test_login_comes_before_mail(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(extensions=(*EXTENSIONS, "AUTH PLAIN"), script={"AUTH": ["235 2.7.0 welcome"]})
    attempt(relay(peer, "SMTP", *PLAIN))
    assert peer.mails
    assert peer.lines[1] == "AUTH PLAIN AG1lAHNlY3JldA=="


@pytest.mark.parametrize(
    ("settings", "announced", "reply", "expected"),
    [
        (PLAIN, "AUTH PLAIN", "535 5.7.8 wrong", "535 5.7.8 wrong"),
        # Only when listed: it gives the password away.
        (AUTH, "AUTH PLAIN", "235 2.7.0 welcome", "none of our authentication mechanisms"),
        (PLAIN, "SIZE", "235 2.7.0 welcome", "none of our authentication mechanisms"),
    ],
)
def test_failed_login_is_temporary(
    relay: Callable[..., Site],
    make_peer: MakePeer,
    settings: tuple[str, ...],
    announced: str,
    reply: str,
    expected: str,
) -> None:
    peer = make_peer(extensions=("ENHANCEDSTATUSCODES", announced), script={"AUTH": [reply]})
    site = relay(peer, "SMTP", *settings)
    attempt(site)
    assert expected in error(site)
    assert peer.commands("MAIL") == []


def test_requiretls_needs_verified_tls(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(identity=genuine())
    site = relay(peer, "SMTP", "STARTTLSInsecureSkipVerify: true")
    attempt(site, require_tls=True)
    site.until_empty()
    assert site.retired()[0].results[-1].secode == "7.30"
    assert peer.sessions == 0


@pytest.mark.parametrize("announced", [True, False])
def test_requiretls_is_handed_on(
    relay: Callable[..., Site], make_peer: MakePeer, announced: bool
) -> None:
    extensions = (*EXTENSIONS, "REQUIRETLS") if announced else EXTENSIONS
    peer = make_peer(identity=genuine(), extensions=extensions)
    site = relay(peer, "Submission")
    attempt(site, require_tls=True)
    if announced:
        assert peer.commands("MAIL")[0].endswith(" REQUIRETLS")
    else:
        assert site.queued()[0].results[-1].secode == "7.30"


def test_eight_bit_needs_8bitmime(relay: Callable[..., Site], make_peer: MakePeer) -> None:
    peer = make_peer(extensions=())
    site = relay(peer, "SMTP", "NoSTARTTLS: true")
    attempt(site, has_8bit=True)
    site.until_empty()
    assert site.retired()[0].results[-1].secode == "6.3"


def test_local_recipients_take_the_route_that_is_theirs(
    relay: Callable[..., Site], make_peer: MakePeer
) -> None:
    peer = make_peer()
    site = relay(peer, "SMTP", "NoSTARTTLS: true")
    attempt(site, "second@example.org")
    assert peer.mails[0].recipients == ["second@example.org"]
