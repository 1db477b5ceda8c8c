from __future__ import annotations

from datetime import datetime

from mox.message import has_8bit_headers, index_facts, parse

MESSAGE = b"""\
From: "Doe, John" <john@good.example>
To: a@b.example
Subject: Re: =?utf-8?q?h=C3=A9llo?=
Date: Mon, 23 Nov 2026 12:46:03 +0100
Message-ID: <Abc@Good.Example>
In-Reply-To: <Previous@b.example>
References: <First@b.example>
 <Previous@b.example>
Content-Type: text/plain; charset=utf-8

caf\xc3\xa9
"""


def test_facts_of_a_usual_message() -> None:
    facts = index_facts(MESSAGE, wire=False)
    assert facts.size == len(MESSAGE) + MESSAGE.count(b"\n")
    assert facts == index_facts(MESSAGE.replace(b"\n", b"\r\n"), wire=True)
    assert facts.message_id == "abc@good.example"
    assert facts.subject == "Re: héllo"
    assert facts.date == int(datetime.fromisoformat("2026-11-23T12:46:03+01:00").timestamp())
    assert facts.date_zone == 60
    assert facts.references == ("first@b.example", "previous@b.example")
    assert facts.has_8bit and not facts.has_nul and not facts.is_dsn
    assert facts.malformed == ""
    assert facts.envelope.startswith(b'("Mon, 23 Nov 2026 12:46:03 +0100" "Re: =?utf-8?q?')
    assert facts.bodystructure == (
        b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 7 1 NIL NIL NIL NIL)'
    )


def test_facts_of_an_empty_message() -> None:
    facts = index_facts(b"", wire=True)
    assert (facts.size, facts.message_id, facts.subject, facts.date) == (0, "", "", None)
    assert facts.references == () and not facts.has_8bit


def test_in_reply_to_counts_without_references() -> None:
    facts = index_facts(b"In-Reply-To: Your message of now <A@b> <c@d>\r\n\r\n", wire=True)
    assert facts.references == ("a@b",)
    facts = index_facts(b"References: none\r\nIn-Reply-To: <a@b>\r\n\r\n", wire=True)
    assert facts.references == ("a@b",)


def test_octets_that_need_care_are_noticed() -> None:
    assert index_facts(b"Subject: x\r\n\r\n\0", wire=True).has_nul
    assert not index_facts(b"Subject: x\r\n\r\n", wire=True).has_8bit
    data = b"Content-Type: multipart/mixed\r\n\r\n"
    assert index_facts(data, wire=True).malformed == "boundary"


def test_headers_of_all_parts_tell_about_smtputf8() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nX: y\n\n\xff\n--b--\n"
    assert not has_8bit_headers(data, parse(data, wire=False))
    data = data.replace(b"X: y", b"X: \xc3\xa9")
    assert has_8bit_headers(data, parse(data, wire=False))
