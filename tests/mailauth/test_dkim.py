"""Signatures of others and of our own making, with every status they can have."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.mailauth import dkim
from mox.mailauth.content import LONG_BODY_OCTETS, LONG_HEADER_OCTETS, SignedContent, run_here
from mox.mailauth.results import DKIMResult, DKIMStatus
from tests.mailauth.dkimkeys import ED25519, MESSAGE, NOW, KeyZone, Texts, handmade, record, rsa_key

DATA = Path(__file__).parent / "data/dkim"
_OLD_RSA = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J1"
    "6JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2"
    "EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
_RFC6376_RSA = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOC"
    "KG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGj"
    "aNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
_GMAIL_RSA = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh+eBCsSTrqmwIYYvywlbhbqoo2Dym"
    "ndFkbjOVIPIldNs/m40KF+yzMn1skyoxcTUGCQs8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8"
    "svnxgdxGkVbbhzY8i+RQ9DpSVpPbF7ykQxtKXkv/ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5OctMEeWUwg8Istjqz"
    "8BZeTWbf41fbNhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac0598HY+vtSBczUiKERHv1yRbcaQtZFh5wtiRrN04BLUTD"
    "21MycBX5jYchHjPY/wIDAQAB"
)
KEYS = {
    "20120113._domainkey.gmail.com": f"k=rsa; p={_GMAIL_RSA}",
    "brisbane._domainkey.example.com": f"v=DKIM1; p={_RFC6376_RSA}",
    "brisbane._domainkey.football.example.com": (
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ),
    "test._domainkey.football.example.com": f"v=DKIM1; k=rsa; p={_OLD_RSA}",
    "test._domainkey.example.com": f"v=DKIM1; g=*; k=rsa; p={_OLD_RSA}",
    "sed._domainkey.test.ex": "v=DKIM1; k=ed25519; p=sPs07Vu29FpHT/80UXUcYHFOHifD4o2ZlP2+XUh9g6E=",
}
OUR_RECORD = record(ED25519)
OURS = {"sel._domainkey.example.org": OUR_RECORD}


def verify(message: bytes, records: Texts = OUR_RECORD) -> tuple[DKIMResult, ...]:
    return dkim.verify(KeyZone({"sel._domainkey.example.org": records}), message, NOW)


def only(message: bytes, records: Texts = OUR_RECORD) -> DKIMResult:
    [result] = verify(message, records)
    return result


# ---- signatures of others


@pytest.mark.parametrize(
    ("name", "algorithms"),
    [
        ("rfc6376-a", ["rsa-sha256"]),
        ("rfc8463-a", ["ed25519-sha256", "rsa-sha256"]),
        ("dkimpy-football", ["ed25519-sha256", "rsa-sha256"]),
        ("exim-ed25519", ["ed25519-sha256"]),
        ("dkimpy-folding", ["rsa-sha256"]),
    ],
)
def test_known_message_verifies(name: str, algorithms: list[str]) -> None:
    message = (DATA / f"{name}.eml").read_bytes()
    results = dkim.verify(KeyZone(KEYS), message, NOW)
    assert [(r.status, r.algorithm) for r in results] == [("pass", a) for a in algorithms]


def test_result_describes_the_signature() -> None:
    message = (DATA / "rfc6376-a.eml").read_bytes()
    [result] = dkim.verify(KeyZone(KEYS, is_authentic=True), message, NOW)
    assert str(result.sdid) == "example.com"
    assert result.selector == "brisbane"
    assert result.auid == "joe@football.example.com"
    assert result.signature == "AuUoFEfDxTDk"
    assert result.key_bits == 1024
    assert result.authentic
    assert result.problem == ""


def test_wire_form_is_the_same() -> None:
    message = (DATA / "rfc6376-a.eml").read_bytes().replace(b"\n", b"\r\n")
    content = SignedContent(message, wire=True)
    [result] = dkim.verify(KeyZone(KEYS), content, NOW)
    assert result.status is DKIMStatus.PASS


def test_message_without_signature_has_no_result() -> None:
    resolver = KeyZone({})
    assert dkim.verify(resolver, MESSAGE, NOW) == ()
    assert dkim.verify(resolver, b"", NOW) == ()
    assert resolver.asked == []


# ---- what the field says


def test_our_handmade_signature_is_good() -> None:
    result = only(handmade())
    assert result.status is DKIMStatus.PASS, result.problem
    assert result.auid == "@example.org"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"v": None}, "v= is missing"),
        ({"v": "2"}, "unknown version"),
        ({"v": "1.0"}, "unknown version"),
        ({"a": None}, "a= is missing"),
        ({"a": "rsa-sha1"}, "rsa-sha1 is not accepted"),
        ({"a": "ed25519-sha1"}, "unknown algorithm"),
        ({"a": "rsa"}, "unknown algorithm"),
        ({"a": "RSA-SHA256"}, "unknown algorithm"),
        ({"bh": None}, "bh= is missing"),
        ({"bh": ""}, "bh= is empty"),
        ({"bh": "AAAA"}, "another length"),
        ({"bh": "!"}, "not Base64"),
        ({"d": None}, "d= is missing"),
        ({"d": "exam ple"}, "bad d="),
        ({"d": "a..b"}, "bad d="),
        ({"d": "org"}, "public suffix"),
        ({"d": "co.uk"}, "public suffix"),
        ({"d": "localhost"}, "public suffix"),
        ({"h": None}, "h= is missing"),
        ({"h": ""}, "h= is empty"),
        ({"h": "To:Subject"}, "From is not signed"),
        ({"s": None}, "s= is missing"),
        ({"s": ""}, "s= is empty"),
        ({"s": "a b"}, "bad selector"),
        ({"s": "x" * 300}, "bad selector"),
        ({"c": "loose"}, "unknown canonicalization"),
        ({"c": "simple/"}, "unknown canonicalization"),
        ({"c": "simple/simple/simple"}, "unknown canonicalization"),
        ({"q": "dns/other"}, "unknown way"),
        ({"t": "x"}, "t= is not a time"),
        ({"t": "-1"}, "t= is not a time"),
        ({"x": "9" * 13}, "x= is not a time"),
        ({"x": str(NOW - 1)}, "expired"),
        ({"t": "100", "x": "100"}, "not after t="),
        ({"i": "a@example.com"}, "in d= or below"),
        ({"i": "a@badexample.org"}, "in d= or below"),
        ({"i": "a@org"}, "in d= or below"),
        ({"i": "example.org"}, "in d= or below"),
        ({"i": "a@exam ple..org"}, "bad i="),
        ({"z": "a=b; s=again"}, "duplicate tag"),
        ({"1x": "y"}, "not a list of tags"),
        ({"z y": "y"}, "bad name"),
        ({"y": "a; z-: b"}, "not a list of tags"),
        ({"z": "a; b c"}, "not a list of tags"),
    ],
)
def test_wrong_tag_is_a_permanent_error_without_a_question(
    changes: dict[str, str | None], problem: str
) -> None:
    resolver = KeyZone(OURS)
    [result] = dkim.verify(resolver, handmade(changes), NOW)
    assert result.status is DKIMStatus.PERMERROR
    assert problem in result.problem
    assert resolver.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"c": "simple"},
        {"q": "dns/other:dns/txt"},
        {"q": "dns/txt"},
        {"t": str(NOW + 1000_000)},
        {"t": "100", "x": str(NOW)},
        {"i": "@example.org"},
        {"i": "x@y@sub.EXAMPLE.org"},
        {"h": "from:to:subject:subject:date:x-none"},
        {"zz": "what nobody knows"},
        {"d": "Example.ORG"},
    ],
)
def test_unusual_tag_is_good(changes: dict[str, str | None]) -> None:
    result = only(handmade(changes))
    assert result.status is DKIMStatus.PASS, result.problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"l": "3"}, "l="), ({"h": "From:To"}, "Subject is not signed")],
)
def test_signature_over_too_little_is_against_policy(
    changes: dict[str, str | None], problem: str
) -> None:
    resolver = KeyZone(OURS)
    [result] = dkim.verify(resolver, handmade(changes), NOW)
    assert result.status is DKIMStatus.POLICY
    assert problem in result.problem
    assert resolver.asked == []


def test_field_that_is_too_long_is_not_read() -> None:
    result = only(handmade({"z": "x" * 10_000}))
    assert result.status is DKIMStatus.PERMERROR
    assert "8192 octets" in result.problem
    assert result.sdid is None


def test_selector_may_look_like_an_address_or_have_underscores() -> None:
    for selector in ("2026.1.1.1", "a_b", "under._score"):
        resolver = KeyZone({f"{selector}._domainkey.example.org": record(ED25519)})
        [result] = dkim.verify(resolver, handmade({"s": selector}), NOW)
        assert result.status is DKIMStatus.PASS


def test_domain_and_selector_in_other_scripts_are_found() -> None:
    resolver = KeyZone({"xn--sl-via._domainkey.xn--mnchen-3ya.example": record(ED25519)})
    changes = {"d": "münchen.example", "s": "säl", "i": "ü@münchen.example"}
    [result] = dkim.verify(resolver, handmade(changes), NOW)
    assert result.status is DKIMStatus.PASS, result.problem
    assert result.sdid is not None
    assert result.sdid.ascii == "xn--mnchen-3ya.example"


# ---- how many


def test_all_signatures_are_evaluated_in_order() -> None:
    message = handmade({"d": "example.com"}, message=handmade())
    assert [str(r.sdid) for r in verify(message)] == ["example.com", "example.org"]
    assert [r.status for r in verify(message)] == ["permerror", "pass"]


def test_signatures_beyond_the_tenth_are_ignored() -> None:
    message = handmade()
    for _ in range(14):
        message = handmade({"x": "5"}, message=message)
    assert len(verify(message)) == dkim.MAX_SIGNATURES == 10
    assert dkim.ignored_signatures(SignedContent(message)) == 5
    assert dkim.ignored_signatures(SignedContent(handmade())) == 0


def test_same_key_is_looked_up_once() -> None:
    resolver = KeyZone(OURS)
    message = handmade(message=handmade())
    assert [r.status for r in dkim.verify(resolver, message, NOW)] == ["pass", "pass"]
    assert resolver.asked == ["sel._domainkey.example.org"]


def test_time_for_keys_is_limited() -> None:
    message = handmade({"s": "other"}, message=handmade())
    times = iter([0.0, 10.0, 60.0])
    results = dkim.verify(KeyZone(OURS), message, NOW, clock=lambda: next(times))
    assert [r.status for r in results] == ["permerror", "temperror"]
    assert "too long" in results[1].problem


# ---- what the key says


@pytest.mark.parametrize(
    ("records", "status", "problem"),
    [
        ("TIMEOUT", "temperror", "timed out"),
        ([], "permerror", "no key record"),
        ("", "permerror", "no key record"),
        ("v=spf1 -all", "permerror", "no key record"),
        (["v=spf1 -all", record(ED25519)], "pass", ""),
        ([record(ED25519), record(ED25519)], "temperror", "several"),
        (["v=DKIM1; p=", record(ED25519)], "pass", ""),
        ("v=DKIM1; p=", "permerror", "revoked"),
        ("p=", "permerror", "revoked"),
        ("v=DKIM1; k=rsa", "permerror", "without p="),
        ("v=DKIM1; p=x; p=y", "permerror", "duplicate"),
        ("v=DKIM1; nonsense", "permerror", "broken"),
        ("v=DKIM2; p=x", "permerror", "version"),
        (record(ED25519, "t=s; v=DKIM1; "), "permerror", "version"),
        (record(ED25519, ""), "pass", ""),
        (record(ED25519) + "; ", "pass", ""),
        (record(ED25519).replace("k=ed25519", "k=x25519"), "permerror", "unknown type"),
        (record(ED25519).replace("k=ed25519; ", ""), "permerror", "cannot be read"),
        ("v=DKIM1; k=ed25519; p=AAAA", "permerror", "cannot be read"),
        ("v=DKIM1; k=ed25519; p=*", "permerror", "cannot be read"),
        (record(ED25519, "v=DKIM1; h=sha1; "), "permerror", "other hashes"),
        (record(ED25519, "v=DKIM1; h=sha1 : sha256; "), "pass", ""),
        (record(ED25519, "v=DKIM1; s=tlsrpt; "), "permerror", "not for mail"),
        (record(ED25519, "v=DKIM1; s=tlsrpt:email; "), "pass", ""),
        (record(ED25519, "v=DKIM1; s=*; "), "pass", ""),
        (record(ED25519, "v=DKIM1; n=any note; x=y; "), "pass", ""),
        (f"v=DKIM1; p={_OLD_RSA}", "permerror", "key is for rsa"),
        ("v=DKIM1; p=" + "A" * 9000, "permerror", "too long"),
    ],
)
def test_key_record_decides(records: Texts, status: str, problem: str) -> None:
    result = only(handmade(), records)
    assert result.status == status, result.problem
    assert problem in result.problem


def test_name_without_record_is_a_permanent_error() -> None:
    [result] = dkim.verify(KeyZone({}), handmade(), NOW)
    assert (result.status, result.problem) == ("permerror", "no key record")


def test_strict_key_is_not_for_names_below() -> None:
    strict = record(ED25519, "v=DKIM1; t=s; ")
    assert only(handmade({"i": "a@example.org"}), strict).status is DKIMStatus.PASS
    assert only(handmade(), strict).status is DKIMStatus.PASS
    result = only(handmade({"i": "a@sub.example.org"}), strict)
    assert result.status is DKIMStatus.PERMERROR
    assert "below" in result.problem


def test_key_for_testing_says_nothing_unless_all_is_well() -> None:
    testing = record(ED25519, "v=DKIM1; t=y:x; ")
    assert only(handmade(), testing).status is DKIMStatus.PASS
    result = only(handmade().replace(b"lines", b"LINES"), testing)
    assert result.status is DKIMStatus.NONE
    assert "testing" in result.problem


def test_short_rsa_key_is_refused() -> None:
    short = (
        "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAJcP0PiVqtsSIdcLzjdJZxJBzQYjy1yrrkJuc2hmp9yEV9rFvq7sQpXdPsGN"
        "LBsVTPUiFqCnFHvHlzKCPGqPV9UCAwEAAQ=="
    )
    result = only(handmade(key=rsa_key()), f"v=DKIM1; p={short}")
    assert result.status is DKIMStatus.PERMERROR
    assert "too short" in result.problem


def test_rsa_key_that_is_slow_on_purpose_is_refused() -> None:
    modulus = rsa_key().public_key().public_numbers().n
    slow = RSAPublicNumbers((1 << 2040) + 1, modulus).public_key()
    octets = slow.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = f"v=DKIM1; p={base64.b64encode(octets).decode()}"
    result = only(handmade(key=rsa_key()), text)
    assert result.status is DKIMStatus.PERMERROR
    assert "exponent" in result.problem


def test_rsa_key_without_its_wrapping_is_read() -> None:
    key = rsa_key()
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    text = f"v=DKIM1; p={base64.b64encode(octets).decode()}"
    assert only(handmade(key=key), text).status is DKIMStatus.PASS


# ---- what the message says


def test_change_of_the_body_fails() -> None:
    result = only(handmade().replace(b"lines", b"LINES"))
    assert result.status is DKIMStatus.FAIL
    assert "body" in result.problem
    assert result.key_bits == 256


def test_change_of_a_signed_field_fails() -> None:
    result = only(handmade().replace(b"Subject: Hello", b"Subject: Hullo"))
    assert result.status is DKIMStatus.FAIL
    assert "header" in result.problem


def test_second_from_at_the_end_of_the_header_fails() -> None:
    message = handmade().replace(b"\nSubject:", b"\nFrom: other@example.org\nSubject:")
    assert only(message).status is DKIMStatus.FAIL


def test_oversigned_field_cannot_be_added() -> None:
    message = handmade({"h": "from:from:to:subject"})
    assert only(message).status is DKIMStatus.PASS
    assert only(b"From: other@example.org\n" + message).status is DKIMStatus.FAIL


def test_field_that_is_not_signed_may_be_added() -> None:
    assert only(b"Received: from x\n" + handmade()).status is DKIMStatus.PASS


_SIGNED = (DATA / "rfc8463-a.eml").read_bytes()
_FIRST_ONLY = _SIGNED[_SIGNED.index(b"DKIM-Signature", 1) :]


@given(st.integers(0, len(_FIRST_ONLY) - 1), st.integers(1, 255))
def test_any_change_of_an_octet_is_noticed_or_harmless(at: int, change: int) -> None:
    changed = bytearray(_FIRST_ONLY)
    changed[at] ^= change
    results = dkim.verify(KeyZone(KEYS), bytes(changed), NOW)
    if any(result.status is DKIMStatus.PASS for result in results):
        # White space and letter case do not count in relaxed form, nor do b='s line breaks.
        assert _essence(bytes(changed)) == _essence(_FIRST_ONLY)


def _essence(message: bytes) -> bytes:
    header, _, body = message.partition(b"\n\n")
    signature, _, fields = header.partition(b"From:")
    before, _, b = re.sub(rb"\s+", b" ", signature).partition(b" b=")
    names = re.sub(rb"(?m)^[A-Za-z-]+:", lambda match: match[0].lower(), b"From:" + fields)
    text = re.sub(rb"[ \t]+", b" ", body.replace(b"\r\n", b"\n"))
    return b"|".join((before.lower(), b.replace(b" ", b""), re.sub(rb"\s+", b" ", names), text))


# ---- hostile input


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_no_octets_raise(octets: bytes) -> None:
    for message in (
        octets,
        b"DKIM-Signature: " + octets,
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=sel; " + octets + b"\nFrom: x\n\n",
    ):
        for result in verify(message):
            assert result.status is not DKIMStatus.PASS


_TAGS = st.dictionaries(
    st.sampled_from(["v", "a", "d", "s", "h", "bh", "i", "c", "q", "t", "x", "l"]),
    st.one_of(st.text(max_size=30), st.none(), st.sampled_from(["1", "example.org", "@", "::"])),
)


@given(_TAGS)
def test_no_tags_raise(changes: dict[str, str | None]) -> None:
    octets = handmade().partition(b"\n")[2]
    text = ";".join(f"{name}={value}" for name, value in changes.items() if value is not None)
    message = b"DKIM-Signature: " + text.encode("utf-8", "surrogatepass") + b"\n" + octets
    assert all(result.status is not DKIMStatus.PASS for result in verify(message))


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(b"v=DKIM1; p=".__add__)))
def test_no_key_record_raises(text: bytes) -> None:
    assert only(handmade(), [text]).status in ("permerror", "fail")


def test_header_that_is_too_long_is_not_verified() -> None:
    long = b"X-Long: " + b"x" * (1 << 20) + b"\n"
    results = verify(handmade().replace(b"\n\n", b"\n" + long + b"\n", 1))
    assert [(r.status, r.problem) for r in results] == [("permerror", "header is too long")]


def test_header_of_too_many_lines_is_as_if_unsigned() -> None:
    assert verify(handmade().replace(b"\n\n", b"\n" + b"X: y\n" * 60_000 + b"\n", 1)) == ()


# ---- long bodies


def test_long_body_is_hashed_through_run_and_short_one_is_not() -> None:
    calls: list[int] = []

    def run(steps: Iterator[None]) -> None:
        calls.append(1)
        run_here(steps)

    long = handmade(message=MESSAGE + b"x\n" * LONG_BODY_OCTETS)
    twice = handmade(message=long)
    results = dkim.verify(KeyZone(OURS), twice, NOW, run=run)
    # The outer one was made without knowing that the header grew; it fits all the same.
    assert [r.status for r in results] == ["pass", "pass"]
    assert calls == [1]
    assert dkim.verify(KeyZone(OURS), handmade(), NOW, run=run)[0].status == "pass"
    assert calls == [1]


def test_long_header_is_hashed_through_run() -> None:
    calls: list[int] = []

    def run(steps: Iterator[None]) -> None:
        calls.append(1)
        run_here(steps)

    message = handmade(message=b"X: " + b"x" * LONG_HEADER_OCTETS + b"\n" + MESSAGE)
    assert dkim.verify(KeyZone(OURS), message, NOW, run=run)[0].status == "pass"
    assert calls == [1]


def test_body_is_not_hashed_when_the_header_does_not_fit() -> None:
    def run(steps: Iterator[None]) -> None:
        raise AssertionError("no body is to be hashed")

    long = handmade(message=MESSAGE + b"x\n" * LONG_BODY_OCTETS).replace(b"Hello", b"Hullo")
    [result] = dkim.verify(KeyZone(OURS), long, NOW, run=run)
    assert result.status is DKIMStatus.FAIL
