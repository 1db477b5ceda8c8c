"""DMARC records: what is recognised, what is passed over, what cannot be used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.dmarcrecord import (
    MAX_RECORD_OCTETS,
    MAX_REPORT_URIS,
    RecordError,
    format_record,
    is_record,
    parse_record,
    parse_report_permission,
)
from mox.mailauth.results import DMARCRecord

REJECT = DMARCRecord(policy="reject")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1", True),
        ("v=DMARC1;", True),
        ("v=DMARC1; p=none", True),
        ("v\t= DMARC1 ;p=none", True),
        ("V=DMARC1;p=none", True),
        ("v=dmarc1;p=none", False),
        ("v=DMARC10;p=none", False),
        ("v=DMARC1 p=none", False),
        (" v=DMARC1;p=none", False),
        ("p=none;v=DMARC1", False),
        ("v=DMARC1\n;p=none", False),
        ("v=spf1 -all", False),
        ("", False),
    ],
)
def test_version_must_be_first_and_exact(text: str, expected: bool) -> None:
    assert is_record(text) is expected
    if not expected:
        with pytest.raises(RecordError, match="v=DMARC1"):
            parse_record(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 9989 Appendix B.2.
        (
            "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com",
            DMARCRecord(aggregate_reports=(("mailto:dmarc-feedback@example.com", 0),)),
        ),
        (
            "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; "
            "ruf=mailto:auth-reports@thirdparty.example.net",
            DMARCRecord(
                aggregate_reports=(("mailto:dmarc-feedback@example.com", 0),),
                failure_reports=(("mailto:auth-reports@thirdparty.example.net", 0),),
            ),
        ),
        (
            "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,"
            "mailto:tld-test@thirdparty.example.net; t=y",
            DMARCRecord(
                policy="quarantine",
                aggregate_reports=(
                    ("mailto:dmarc-feedback@example.com", 0),
                    ("mailto:tld-test@thirdparty.example.net", 0),
                ),
                testing=True,
            ),
        ),
        ("v=DMARC1;p=reject", REJECT),
        ("v=DMARC1 ; p = reject ;", REJECT),
        ("v=DMARC1;P=REJECT", REJECT),
        ("v=DMARC1;;;p=reject;;", REJECT),
        ("v=DMARC1; adkim=r; p=reject", REJECT),
        ("v=DMARC1;p=reject;sp=none", replace(REJECT, subdomain_policy="none")),
        ("v=DMARC1;p=reject;np=quarantine", replace(REJECT, nonexistent_policy="quarantine")),
        ("v=DMARC1;p=reject;adkim=s", replace(REJECT, dkim_strict=True)),
        ("v=DMARC1;p=reject;aspf=S", replace(REJECT, spf_strict=True)),
        ("v=DMARC1;p=reject;psd=y", replace(REJECT, public_suffix="y")),
        ("v=DMARC1;p=reject;psd=N", replace(REJECT, public_suffix="n")),
        ("v=DMARC1;p=reject;psd=u", REJECT),
        ("v=DMARC1;p=reject;pct=0", replace(REJECT, percent=0)),
        ("v=DMARC1;p=reject;pct=50 ;ri= 3600", replace(REJECT, percent=50, interval_s=3600)),
        ("v=DMARC1;p=reject;ri=0", replace(REJECT, interval_s=0)),
        ("v=DMARC1;p=reject;ri=4294967295", replace(REJECT, interval_s=4294967295)),
        ("v=DMARC1;p=reject;fo=1:d:S", replace(REJECT, failure_options="1:d:s")),
        ("v=DMARC1;p=reject;rf=afrf;unknown=tag", REJECT),
    ],
)
def test_tags_are_read(text: str, expected: DMARCRecord) -> None:
    assert parse_record(text) == replace(expected, text=text)


@pytest.mark.parametrize(
    "tag",
    [
        "adkim=x",
        "aspf=strict",
        "t=yes",
        "psd=maybe",
        "pct=101",
        "pct=-1",
        "pct=5%",
        "pct=٥",
        "ri=4294967296",
        "ri=99999999999999999999999",
        "ri=daily",
        "fo=2",
        "fo=1:x",
        "rua=",
        "rua=nobody@example.org",
        "rua=mailto:",
        "ruf=mailto:a b@example.org",
        "rua=mailto:ü@example.org",
        "no value",
        "=x",
        "1=2",
        "sp",
    ],
)
def test_value_that_does_not_fit_is_as_if_absent(tag: str) -> None:
    text = f"v=DMARC1;p=reject;{tag}"
    assert parse_record(text) == replace(REJECT, text=text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mailto:A.b@Example.org", (("mailto:A.b@Example.org", 0),)),
        ("mailto:a@example.org!10m", (("mailto:a@example.org", 10 << 20),)),
        ("mailto:a@example.org!7K", (("mailto:a@example.org", 7 << 10),)),
        ("mailto:a@example.org!2g", (("mailto:a@example.org", 2 << 30),)),
        ("mailto:a@example.org!1t", (("mailto:a@example.org", 1 << 40),)),
        ("mailto:a@example.org!512", (("mailto:a@example.org", 512),)),
        ("mailto:a@example.org!", ()),
        ("mailto:a@example.org!10x", ()),
        ("mailto:a@example.org!1!2", ()),
        ("https://example.org/r?x=1", (("https://example.org/r?x=1", 0),)),
        ("mailto:a%2Cb%21@example.org", (("mailto:a%2Cb%21@example.org", 0),)),
        (
            "mailto:a@example.org , mailto:b@example.org",
            (("mailto:a@example.org", 0), ("mailto:b@example.org", 0)),
        ),
        ("nothing,,mailto:b@example.org,", (("mailto:b@example.org", 0),)),
        ("mailto:b@example.org,mailto:b@example.org", (("mailto:b@example.org", 0),)),
    ],
)
def test_report_addresses_keep_case_and_size(
    value: str, expected: tuple[tuple[str, int], ...]
) -> None:
    record = parse_record(f"v=DMARC1;p=none;rua={value};ruf={value}")
    assert record.aggregate_reports == expected
    assert record.failure_reports == expected


def test_addresses_are_limited_in_number() -> None:
    uris = ",".join(f"mailto:a{n}@example.org" for n in range(100))
    record = parse_record(f"v=DMARC1;p=none;rua={uris}")
    assert len(record.aggregate_reports) == MAX_REPORT_URIS
    assert record.aggregate_reports[0] == ("mailto:a0@example.org", 0)


@pytest.mark.parametrize(
    "tags",
    ["", "sp=reject", "p=", "p=rejected", "p=reject;sp=no", "p=reject;np=no", "p=rej ect"],
)
def test_without_valid_policy_only_reports_make_sense(tags: str) -> None:
    with pytest.raises(RecordError, match="no valid policy"):
        parse_record(f"v=DMARC1;{tags}")
    with_reports = f"v=DMARC1;{tags};rua=mailto:a@example.org"
    assert parse_record(with_reports) == DMARCRecord(
        aggregate_reports=(("mailto:a@example.org", 0),), text=with_reports
    )
    with pytest.raises(RecordError, match="no valid policy"):
        parse_record(f"v=DMARC1;{tags};rua=not a uri")


@pytest.mark.parametrize("tags", ["p=none;p=reject", "p=none;P=none", "p=none;x=1;x=2"])
def test_tag_that_comes_twice_spoils_the_record(tags: str) -> None:
    with pytest.raises(RecordError, match="twice"):
        parse_record(f"v=DMARC1;{tags}")


@pytest.mark.parametrize("tags", ["psd=n", "psd=n;p=none;p=none", "p=bad;psd=n"])
def test_record_without_use_still_tells_psd(tags: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse_record(f"v=DMARC1;{tags}")
    assert caught.value.public_suffix == "n"


def test_too_long_record_is_refused() -> None:
    with pytest.raises(RecordError, match="longer"):
        parse_record("v=DMARC1;p=none;" + "x" * MAX_RECORD_OCTETS)


def test_permission_for_reports_needs_no_policy() -> None:
    assert parse_report_permission("v=DMARC1").aggregate_reports == ()
    text = "v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net"
    expected = (("mailto:aggregate-reports@thirdparty.example.net", 0),)
    assert parse_report_permission(text).aggregate_reports == expected
    with pytest.raises(RecordError):
        parse_report_permission("v=DMARC2")


_policies = st.sampled_from(["none", "quarantine", "reject"])
_uris = st.lists(
    st.tuples(
        st.from_regex(r"(mailto|https):[A-Za-z0-9@._~%/-]{1,20}", fullmatch=True),
        st.integers(0, 10**17),
    ),
    max_size=4,
    unique=True,
).map(tuple)
_records = st.builds(
    DMARCRecord,
    policy=_policies,
    subdomain_policy=st.none() | _policies,
    nonexistent_policy=st.none() | _policies,
    dkim_strict=st.booleans(),
    spf_strict=st.booleans(),
    aggregate_reports=_uris,
    failure_reports=_uris,
    percent=st.integers(0, 100),
    testing=st.booleans(),
    public_suffix=st.sampled_from(["y", "n", "u"]),
    failure_options=st.sampled_from(["0", "1", "d", "s", "1:d", "0:d:s", "d:s:1"]),
    interval_s=st.integers(0, (1 << 32) - 1),
)


@given(_records)
def test_formatted_record_reads_the_same(record: DMARCRecord) -> None:
    text = format_record(record)
    assert parse_record(text) == replace(record, text=text)


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["v=DMARC1", ";", "p=reject", "p", "=", "rua=", "mailto:a@b", ",", "!", "9" * 20, " "]
        )
    ).map("".join)
)
def test_any_text_gives_a_record_or_the_record_error(text: str) -> None:
    for given_text in (text, f"v=DMARC1;{text}"):
        try:
            record = parse_record(given_text)
        except RecordError:
            continue
        assert record.text == given_text
        assert parse_record(format_record(record)).policy == record.policy


@pytest.mark.parametrize("text", ["v" + " " * 1_000_000, "v=DMARC1;" + "a " * 500_000, "=" * 10**6])
def test_megabyte_of_text_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        parse_record(text)
