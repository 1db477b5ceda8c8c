from __future__ import annotations

import email
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from mox.address import parse_address, parse_domain
from mox.message import Section, decoded, index_facts, parse, section
from mox.message.dsn import Action, Dsn, Recipient, compose

NOW = 1795438739  # 23 Nov 2026 12:58:59

RECIPIENT = Recipient(
    address=parse_address("a@retry.example"),
    action=Action.DELAYED,
    status="4.7.0",
    status_comment="later please, transient",
    error="later please",
    remote_mta=parse_domain("mx.retry.example"),
    remote_ip=IPv4Address("192.0.2.7"),
    reply=("450-4.7.0 later", "450 4.7.0 please"),
    last_attempt=NOW,
    next_attempts=(NOW + 7200, NOW + 21600),
    will_retry_until=NOW + 21600,
)
DSN = Dsn(
    mail_from=parse_address("postmaster@mox.example"),
    mail_to=parse_address("mjl+fromid@mox.example"),
    subject="mail delivery delayed",
    message_id="random@mox.example",
    date=NOW,
    references="orig@mox.example",
    reporting_mta=parse_domain("mox.example"),
    arrival=NOW - 3,
    recipients=(RECIPIENT,),
    original_header=b"Subject: hi\r\nFrom: mjl@mox.example\r\n\r\n",
)


def part(data: bytes, number: int) -> str:
    found = section(data, parse(data), Section((number,)), wire=True)
    assert found is not None
    return found.decode().replace("\r\n\t", " ")


def test_delay_notification() -> None:
    data = compose(DSN)
    facts = index_facts(data, wire=True)
    assert facts.is_dsn and facts.malformed == "" and not facts.has_8bit
    assert facts.subject == "mail delivery delayed"
    assert facts.references == ("orig@mox.example",)
    assert part(data, 2) == (
        "Reporting-MTA: dns; mox.example\r\n"
        "Arrival-Date: 23 Nov 2026 12:58:56 +0000\r\n"
        "\r\n"
        "Final-Recipient: rfc822;a@retry.example\r\n"
        "Action: delayed\r\n"
        "Status: 4.7.0 (later please, transient)\r\n"
        "Remote-MTA: dns;mx.retry.example ([192.0.2.7])\r\n"
        "Diagnostic-Code: smtp; 450-4.7.0 later 450 4.7.0 please\r\n"
        "Last-Attempt-Date: 23 Nov 2026 12:58:59 +0000\r\n"
        "Will-Retry-Until: 23 Nov 2026 18:58:59 +0000\r\n"
    )
    text = part(data, 1)
    assert "Recipient: a@retry.example" in text and "Error: later please" in text
    assert "    23 Nov 2026 14:58:59 +0000\r\n    23 Nov 2026 18:58:59 +0000" in text
    assert part(data, 3) == DSN.original_header.decode()


def test_failure_notification_has_no_retry_time() -> None:
    failed = replace(RECIPIENT, action=Action.FAILED, status="5.1.1", next_attempts=())
    other = Recipient(address=parse_address("b@x.example"), action=Action.FAILED, status="5.0.0")
    data = compose(
        replace(
            DSN,
            recipients=(failed, other),
            received_from=parse_domain("client.example"),
            received_from_ip=IPv4Address("192.0.2.9"),
            future_release="for;3600",
            original_header=b"",
        )
    )
    fields = part(data, 2)
    assert "Will-Retry-Until" not in fields
    assert "Received-From-MTA: dns;client.example ([192.0.2.9])\r\n" in fields
    assert "Future-Release-Request: for;3600\r\n" in fields
    assert fields.endswith(
        "\r\n\r\nFinal-Recipient: rfc822;b@x.example\r\nAction: failed\r\nStatus: 5.0.0\r\n"
    )
    assert "could not be delivered" in part(data, 1)
    assert len(parse(data).children) == 2


def test_the_standard_library_reads_it() -> None:
    message: Any = email.message_from_bytes(compose(DSN))
    assert message.get_content_type() == "multipart/report"
    _text, status, _headers = message.get_payload()
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns; mox.example"
    assert per_recipient["Action"] == "delayed"


UTF8_DSN = replace(
    DSN,
    mail_to=parse_address("jösé+x@münchen.example"),
    recipients=(replace(RECIPIENT, address=parse_address("ü+a@ü.example"), reply=("550 grüße",)),),
    original_header="Subject: ü\r\n\r\n".encode(),
)


def test_ascii_variant_for_other_scripts() -> None:
    data = compose(UTF8_DSN)
    assert data.isascii()
    root = parse(data)
    assert root.children[2].encoding == "BASE64"
    assert decoded(data, root, (3,), wire=True) == UTF8_DSN.original_header
    fields = part(data, 2)
    assert "Final-Recipient: utf-8;\\x{FC}\\x{2B}a@xn--tda.example\r\n" in fields
    assert "Diagnostic-Code: smtp; 550 gr\\x{FC}\\x{DF}e\r\n" in fields
    assert b'To: <"j\\\\x{F6}s\\\\x{E9}+x"@xn--mnchen-3ya.example>\r\n' in data


def test_utf8_variant() -> None:
    data = compose(UTF8_DSN, utf8=True)
    root = parse(data)
    assert [child.media_subtype for child in root.children] == [
        "PLAIN", "GLOBAL-DELIVERY-STATUS", "GLOBAL-HEADERS",
    ]  # fmt: skip
    assert {child.encoding for child in root.children} == {"8BIT"}
    assert "Final-Recipient: utf-8;ü+a@ü.example\r\n" in part(data, 2)
    assert "To: <jösé+x@münchen.example>\r\n".encode() in data
    assert part(data, 3) == "Subject: ü\r\n\r\n"


def test_texts_of_others_cannot_add_lines() -> None:
    recipient = replace(
        RECIPIENT,
        error="x\r\nBcc: y",
        reply=("550 a\r\n\r\nb", "c" * 5000),
        status_comment="a)\r\nb(\\",
    )
    dsn = replace(DSN, recipients=(recipient,), references="a>\r\nX: y", subject="x\r\nY: z")
    for utf8 in (False, True):
        data = compose(dsn, utf8=utf8)
        root = parse(data)
        assert len(root.children) == 3
        assert b"\nBcc:" not in data and b"\nX: y" not in data and b"\nY: z" not in data
        assert max(map(len, data.split(b"\r\n"))) <= 998


def test_long_and_large_headers_are_made_safe() -> None:
    header = b"X: " + b"x" * 2000 + b"\r\n\r\n"
    root = parse(compose(replace(DSN, original_header=header)))
    assert root.children[2].encoding == "BASE64"
    header = b"X: y\r\n" * 100_000
    data = compose(replace(DSN, original_header=header))
    assert len(data) < 70_000 and part(data, 3).endswith("X: y\r\n")
