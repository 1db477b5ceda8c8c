"""What is found out about a message: who vouches for its author, whom it names, what is kept."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mox.delivery.facts import origin_of
from mox.mailauth.results import Authentication
from mox.networks import network_keys
from tests.delivery.cases import CLIENT, MESSAGE, facts, path
from tests.delivery.results import authentication

RECIPIENT = path("mjl@example.org")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (authentication(), "strict"),
        (authentication(spf="none", dkim=("sender.example",)), "strict"),
        (authentication(spf="none", dkim=("other.example", "sender.example")), "strict"),
        (authentication(spf_domain="sender.example", helo=True), "strict"),
        (authentication(spf_domain="mail.sender.example"), "relaxed"),
        (authentication(spf_domain="mail.sender.example", dmarc="pass"), "dmarc"),
        (authentication(dmarc="pass"), "strict"),
        (authentication(spf="softfail"), "none"),
        (authentication(spf_domain="other.example", dmarc="pass"), "none"),
        (authentication(spf="none", dmarc="fail"), "none"),
    ],
)
def test_what_ties_the_author_to_the_sender(found: Authentication, expected: str) -> None:
    assert facts(found=found).validation == expected


def test_without_author_nothing_is_tied() -> None:
    assert facts(b"Subject: x\n\n").validation == "none"


def test_our_own_users_are_proven() -> None:
    assert facts(is_ours=True).validation == "strict"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"To: mjl@example.org\n", True),
        (b"To: x@example.org, M <mjl@Example.org>\n", True),
        (b"Cc: team: mjl@example.org;\n", True),
        (b"To: x@example.org\nTo: mjl@example.org\n", True),
        (b"Bcc: mjl@example.org\n", False),
        (b"To: MJL@example.org\n", False),
        (b"To: mjl@example.net\n", False),
        (b"To: mjl@example.org.evil.example\n", False),
        (b"Subject: mjl@example.org\n", False),
        (b"X: y\n" + b"To: mjl@example.net\n" * 20 + b"To: mjl@example.org\n", False),
    ],
)
def test_whether_a_recipient_is_named(head: bytes, expected: bool) -> None:
    assert facts(head + b"\n").is_addressed_to(RECIPIENT) is expected


def test_origin_has_what_reputation_needs() -> None:
    message = facts(b"Message-Id: <1@x>\n" + MESSAGE, found=authentication(dkim=("d.example",)))
    origin = origin_of(message, path("MJL@example.org"))
    assert origin.remote_ip == CLIENT
    assert origin.networks == network_keys(ip_address(CLIENT))
    assert (origin.from_localpart, origin.from_domain) == ("a", "sender.example")
    assert origin.from_org_domain == "sender.example"
    assert origin.dkim_domains == ("d.example",)
    assert (origin.mail_from_validated, origin.ehlo_validated) == (True, False)
    assert origin.ehlo_domain == "mta.sender.example"
    assert origin.message_id == "<1@x>"
    assert origin.rcpt_to_localpart == "MJL"


def test_origin_has_names_in_unicode() -> None:
    head = b"From: a@xn--bcher-kva.example\n\n"
    origin = origin_of(facts(head, mail_from="b@xn--bcher-kva.example"), RECIPIENT)
    assert (origin.from_domain, origin.mail_from_domain) == ("bücher.example", "bücher.example")
