from __future__ import annotations

from ipaddress import ip_address

from mox.address import Path, parse_domain
from mox.delivery.facts import MessageFacts
from mox.delivery.headers import Headers
from mox.delivery.steps.case import Decision
from mox.delivery.trace import Trace, reason
from mox.message.trace import Received
from tests.delivery.results import authentication

EXAMPLE = parse_domain("example.org")
RECEIVED = Received(
    helo=parse_domain("mta.example"),
    remote_ip=ip_address("198.51.100.7"),
    hostname=parse_domain("mox.example"),
    local_ip=ip_address("192.0.2.1"),
    protocol="ESMTPS",
    id="nLDpV_E0im9f-53GHgDAOA",
    when=1_795_437_963,
)
NULL = Path("", None)


def decision(name: str, *details: str) -> Decision:
    return Decision(accept=True, mailbox="Inbox", reason=name, details=details)


def trace(*, foreign: bool) -> Trace:
    facts = MessageFacts(
        reverse_path=NULL,
        header_from=None,
        message_id="",
        size=1,
        headers=Headers(b"\n"),
        received=RECEIVED,
        authentication=authentication() if foreign else None,
    )
    return Trace(facts, NULL)


def test_reason_has_a_line_for_each_detail() -> None:
    text = reason(decision("some-reason", "one", "two\r\nX: y", "three"))
    assert text == b"X-Mox-Reason: some-reason;\r\n\tone;\r\n\ttwo X: y;\r\n\tthree;\r\n"
    assert reason(decision("plain")) == b"X-Mox-Reason: plain;\r\n"


def test_reason_is_folded_and_free_of_what_senders_choose() -> None:
    text = reason(decision("r", "words " * 30, "caf\u00e9 \x1b[2J", "x" * 5000, " \t "))
    lines = text.decode("ascii").split("\r\n")
    assert max(map(len, lines)) < 300
    assert "(non-ascii)" in text.decode()
    assert "\x1b" not in text.decode()
    assert all(line.startswith("\t") for line in lines[1:-1])
    assert "caf\u00e9" in reason(decision("r", "caf\u00e9"), smtputf8=True).decode()


def test_prefix_of_mail_of_others_has_the_fields_in_order() -> None:
    text = trace(foreign=True).prefix(decision("plain"), Path("list", EXAMPLE), Path("a", EXAMPLE))
    names = [
        line.partition(b":")[0] for line in text.split(b"\r\n") if line[:1] not in (b"\t", b"")
    ]
    assert names == [
        b"X-Mox-Reason",
        b"Delivered-To",
        b"Return-Path",
        b"Authentication-Results",
        b"Received-SPF",
        b"Received",
    ]
    assert b"Delivered-To: a@example.org\r\nReturn-Path: <>\r\n" in text
    assert b"Received: from mta.example (host.example [198.51.100.7])" in text
    assert b"<list@example.org>" in text
    assert text.endswith(b"\r\n")


def test_prefix_of_our_own_mail_claims_no_checks() -> None:
    text = trace(foreign=False).prefix(decision("local"), Path("a", EXAMPLE), Path("a", EXAMPLE))
    assert b"Authentication-Results" not in text
    assert b"Received-SPF" not in text


def test_overrides_are_told_to_each_recipient_apart() -> None:
    both = trace(foreign=True)
    path = Path("a", EXAMPLE)
    listed = Decision(accept=True, mailbox="I", reason="list-allow", overrides=("mailing_list",))
    assert b"override mailing_list" in both.prefix(listed, path, path)
    assert b"override" not in both.prefix(decision("plain"), path, path)
