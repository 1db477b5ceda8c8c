"""What is kept for DMARC reports."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mox.address import parse_domain
from mox.mailauth.dmarcevaluation import (
    MAX_SIGNATURES,
    DMARCEvaluation,
    PublishedPolicy,
    Signature,
    interval_hours,
    report_evaluation,
)
from mox.mailauth.dmarcrecord import parse_record
from mox.mailauth.results import (
    ARCResult,
    ARCStatus,
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCResult,
    DMARCStatus,
    IPRevResult,
    IPRevStatus,
    SPFResult,
    SPFStatus,
)

SENDER = parse_domain("mail.bücher.example")
RECORD = parse_record("v=DMARC1;p=reject;sp=none;adkim=s;ri=18000;rua=mailto:R@x.example!1m")
FOUND = Authentication(
    IPRevResult(IPRevStatus.PASS, "mail.example"),
    SPFResult(SPFStatus.SOFTFAIL, "mailfrom", parse_domain("bounce.example.net")),
    (
        DKIMResult(DKIMStatus.FAIL, parse_domain("bücher.example"), "a", problem="bad"),
        DKIMResult(DKIMStatus.PASS, parse_domain("provider.example.net"), "b"),
        DKIMResult(DKIMStatus.PERMERROR),
        DKIMResult(DKIMStatus.PASS, SENDER, "c"),
    ),
    DMARCResult(
        DMARCStatus.PASS,
        SENDER,
        parse_domain("bücher.example"),
        RECORD,
        policy="none",
        aligned_dkim=True,
    ),
    ARCResult(ARCStatus.NONE),
)


def make(found: Authentication = FOUND, rejected: bool = False) -> DMARCEvaluation | None:
    return report_evaluation(
        found,
        remote_ip=ip_address("2001:db8::1"),
        envelope_to=parse_domain("mox.example"),
        envelope_from=parse_domain("bounce.example.net"),
        rejected=rejected,
        overrides=("mailing_list",),
        when=1795435200,
    )


def test_values_are_those_of_a_report() -> None:
    assert make() == DMARCEvaluation(
        policy_domain="bücher.example",
        when=1795435200,
        optional=False,
        interval_hours=4,
        addresses=(("mailto:R@x.example", 1 << 20),),
        policy=PublishedPolicy(
            p="reject",
            sp="none",
            np="none",
            adkim="s",
            aspf="r",
            pct=100,
            testing=False,
            fo="0",
            discovery_method="treewalk",
        ),
        source_ip="2001:db8::1",
        disposition="none",
        aligned_dkim=True,
        aligned_spf=False,
        overrides=("mailing_list",),
        envelope_to="mox.example",
        envelope_from="bounce.example.net",
        header_from="mail.bücher.example",
        signatures=(
            Signature(domain="mail.bücher.example", selector="c", result="pass"),
            Signature(domain="provider.example.net", selector="b", result="pass"),
            Signature(domain="bücher.example", selector="a", result="fail", human_result="bad"),
        ),
        spf_domain="bounce.example.net",
        spf_scope="mfrom",
        spf_result="softfail",
    )


def test_refusal_by_policy_is_told() -> None:
    made = make(rejected=True)
    assert made is not None
    assert made.disposition == "reject"


def test_testing_mode_is_a_reason() -> None:
    tested = replace(FOUND.dmarc, policy_test_mode=True)
    made = make(replace(FOUND, dmarc=tested))
    assert made is not None
    assert made.overrides == ("mailing_list", "policy_test_mode")


def test_null_reverse_path_and_helo() -> None:
    found = replace(FOUND, spf=SPFResult(SPFStatus.PASS, "helo", parse_domain("mx.example.net")))
    made = report_evaluation(
        found,
        remote_ip=ip_address("192.0.2.1"),
        envelope_to=parse_domain("mox.example"),
        envelope_from=None,
        rejected=False,
        optional=True,
        rule="rfc7489",
        when=1,
    )
    assert made is not None
    assert made.policy.discovery_method == "psl"
    assert (made.envelope_from, made.spf_scope, made.spf_domain) == ("", "helo", "mx.example.net")
    assert made.optional


@pytest.mark.parametrize(
    "dmarc",
    [
        DMARCResult(DMARCStatus.NONE),
        DMARCResult(DMARCStatus.NONE, header_from=SENDER),
        DMARCResult(DMARCStatus.PERMERROR, header_from=SENDER, record_domain=SENDER),
        replace(FOUND.dmarc, record=parse_record("v=DMARC1;p=reject")),
    ],
)
def test_who_wants_no_report_gets_none(dmarc: DMARCResult) -> None:
    assert make(replace(FOUND, dmarc=dmarc)) is None


def test_signatures_are_limited() -> None:
    found = replace(FOUND, dkim=FOUND.dkim * 100)
    made = make(found)
    assert made is not None
    assert len(made.signatures) == MAX_SIGNATURES


@pytest.mark.parametrize(
    ("seconds", "hours"),
    [
        (0, 1),
        (1, 1),
        (3600, 1),
        (3601, 2),
        (5 * 3600, 4),
        (7 * 3600, 6),
        (86400, 24),
        (1 << 31, 24),
    ],
)
def test_interval_is_one_that_divides_the_day(seconds: int, hours: int) -> None:
    assert interval_hours(seconds) == hours
