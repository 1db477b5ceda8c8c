"""Authentication-Results: written for people and for parsers, safe against the network's values."""

from __future__ import annotations

import email.parser
import email.policy
from dataclasses import replace
from ipaddress import ip_address

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Domain, parse_domain
from mox.mailauth.authres import MAX_REASON, authentication_results
from mox.mailauth.results import (
    ARCResult,
    ARCStatus,
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCRecord,
    DMARCResult,
    DMARCStatus,
    IPRevResult,
    IPRevStatus,
    SPFResult,
    SPFStatus,
)

US = parse_domain("mox.example")
GOOD = parse_domain("good.example")
IP = ip_address("192.0.2.10")

NOTHING = Authentication(
    IPRevResult(IPRevStatus.PERMERROR),
    SPFResult(SPFStatus.NONE),
    (),
    DMARCResult(DMARCStatus.NONE),
    ARCResult(ARCStatus.NONE),
)
SIGNED = DKIMResult(
    DKIMStatus.PASS, GOOD, "sel", "a@good.example", "rsa-sha256", "w71Ru5aVs9EZ", 2048, "", True
)
ALL_GOOD = Authentication(
    IPRevResult(IPRevStatus.PASS, "mail.good.example"),
    SPFResult(SPFStatus.PASS, "mailfrom", GOOD),
    (SIGNED,),
    DMARCResult(DMARCStatus.PASS, GOOD, GOOD, DMARCRecord(policy="reject"), GOOD, "reject"),
    ARCResult(ARCStatus.NONE),
)


def unfolded(field: bytes) -> str:
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert not any(c in line for line in lines for c in (b"\r", b"\n", b"\0"))
    return " ".join(line.strip(b"\t").decode() for line in lines)


def parsed(field: bytes) -> list[authres.AuthenticationResult]:
    # The library knows ASCII only.
    text = unfolded(field).encode("ascii", "replace").decode()
    header = authres.AuthenticationResultsHeader.parse(text)
    assert header.authserv_id == "mox.example"
    return list(header.results)


def properties(result: authres.AuthenticationResult) -> dict[str, str]:
    return {f"{p.type}.{p.name}": p.value for p in result.properties}


def test_all_good_field_is_one_method_a_line() -> None:
    assert authentication_results(US, IP, ALL_GOOD).decode() == (
        "Authentication-Results: mox.example;\r\n"
        "\tiprev=pass (without dnssec) policy.iprev=192.0.2.10;\r\n"
        "\tdkim=pass (2048 bit rsa, with dnssec) header.d=good.example header.s=sel\r\n"
        "\theader.a=rsa-sha256 header.b=w71Ru5aVs9EZ header.i=a@good.example;\r\n"
        "\tspf=pass (without dnssec) smtp.mailfrom=good.example;\r\n"
        "\tdmarc=pass (without dnssec) header.from=good.example policy.dmarc=reject\r\n"
    )


def test_field_without_anything_found() -> None:
    assert authentication_results(US, IP, NOTHING).decode() == (
        "Authentication-Results: mox.example;\r\n"
        "\tiprev=permerror (without dnssec) policy.iprev=192.0.2.10;\r\n"
        '\tdkim=none reason="no dkim signatures";\r\n'
        "\tspf=none (without dnssec);\r\n"
        "\tdmarc=none (without dnssec)\r\n"
    )


def test_parser_reads_what_was_written() -> None:
    results = parsed(authentication_results(US, IP, ALL_GOOD))
    assert [(r.method, r.result) for r in results] == [
        ("iprev", "pass"),
        ("dkim", "pass"),
        ("spf", "pass"),
        ("dmarc", "pass"),
    ]
    assert properties(results[1]) == {
        "header.d": "good.example",
        "header.s": "sel",
        "header.a": "rsa-sha256",
        "header.b": "w71Ru5aVs9EZ",
        "header.i": "a@good.example",
    }
    assert properties(results[2]) == {"smtp.mailfrom": "good.example"}
    assert properties(results[3]) == {"header.from": "good.example", "policy.dmarc": "reject"}


