"""MTA-STS records and policies (RFC 8461 §3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns import Answer, Status
from mox.tlspolicy.mtasts import (
    MAX_MAX_AGE_S,
    Found,
    Mode,
    MTASTSError,
    Policy,
    Record,
    format_policy,
    lookup_record,
    parse_policy,
    parse_record,
)
from tests.support.dnsrecords import record_of

# RFC 8461 §3.2.
EXAMPLE = (
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
    "mx: backupmx.example.com\r\nmax_age: 604800\r\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=STSv1; id=20160831085700Z;", Record("20160831085700Z")),  # RFC 8461 §3.1
        ("v=STSv1;id=a", Record("a")),
        ("v=STSv1 ;\tid=A1 ", Record("A1")),
        ("v=STSv1; id=" + "a" * 32, Record("a" * 32)),
        ("v=STSv1; x-y.z_1=*!; id=1", Record("1", (("x-y.z_1", "*!"),))),
    ],
)
def test_records(text: str, expected: Record) -> None:
    assert parse_record(text) == expected
    assert parse_record(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=STSv1",
        "v=STSv1;",
        "v=STSv2; id=1",
        "v=stsv1; id=1",
        "id=1; v=STSv1",
        "v=STSv1; id=",
        "v=STSv1; id=a-b",
        "v=STSv1; id=" + "a" * 33,
        "v=STSv1; id=1; id=2",
        "v=STSv1; id = 1",
        "v=STSv1; id=1; x",
        "v=STSv1; id=1; =x",
        "v=STSv1; id=1; x=a=b",
        "v=STSv1; id=1; " + "x" * 33 + "=1",
        "v=STSv1; id=1;;",
    ],
)
def test_bad_records(text: str) -> None:
    with pytest.raises(MTASTSError):
        parse_record(text)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (['"v=STSv1; id=1"'], Found.RECORD),
        (['"v=ST" "Sv1; id=1"', '"v=spf1 -all"', '"v=STSv10; id=1"'], Found.RECORD),
        (['"v=spf1 -all"'], Found.NONE),
        ([], Found.NONE),
        (['"v=STSv1; id=1"', '"v=STSv1; id=2"'], Found.SEVERAL),
        (['"v=STSv1; no"'], Found.BAD),
        (['"v=STSv1"'], Found.BAD),
    ],
)
def test_lookup(texts: list[str], found: Found) -> None:
    records = tuple(record_of("TXT", text) for text in texts)
    status = Status.OK if records else Status.NXDOMAIN
    asked = []

    def query(name: str, rdtype: str) -> Answer:
        asked.append((name, rdtype))
        return Answer(status, records)

    result = lookup_record(query, "example.org")
    assert result.found is found
    assert (result.record is not None) == (found is Found.RECORD)
    assert asked == [("_mta-sts.example.org", "TXT")]


def test_lookup_that_fails() -> None:
    result = lookup_record(lambda name, rdtype: Answer(Status.TEMPORARY, error="no"), "a.example")
    assert (result.found, result.error) == (Found.TEMPORARY, "no")


def test_example_policy() -> None:
    policy = parse_policy(EXAMPLE)
    assert policy == Policy(
        Mode.ENFORCE,
        ("mail.example.com", "*.example.net", "backupmx.example.com"),
        604800,
        EXAMPLE,
    )
    assert policy.lines == tuple(EXAMPLE.split("\r\n")[:-1])


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("\r\n", "\n"),
        EXAMPLE.rstrip(),
        EXAMPLE.replace(": ", ":"),
        EXAMPLE.replace("\r\n", " \t\r\n"),
        EXAMPLE + "\r\n",
        EXAMPLE + "x-new_key.1: anything: goes\r\n",
        EXAMPLE + "mode: none\r\nmax_age: 1\r\nversion: STSv2\r\n",  # the first counts
        EXAMPLE.replace("mail.example.com", "MAIL.Example.com"),
        EXAMPLE + "mx: mail.example.com\r\n",
    ],
)
def test_other_forms_of_the_same_policy(text: str) -> None:
    policy = parse_policy(text)
    expected = parse_policy(EXAMPLE)
    assert (policy.mode, policy.mx, policy.max_age_s) == (
        expected.mode,
        expected.mx,
        expected.max_age_s,
    )


def test_policy_of_mode_none_names_no_hosts() -> None:
    policy = parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n")
    assert (policy.mode, policy.mx, policy.max_age_s) == (Mode.NONE, (), MAX_MAX_AGE_S)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: STSv1\r\n", ""),
        ("STSv1", "STSv2"),
        ("enforce", "Enforce"),
        ("enforce", ""),
        ("mode: enforce\r\n", ""),
        ("max_age: 604800\r\n", ""),
        ("604800", "1week"),
        ("604800", "-1"),
        ("604800", "12345678901"),
        ("mx: mail.example.com", "mx mail.example.com"),
        ("mail.example.com", "*"),
        ("mail.example.com", "mail.*.com"),
        ("mail.example.com", "mail..com"),
        ("mail.example.com", "mäil.example.com"),
        ("mail.example.com", "mail.example.com."),
        ("mail.example.com", ""),
        ("mx:", "my:"),
        ("mail.example.com", "a" * 64 + ".com"),
    ],
)
def test_bad_policies(old: str, new: str) -> None:
    with pytest.raises(MTASTSError):
        parse_policy(EXAMPLE.replace(old, new))


def test_policy_has_limits() -> None:
    with pytest.raises(MTASTSError):
        parse_policy(EXAMPLE + "x: y\r\n" * 20000)
    with pytest.raises(MTASTSError):
        parse_policy(EXAMPLE + "".join(f"mx: h{n}.example\n" for n in range(501)))


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("example.com", False),
        ("a.mail.example.com", False),
        ("mx1.example.net", True),
        ("a.mx1.example.net", False),
        ("example.net", False),
        ("*.example.net", True),
        ("", False),
        ("net", False),
    ],
)
def test_hosts_of_a_policy(host: str, covered: bool) -> None:
    assert parse_policy(EXAMPLE).covers(host) is covered


def test_policies_that_we_write_can_be_read() -> None:
    text = format_policy(Mode.TESTING, ("mx.example.org", "*.example.org"), 86400)
    policy = parse_policy(text)
    assert (policy.mode, policy.max_age_s) == (Mode.TESTING, 86400)
    assert policy.mx == ("mx.example.org", "*.example.org")


@given(st.text(max_size=300))
def test_anything_raises_only_our_error(text: str) -> None:
    for parse in (parse_record, parse_policy):
        for candidate in (text, "v=STSv1; " + text, "version: STSv1\n" + text):
            try:
                parse(candidate)
            except MTASTSError:
                continue


@pytest.mark.timeout(20)
@pytest.mark.parametrize("octet", ["a", ";", " ", "=", "\t", "a.", "\n", ":", " ;"])
def test_large_input_is_not_looked_at_over_and_over(octet: str) -> None:
    text = octet * 60000
    for candidate in ("v=STSv1; " + text + "?", "v=STSv1; id=1" + text + "?"):
        with pytest.raises(MTASTSError):
            parse_record(candidate)
    for candidate in ("version: STSv1\nmx: " + text + "?", text + "?"):
        with pytest.raises(MTASTSError):
            parse_policy(candidate)
