"""What leaves is signed: submitted messages, and notices about failed recipients."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from prometheus_client import REGISTRY

from mox import logfmt
from mox.address import parse_domain
from mox.mailauth import dkim
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import LONG_BODY_OCTETS, SignedContent
from mox.mailauth.dkimsign import Signer
from mox.web.access import Login
from mox.web.webapi.call import Call, Surroundings
from mox.web.webapi.errors import CallError
from mox.web.webapi.sending import send
from mox.webapi.types import NameAddress, SendRequest
from tests.mailauth.dkimkeys import ED25519, KeyZone, record, rsa_key
from tests.smtpd.harness import Site

MESSAGE = b"From: Me <mjl+tag@example.org>\r\nSubject: hi\r\n\r\nhello\r\n"
DOMAIN = parse_domain("example.org")
NAMES = ("From", "Subject", "Date", "Message-Id", "Authentication-Results")
SIGNERS = (
    Signer(domain=DOMAIN, selector="ed", key=ED25519, names=NAMES),
    Signer(
        domain=DOMAIN,
        selector="rsa",
        key=rsa_key(),
        names=NAMES,
        header=Canonicalization.RELAXED,
        body=Canonicalization.RELAXED,
        expires_after_s=3600,
    ),
)
ZONE = {
    "ed._domainkey.example.org": record(ED25519),
    "rsa._domainkey.example.org": record(rsa_key()),
}


def results_of(wire: bytes) -> list[tuple[str, str, str]]:
    content = SignedContent(wire, wire=True)
    results = dkim.verify(KeyZone(ZONE), content, time.time())
    return [(r.status, r.selector, r.auid) for r in results]


def test_submitted_message_has_a_signature_of_each_selector(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(signers={"example.org": SIGNERS})
    site.set_password()
    client = site.logged_in()
    client.envelope("mjl@example.org", "a@remote.example", "b@remote.example")
    assert client.data(MESSAGE)[0] == 250
    for queued in site.queued():
        wire = site.outgoing.wire(queued)
        assert results_of(wire) == [
            ("pass", "ed", "mjl@example.org"),
            ("pass", "rsa", "mjl@example.org"),
        ]
    names = [line.partition(b":")[0] for line in wire.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    assert [name.decode() for name in names if not name.startswith((b" ", b"\t"))] == [
        "Received",
        "Message-Id",
        "Date",
        "DKIM-Signature",
        "DKIM-Signature",
        "Authentication-Results",
        "From",
        "Subject",
    ]


def test_long_message_is_signed_as_well(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"example.org": SIGNERS})
    site.set_password()
    for size in (LONG_BODY_OCTETS, 5 * LONG_BODY_OCTETS):
        client = site.logged_in()
        client.envelope("mjl@example.org", "a@remote.example")
        assert client.data(MESSAGE + b"line  of text \r\n" * (size // 16))[0] == 250
        wire = site.outgoing.wire(site.queued()[-1])
        assert [status for status, _, _ in results_of(wire)] == ["pass", "pass"]


def test_signature_of_a_held_message_is_valid_when_it_is_sent(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(signers={"example.org": SIGNERS[1:]})
    site.set_password()
    client = site.logged_in()
    assert client.say("MAIL FROM:<mjl@example.org> HOLDFOR=864000")[0] == 250
    assert client.say("RCPT TO:<a@remote.example>")[0] == 250
    assert client.data(MESSAGE)[0] == 250
    content = SignedContent(site.outgoing.wire(site.queued()[0]), wire=True)
    for days, status in ((0, "pass"), (10, "pass"), (11, "permerror")):
        [result] = dkim.verify(KeyZone(ZONE), content, time.time() + days * 86400)
        assert result.status == status


def test_domain_without_keys_sends_unsigned(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"other.example": SIGNERS})
    site.set_password()
    client = site.logged_in()
    client.envelope("mjl@example.org", "a@remote.example")
    assert client.data(MESSAGE)[0] == 250
    assert results_of(site.outgoing.wire(site.queued()[0])) == []


def test_notice_about_failed_recipients_is_signed(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"example.org": SIGNERS})
    client = site.connect()
    client.envelope("a@remote.example", "nobody@example.org", "mjl@example.org")
    assert client.data(b"From: a@remote.example\r\n\r\nhello\r\n")[0] == 250
    [bounce] = site.queued()
    assert results_of(site.outgoing.wire(bounce)) == [
        ("pass", "ed", "postmaster@example.org"),
        ("pass", "rsa", "postmaster@example.org"),
    ]
    assert bounce.dsn_utf8 == b""


def test_both_forms_of_a_notice_are_signed(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"example.org": SIGNERS[:1]})
    client = site.connect()
    assert client.say("MAIL FROM:<a@remote.example> SMTPUTF8 BODY=8BITMIME")[0] == 250
    for recipient in ("nöbody@example.org", "mjl@example.org"):
        assert client.say(f"RCPT TO:<{recipient}>")[0] == 250
    assert client.data(b"From: a@remote.example\r\n\r\nhello\r\n")[0] == 250
    [bounce] = site.queued()
    for wire in (site.outgoing.wire(bounce), bounce.dsn_utf8):
        assert results_of(wire) == [("pass", "ed", "postmaster@example.org")]
    assert "nöbody@example.org" in bounce.dsn_utf8.decode()


def test_signature_of_a_sealed_message_covers_fields_we_added(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(signers={"example.org": (replace(SIGNERS[0], seals=True),)})
    site.set_password()
    client = site.logged_in()
    client.envelope("mjl@example.org", "a@remote.example")
    assert client.data(MESSAGE)[0] == 250
    wire = site.outgoing.wire(site.queued()[0])
    date = wire[wire.index(b"\r\nDate: ") + 2 :].partition(b"\r\n")[0]
    changed = wire.replace(date, b"Date: Thu, 01 Jan 1970 00:00:00 +0000")
    assert [status for status, _, _ in results_of(changed)] == ["fail"]


# ---- keys that do not sign


class Unwilling:
    """A key that has been loaded, and that a policy of the system forbids to use."""

    def sign(self, *_: object) -> bytes:
        raise UnsupportedAlgorithm("forbidden")


UNWILLING = replace(SIGNERS[1], key=Unwilling())  # type: ignore[arg-type]


def errors(package: str) -> float:
    name = f"mox_{package}_errors_total"
    return REGISTRY.get_sample_value(name, {"error": "dkimsign"}) or 0.0


def test_what_cannot_be_signed_is_left_with_the_client(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"example.org": (SIGNERS[0], UNWILLING)})
    site.set_password()
    client = site.logged_in()
    before = errors("smtpserver")
    client.envelope("mjl@example.org", "a@remote.example")
    code, text = client.data(MESSAGE)
    assert code == 451
    assert text.startswith("4.3.0 message cannot be signed, try again later")
    assert errors("smtpserver") == before + 1
    assert site.queued() == []
    assert client.say("NOOP")[0] == 250


def test_a_call_of_the_webapi_that_cannot_be_signed_fails(make_site: Callable[..., Site]) -> None:
    site = make_site(signers={"example.org": (UNWILLING,)})
    listener = SimpleNamespace(listener="local", cid=1, tls=None, log=logfmt.logger("webapi"))
    call = Call(
        surroundings=Surroundings(site.ctx),
        config=site.config,
        login=Login(site.ctx.store.account("mjl").id, "mjl", "mjl@example.org"),
        http=listener,  # type: ignore[arg-type]
    )
    before = errors("webapi")
    request = SendRequest(to=(NameAddress("", "a@remote.example"),), text="hi")
    with pytest.raises(CallError, match="cannot be signed") as caught:
        send(call, request)
    assert caught.value.code == "server"
    assert errors("webapi") == before + 1
    assert site.queued() == []


def test_delivered_mail_stays_so_when_its_notice_cannot_be_signed(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(signers={"example.org": (UNWILLING,)})
    client = site.connect()
    before = errors("smtpserver")
    client.envelope("a@remote.example", "nobody@example.org", "mjl@example.org")
    assert client.data(b"From: a@remote.example\r\n\r\nhello\r\n")[0] == 250
    assert len(site.messages()) == 1
    assert errors("smtpserver") == before + 1
    assert site.queued() == []