@pytest.mark.parametrize("status", SPFStatus)
@pytest.mark.parametrize("identity", ["mailfrom", "helo"])
def test_spf_names_its_identity(status: SPFStatus, identity: str) -> None:
    spf = SPFResult(status, "helo" if identity == "helo" else "mailfrom", GOOD, problem="why not")
    result = parsed(authentication_results(US, IP, replace(ALL_GOOD, spf=spf)))[2]
    assert (result.method, result.result) == ("spf", status.value)
    assert properties(result) == {f"smtp.{identity}": "good.example"}
    assert result.reason == (None if status is SPFStatus.PASS else "why not")


@pytest.mark.parametrize("status", [s for s in DKIMStatus if s is not DKIMStatus.PASS])
def test_signature_that_does_not_count_says_why(status: DKIMStatus) -> None:
    bad = replace(SIGNED, status=status, problem="body hash does not match", signature="ab/+9=")
    found = replace(ALL_GOOD, dkim=(bad, SIGNED))
    field = authentication_results(US, IP, found)
    results = parsed(field)
    assert [r.result for r in results] == ["pass", status.value, "pass", "pass", "pass"]
    assert results[1].reason == "body hash does not match"
    # authres 1.2.0 loses a quoted value that is not the last one.
    assert 'header.b="ab/+9=" header.i=a@good.example;' in unfolded(field)


def test_signature_that_cannot_be_read_has_no_properties() -> None:
    found = replace(ALL_GOOD, dkim=(DKIMResult(DKIMStatus.PERMERROR, problem="bad tags"),))
    result = parsed(authentication_results(US, IP, found))[1]
    assert (result.result, result.reason, result.properties) == ("permerror", "bad tags", [])


def test_ipv6_address_is_quoted() -> None:
    field = authentication_results(US, ip_address("2001:db8::10"), ALL_GOOD)
    assert b'policy.iprev="2001:db8::10";' in field
    assert properties(parsed(field)[0]) == {"policy.iprev": "2001:db8::10"}


@pytest.mark.parametrize("status", [s for s in IPRevStatus if s is not IPRevStatus.PASS])
def test_iprev_says_why(status: IPRevStatus) -> None:
    iprev = IPRevResult(status, problem="no PTR record", authentic=True)
    field = authentication_results(US, IP, replace(ALL_GOOD, iprev=iprev))
    line = f'\tiprev={status} (with dnssec) reason="no PTR record" policy.iprev=192.0.2.10;'
    assert line.encode() in field.replace(b"\r\n\tpolicy", b" policy")


def test_overrides_are_in_the_comment() -> None:
    dmarc = replace(ALL_GOOD.dmarc, status=DMARCStatus.FAIL, authentic=True)
    field = authentication_results(
        US, IP, replace(ALL_GOOD, dmarc=dmarc), overrides=("mailing_list", "sampled_out")
    )
    assert b"\tdmarc=fail (with dnssec, override mailing_list,sampled_out)" in field
    assert parsed(field)[3].result == "fail"


def test_testing_mode_is_an_override() -> None:
    dmarc = replace(ALL_GOOD.dmarc, status=DMARCStatus.FAIL, policy_test_mode=True)
    field = authentication_results(US, IP, replace(ALL_GOOD, dmarc=dmarc))
    assert b"\tdmarc=fail (without dnssec, override policy_test_mode)" in field


@pytest.mark.parametrize(
    ("arc", "expected"),
    [
        (ARCResult(ARCStatus.PASS, 3, (GOOD,), 2), "arc=pass (i=3) header.oldest-pass=2"),
        (
            ARCResult(ARCStatus.FAIL, 2, problem="i=1: bad seal"),
            'arc=fail (i=2) reason="i=1: bad seal"',
        ),
        (ARCResult(ARCStatus.TEMPERROR, 1), "arc=temperror (i=1)"),
    ],
)
def test_chain_comes_last(arc: ARCResult, expected: str) -> None:
    field = authentication_results(US, IP, replace(ALL_GOOD, arc=arc))
    assert field.decode().endswith(f";\r\n\t{expected}\r\n")
    assert parsed(field)[-1].method == "arc"


