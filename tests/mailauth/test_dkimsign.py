"""What we sign, others and we ourselves verify; and the field looks as it should."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Address, parse_domain
from mox.config.domain import DEFAULT_SIGNED_HEADERS as HEADERS
from mox.mailauth import dkim
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import LONG_BODY_OCTETS, SignedContent, run_here
from mox.mailauth.dkimsign import Signer, sign
from mox.mailauth.results import DKIMStatus
from tests.mailauth.dkimkeys import ED25519, MESSAGE, NOW, KeyZone, record, rsa_key

DOMAIN = parse_domain("example.org")
AUTHOR = Address("a", DOMAIN)
RSA = Signer(domain=DOMAIN, selector="sel", key=rsa_key(), names=HEADERS)
ED = replace(RSA, key=ED25519, selector="ed")
FORMS = [(header, body) for header in Canonicalization for body in Canonicalization]
ZONE = {
    "sel._domainkey.example.org": record(rsa_key()),
    "ed._domainkey.example.org": record(ED25519),
}


def field_of(signer: Signer, message: bytes = MESSAGE, author: Address = AUTHOR) -> bytes:
    return sign([signer], SignedContent(message), author, NOW)


def signed(signer: Signer, message: bytes = MESSAGE, author: Address = AUTHOR) -> bytes:
    return field_of(signer, message, author).replace(b"\r\n", b"\n") + message


def tags_of(field: bytes) -> dict[str, str]:
    text = field.decode().partition(":")[2]
    pairs = (re.sub(r"\s", "", each).partition("=") for each in text.split(";"))
    return {name: value for name, _, value in pairs}


def verify(message: bytes, zone: dict[str, str] | None = None) -> list[str]:
    results = dkim.verify(KeyZone(zone or ZONE), message, NOW + 1)
    return [result.status if not result.problem else result.problem for result in results]


# ---- the field


def test_field_as_it_is_sent() -> None:
    # Ed25519 signatures are the same each time.
    assert field_of(replace(ED, expires_after_s=72 * 3600)).decode().split("\r\n\t") == [
        "DKIM-Signature: v=1; d=example.org; s=ed; i=a@example.org; a=ed25519-sha256;",
        "t=1800000000; x=1800259200; h=From:To:Cc:Bcc:Reply-To:References:",
        "In-Reply-To:Subject:Date:Message-Id:Content-Type:From:To:Subject;",
        "bh=2+/OhQoDZUBgI1cxfuTxa1oecu86wHFtCij+/U5ohpY=;",
        "b=Yjos3Nj5NWJTAJGbaEFHdWu+FbOUx/Ez/29kxyMa0TNDCgqoHEqbARaPVUyHGwTyhP7+PAYmu",
        "9yVGapayKFQBA==\r\n",
    ]


@pytest.mark.parametrize("signer", [RSA, ED, replace(RSA, expires_after_s=10)])
def test_tags_are_in_their_order_and_lines_are_short(signer: Signer) -> None:
    field = field_of(replace(signer, header=Canonicalization.RELAXED))
    tags = tags_of(field)
    expires = ["x"] if signer.expires_after_s else []
    assert list(tags) == ["v", "d", "s", "i", "a", "c", "t", *expires, "h", "bh", "b"]
    assert field.endswith(b"\r\n")
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert b"\n" not in field.replace(b"\r\n\t", b"").removesuffix(b"\r\n")


def test_canonicalization_is_left_out_when_it_is_the_default() -> None:
    assert "c" not in tags_of(field_of(RSA))
    assert tags_of(field_of(replace(RSA, body=Canonicalization.RELAXED)))["c"] == "simple/relaxed"


def test_sealed_names_are_listed_once_more_than_they_occur() -> None:
    message = b"From: a@example.org\nTo: x@example.net\nto: y@example.net\nDate: today\n\n"
    assert tags_of(field_of(RSA, message))["h"].split(":") == [*HEADERS, "From", "To", "To", "Date"]


def test_names_that_are_not_sealed_are_listed_as_often_as_they_occur() -> None:
    message = b"From: a@example.org\nTo: x@example.net\nto: y@example.net\nDate: today\n\n"
    names = tags_of(field_of(replace(RSA, seals=False), message))["h"].split(":")
    assert names == ["From", "To", "To", "Subject", "Date"]


def test_name_that_is_configured_twice_counts_once() -> None:
    signer = replace(RSA, names=("From", "from", "Subject", "From"))
    assert tags_of(field_of(signer))["h"] == "From:Subject:From:Subject"


@pytest.mark.parametrize(
    ("author", "identity"),
    [
        (AUTHOR, "a@example.org"),
        (Address("a b;=c", DOMAIN), "a=20b=3B=3Dc@example.org"),
        (Address("ü", DOMAIN), "=C3=BC@example.org"),
        (Address("a", parse_domain("sub.example.org")), "a@sub.example.org"),
        (Address("x" * 128, DOMAIN), "x" * 128 + "@example.org"),
    ],
)
def test_identity_is_the_author(author: Address, identity: str) -> None:
    field = field_of(RSA, author=author)
    assert tags_of(field)["i"] == identity
    [result] = dkim.verify(KeyZone(ZONE), signed(RSA, author=author), NOW + 1)
    assert (result.status, result.auid) == ("pass", identity)


def test_domain_in_another_script_is_signed_in_ascii() -> None:
    domain = parse_domain("münchen.example")
    signer = replace(ED, domain=domain)
    tags = tags_of(field_of(signer, author=Address("a", domain)))
    assert (tags["d"], tags["i"]) == ("xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example")
    zone = {"ed._domainkey.xn--mnchen-3ya.example": record(ED25519)}
    assert verify(signed(signer, author=Address("a", domain)), zone) == ["pass"]


@pytest.mark.parametrize(
    "message",
    [
        b"To: b@example.net\n\nno author\n",
        b"From: a@example.org\nFrom: b@example.org\n\ntwo\n",
        b"From: a@example.org\nX: " + b"x" * (1 << 20) + b"\n\ntoo long\n",
        b"",
    ],
    ids=["none", "two", "long", "empty"],
)
def test_message_without_one_from_is_not_signed(message: bytes) -> None:
    assert field_of(RSA, message) == b""


# ---- verification by us


@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(("header", "body"), FORMS)
def test_we_verify_what_we_sign(
    key: Signer, header: Canonicalization, body: Canonicalization
) -> None:
    assert verify(signed(replace(key, header=header, body=body))) == ["pass"]


def test_several_signatures_are_in_the_order_of_the_signers() -> None:
    fields = sign([RSA, ED, RSA], SignedContent(MESSAGE), AUTHOR, NOW)
    message = fields.replace(b"\r\n", b"\n") + MESSAGE
    results = dkim.verify(KeyZone(ZONE), message, NOW + 1)
    assert [(r.status, r.selector) for r in results] == [
        ("pass", "sel"),
        ("pass", "ed"),
        ("pass", "sel"),
    ]


def test_fields_put_in_front_are_signed_with_the_message() -> None:
    prefix = b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-Id: <x@example.org>\r\n"
    fields = sign([RSA], SignedContent(MESSAGE, prefix=prefix), AUTHOR, NOW)
    assert tags_of(fields)["h"].endswith("From:To:Subject:Date:Message-Id")
    whole = (fields + prefix).replace(b"\r\n", b"\n") + MESSAGE
    assert verify(whole) == ["pass"]
    assert verify(whole.replace(b"<x@", b"<y@")) != ["pass"]


def test_wire_form_is_signed_the_same() -> None:
    wire = SignedContent(MESSAGE.replace(b"\n", b"\r\n"), wire=True)
    assert sign([ED], wire, AUTHOR, NOW) == field_of(ED)


def test_signature_ends_when_configured() -> None:
    message = signed(replace(ED, expires_after_s=100))
    zone = KeyZone(ZONE)
    assert dkim.verify(zone, message, NOW + 100)[0].status is DKIMStatus.PASS
    assert dkim.verify(zone, message, NOW + 101)[0].problem == "signature has expired"


def test_time_that_a_message_is_held_does_not_count() -> None:
    signer = replace(ED, expires_after_s=100)
    for held_until, expires in ((0, NOW + 100), (NOW - 50, NOW + 100), (NOW + 500, NOW + 600)):
        fields = sign([signer], SignedContent(MESSAGE), AUTHOR, NOW, held_until=held_until)
        assert (tags_of(fields)["t"], tags_of(fields)["x"]) == (str(NOW), str(expires))


def test_sealed_message_takes_no_other_field() -> None:
    message = signed(RSA)
    assert verify(b"Cc: x@example.net\n" + message) == ["signature does not fit the header fields"]
    assert verify(b"X-Note: hello\n" + message) == ["pass"]
    open_message = signed(replace(RSA, seals=False))
    assert verify(b"Cc: x@example.net\n" + open_message) == ["pass"]


def test_long_body_is_hashed_through_run() -> None:
    calls = []

    def run(steps: Iterator[None]) -> None:
        calls.append(steps)
        run_here(steps)

    long = SignedContent(MESSAGE + b"x" * LONG_BODY_OCTETS)
    relaxed = replace(ED, body=Canonicalization.RELAXED)
    assert sign([ED, relaxed, RSA], long, AUTHOR, NOW, run=run).count(b"DKIM-Signature") == 3
    assert len(calls) == 1


def test_outdated_hash_is_used_when_configured_but_nobody_takes_it() -> None:
    assert verify(signed(replace(RSA, hash="sha1"))) == ["rsa-sha1 is not accepted"]
    fields = sign([replace(RSA, hash="sha1")], SignedContent(MESSAGE), AUTHOR, time.time())
    assert dkimpy.verify(fields + _wire(MESSAGE), dnsfunc=_dns) is True


_NAMES = st.sampled_from(["From", "To", "Subject", "Cc", "X-Other", "Received"])
_VALUES = st.text(st.sampled_from("ab \t:;=ü\n "), max_size=20).map(
    # Only what is a field: lines after the first are folded, none is blank.
    lambda text: "\n ".join(part for part in text.split("\n") if part.strip()) or "x"
)
_FIELDS = st.lists(st.tuples(_NAMES.filter(lambda name: name != "From"), _VALUES), max_size=6)
_BODIES = st.text(st.sampled_from("ab \t\n=ü"), max_size=60)


@given(_FIELDS, _BODIES, st.sampled_from(FORMS), st.booleans())
def test_any_message_round_trips_and_any_change_of_it_is_noticed(
    fields: list[tuple[str, str]],
    body: str,
    form: tuple[Canonicalization, Canonicalization],
    seals: bool,
) -> None:
    header = "".join(f"{name}: {value}\n" for name, value in fields)
    message = f"From: a@example.org\n{header}\n{body}".encode()
    signer = replace(ED, header=form[0], body=form[1], seals=seals)
    whole = signed(signer, message)
    assert verify(whole) == ["pass"]
    assert verify(whole.replace(b"From: a@", b"From: b@")) != ["pass"]
    assert verify(whole + b"more\n") != ["pass"]
    assert verify(whole.replace(b"\n\n", b"\n\nmore\n", 1)) != ["pass"]


# ---- dkimpy as the other side (it has no Ed25519 here)


def _wire(message: bytes) -> bytes:
    return message.replace(b"\n", b"\r\n")


def _dns(name: bytes, timeout: int = 5) -> bytes | None:
    found = ZONE.get(name.decode().rstrip("."))
    return found.encode() if found else None


@pytest.mark.parametrize(("header", "body"), FORMS)
@pytest.mark.parametrize("seals", [False, True])
def test_dkimpy_verifies_what_we_sign(
    header: Canonicalization, body: Canonicalization, seals: bool
) -> None:
    # It looks at the clock itself.
    message = MESSAGE + b"  \n\ttrailing \t white  \n\n\n"
    signer = replace(RSA, header=header, body=body, seals=seals, expires_after_s=3600)
    fields = sign([signer], SignedContent(message), AUTHOR, time.time())
    assert dkimpy.verify(fields + _wire(message), dnsfunc=_dns) is True
    changed = message.replace(b"two", b"TWO")
    assert dkimpy.verify(fields + _wire(changed), dnsfunc=_dns) is False


@pytest.mark.parametrize(("header", "body"), FORMS)
def test_we_verify_what_dkimpy_signs(header: Canonicalization, body: Canonicalization) -> None:
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    message = MESSAGE + b"  \n\ttrailing \t white  \n\n\n"
    field = dkimpy.sign(
        _wire(message),
        b"sel",
        b"example.org",
        pem,
        canonicalize=(str(header).encode(), str(body).encode()),
    )
    whole = field.replace(b"\r\n", b"\n") + message
    [result] = dkim.verify(KeyZone(ZONE), whole, time.time())
    assert result.status is DKIMStatus.PASS, result.problem
    [result] = dkim.verify(KeyZone(ZONE), whole.replace(b"two", b"TWO"), time.time())
    assert result.status is DKIMStatus.FAIL
