from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import NULL_PATH, Path, parse_address, parse_domain
from mox.message.trace import (
    FoldedField,
    Received,
    delivered_to,
    protocol_name,
    received,
    return_path,
)

WHEN = 1795434363  # 23 Nov 2026 11:46:03
FACTS = Received(
    helo=parse_domain("mail.example.org"),
    remote_ip=IPv4Address("192.0.2.10"),
    hostname=parse_domain("mox.example"),
    local_ip=IPv4Address("192.0.2.1"),
    protocol="ESMTPS",
    id="nLDpV_E0im9f-53GHgDAOA",
    tls="TLS1.3 TLS_AES_128_GCM_SHA256",
    recipient=parse_address("mjl@mox.example"),
    when=WHEN,
)


def unfolded(field: bytes) -> str:
    assert field.endswith(b"\r\n")
    lines = field.decode().removesuffix("\r\n").split("\r\n")
    assert all(line.startswith("\t") for line in lines[1:])
    assert all(len(line) <= 76 for line in lines)
    return " ".join(line.strip() for line in lines)


def test_received() -> None:
    assert unfolded(received(FACTS)) == (
        "Received: from mail.example.org ([192.0.2.10]) by mox.example ([192.0.2.1]) via tcp with"
        " ESMTPS id nLDpV_E0im9f-53GHgDAOA (TLS1.3 TLS_AES_128_GCM_SHA256)"
        " for <mjl@mox.example>; 23 Nov 2026 11:46:03 +0000"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reverse_name": "other.example"}, " (other.example [192.0.2.10]) by "),
        ({"reverse_name": "Mail.Example.Org"}, " ([192.0.2.10]) by "),
        ({"recipient": None}, "GCM_SHA256); 23 Nov 2026"),
        ({"recipient": None, "tls": ""}, "GHgDAOA; 23 Nov 2026"),
        ({"requiretls": True}, " with ESMTPS (requiretls) id "),
        ({"remote_ip": None, "helo": FACTS.hostname}, "from mox.example by mox.example ("),
        ({"helo": IPv6Address("2001:db8::1")}, "from [IPv6:2001:db8::1] ([192.0.2.10])"),
        ({"helo": "bad_name-"}, "from bad_name- ([192.0.2.10])"),
        ({"helo": "a\r\nb"}, "from a??b ("),
        ({"local_ip": IPv6Address("::1")}, "by mox.example ([IPv6:::1]) via"),
        ({"helo": parse_domain("münchen.example")}, "from xn--mnchen-3ya.example ("),
        (
            {"helo": parse_domain("münchen.example"), "smtputf8": True},
            "from münchen.example (xn--mnchen-3ya.example) (",
        ),
        (
            {"recipient": Path("ü", parse_domain("ü.example")), "smtputf8": True},
            "for <ü@ü.example>; ",
        ),
        ({"recipient": Path("postmaster", None)}, "for <postmaster>; "),
    ],
)
def test_received_variants(change: dict[str, object], expected: str) -> None:
    assert expected in unfolded(received(replace(FACTS, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("extended", "tls", "authenticated", "smtputf8", "name"),
    [
        (False, False, False, False, "SMTP"),
        (False, True, False, False, "SMTPS"),
        (True, False, False, False, "ESMTP"),
        (True, True, False, False, "ESMTPS"),
        (True, False, True, False, "ESMTPA"),
        (True, True, True, False, "ESMTPSA"),
        (True, False, False, True, "UTF8SMTP"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_protocol_names(
    extended: bool, tls: bool, authenticated: bool, smtputf8: bool, name: str
) -> None:
    assert name == protocol_name(
        extended=extended, tls=tls, authenticated=authenticated, smtputf8=smtputf8
    )


def test_folding_example() -> None:
    field = FoldedField("Authentication-Results").add("mox.example;")
    field.newline()
    field.add("iprev=pass", "(without dnssec)", "policy.iprev=192.0.2.10;")
    field.newline()
    field.add("dkim=pass", "(2048 bit rsa, with dnssec)", "header.d=good.example", "header.s=sel")
    field.add("header.a=rsa-sha256", "header.b=w71Ru5aVs9EZ", "header.i=a@good.example;")
    assert bytes(field) == (
        b"Authentication-Results: mox.example;\r\n"
        b"\tiprev=pass (without dnssec) policy.iprev=192.0.2.10;\r\n"
        b"\tdkim=pass (2048 bit rsa, with dnssec) header.d=good.example header.s=sel\r\n"
        b"\theader.a=rsa-sha256 header.b=w71Ru5aVs9EZ header.i=a@good.example;\r\n"
    )


TOKENS = st.lists(st.text("abcé().", min_size=1, max_size=90), max_size=30)


@given(TOKENS)
def test_folding_keeps_tokens_whole(tokens: list[str]) -> None:
    text = bytes(FoldedField("X").add(*tokens)).decode()
    assert text.removesuffix("\r\n").replace("\r\n\t", " ").split(" ") == ["X:", *tokens]
    for line in text.split("\r\n"):
        assert len(line) <= 76 or line.strip().count(" ") == 0


@given(TOKENS, st.integers(0, 30), st.sampled_from((" ", "", ";")))
def test_what_is_added_together_and_apart_is_the_same(
    tokens: list[str], at: int, separator: str
) -> None:
    together, apart = FoldedField("X"), FoldedField("X")
    for part in (tokens[:at], tokens[at:]):
        together.newline()
        together.add(*part, separator=separator)
        apart.newline()
        for token in part:
            apart.add(token, separator=separator)
    assert bytes(together) == bytes(apart)


def test_other_trace_fields() -> None:
    assert return_path(NULL_PATH) == b"Return-Path: <>\r\n"
    path = Path("ü", parse_domain("ü.example"))
    assert return_path(path) == "Return-Path: <ü@xn--tda.example>\r\n".encode()
    assert delivered_to(path) == "Delivered-To: ü@ü.example\r\n".encode()
