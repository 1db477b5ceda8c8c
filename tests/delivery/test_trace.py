from __future__ import annotations

from ipaddress import ip_address

from mox.address import Path, parse_domain
from mox.delivery.decision import Decision
from mox.delivery.trace import reason, stored_prefix
from mox.message.trace import Received

EXAMPLE = parse_domain("example.org")
FACTS = Received(
    helo=parse_domain("mta.example"),
    remote_ip=ip_address("198.51.100.7"),
    hostname=parse_domain("mox.example"),
    local_ip=ip_address("192.0.2.1"),
    protocol="ESMTPS",
    id="nLDpV_E0im9f-53GHgDAOA",
    when=1_795_437_963,
)


def test_reason_has_a_line_for_each_detail() -> None:
    decision = Decision(True, "Inbox", "some-reason", ("one", "two\r\nX: y", "three"))
    assert reason(decision) == (b"X-Mox-Reason: some-reason; one;\r\n\ttwo??X: y;\r\n\tthree;\r\n")
    assert reason(Decision(True, "Inbox", "plain")) == b"X-Mox-Reason: plain;\r\n"


def test_stored_prefix_has_the_fields_in_order() -> None:
    path, member = Path("list", EXAMPLE), Path("a", EXAMPLE)
    decision = Decision(True, "Inbox", "plain")
    text = stored_prefix(FACTS, decision, Path("", None), path, member)
    assert text.startswith(
        b"X-Mox-Reason: plain;\r\n"
        b"Delivered-To: a@example.org\r\n"
        b"Return-Path: <>\r\n"
        b"Received: from mta.example"
    )
    assert b"<list@example.org>" in text
    assert text.endswith(b"\r\n")