def test_names_in_other_scripts() -> None:
    us, sender = parse_domain("post.köln.example"), parse_domain("bücher.example")
    signed = replace(SIGNED, sdid=sender, auid="ü@bücher.example")
    found = replace(
        ALL_GOOD, dkim=(signed,), dmarc=DMARCResult(DMARCStatus.FAIL, header_from=sender)
    )
    ascii_field = authentication_results(us, IP, found)
    assert ascii_field.isascii()
    assert b"Authentication-Results: post.xn--kln-sna.example;" in ascii_field
    assert b"header.d=xn--bcher-kva.example" in ascii_field
    assert b'header.i="?@b?cher.example"' in ascii_field
    field = authentication_results(us, IP, found, smtputf8=True).decode()
    assert "Authentication-Results: post.köln.example;" in field
    assert "header.d=bücher.example" in field
    assert 'header.i="ü@bücher.example"' in field
    assert "header.from=bücher.example" in field


def test_reasons_are_cut_and_huge_values_left_out() -> None:
    huge = replace(
        SIGNED, status=DKIMStatus.FAIL, problem="x y" * 9999, selector="s" * 9999, auid="@" * 9999
    )
    field = authentication_results(US, IP, replace(ALL_GOOD, dkim=(huge,)))
    assert max(map(len, field.split(b"\r\n"))) <= MAX_REASON + 20
    assert b"header.s" not in field
    assert b"header.i" not in field


EVIL = [
    "a\r\nX-Evil: yes",
    "a\nb",
    "a\rb",
    "a\0b",
    "a; dkim=pass header.d=bank.example",
    'a" header.d=bank.example; "',
    "a\\",
    '\\" x',
    "a (comment",
    "a) comment",
    "((((",
    "x\u2028y\u0085z",
    "\ud800",
    "ünï",
    "=?utf-8?q?=0D=0A?=",
    " ",
    "\t",
]


@pytest.mark.parametrize("smtputf8", [False, True])
@pytest.mark.parametrize("evil", EVIL)
def test_values_from_the_network_cannot_inject(evil: str, smtputf8: bool) -> None:
    check_harmless(evil, smtputf8)


@given(st.text(st.characters() | st.sampled_from('\r\n\t\\"();=@ '), max_size=300), st.booleans())
def test_no_value_can_inject(evil: str, smtputf8: bool) -> None:
    check_harmless(evil, smtputf8)


def check_harmless(evil: str, smtputf8: bool) -> None:
    bad = DKIMResult(DKIMStatus.FAIL, GOOD, evil, evil, evil, evil, 1024, evil)
    found = Authentication(
        IPRevResult(IPRevStatus.FAIL, problem=evil),
        SPFResult(SPFStatus.FAIL, "mailfrom", GOOD, evil, evil, evil),
        (bad,),
        DMARCResult(DMARCStatus.FAIL, GOOD, problem=evil),
        ARCResult(ARCStatus.FAIL, 1, problem=evil),
    )
    field = authentication_results(US, IP, found, smtputf8=smtputf8)
    assert smtputf8 or field.isascii()
    assert [(r.method, r.result) for r in parsed(field)] == [
        ("iprev", "fail"),
        ("dkim", "fail"),
        ("spf", "fail"),
        ("dmarc", "fail"),
        ("arc", "fail"),
    ]
    assert properties(parsed(field)[1])["header.d"] == "good.example"
    message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(field + b"\r\n")
    assert message.keys() == ["Authentication-Results"]


_domains = st.sampled_from([GOOD, parse_domain("bücher.example"), Domain("a.b", "a.b")])
_texts = st.text(max_size=30)


@given(
    st.lists(
        st.builds(DKIMResult, st.sampled_from(DKIMStatus), st.none() | _domains, _texts, _texts),
        max_size=4,
    ),
    st.builds(SPFResult, st.sampled_from(SPFStatus), domain=st.none() | _domains, problem=_texts),
    st.builds(DMARCResult, st.sampled_from(DMARCStatus), st.none() | _domains, problem=_texts),
    st.booleans(),
)
def test_any_results_can_be_read_again(
    dkim: list[DKIMResult], spf: SPFResult, dmarc: DMARCResult, smtputf8: bool
) -> None:
    found = replace(ALL_GOOD, dkim=tuple(dkim), spf=spf, dmarc=dmarc)
    results = parsed(authentication_results(US, IP, found, smtputf8=smtputf8))
    words = [r.status.value for r in dkim] or ["none"]
    assert [r.result for r in results] == ["pass", *words, spf.status.value, dmarc.status.value]
