"""Results of an attempt for reports (RFC 8460 §4)."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mox.tlspolicy.collect import TLSSession, results_of
from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.report import (
    MAX_DETAILS,
    FailureDetail,
    Problem,
    ResultType,
    TLSResult,
    merged,
)
from mox.tlspolicy.tlsa import NO_TLSA, TLSA, TLSALookup

STS = Policy(Mode.ENFORCE, ("h1.example", "h2.example"), 86400)
RECORD = TLSA(3, 1, 1, bytes(32))
DANE = TLSALookup("h2.example", (RECORD,))
EXPIRED = Problem(ResultType.CERTIFICATE_EXPIRED)
NO_MATCH = Problem(ResultType.VALIDATION_FAILURE, "dane-no-match")


def session(
    host: str, success: bool | None = True, tlsa: TLSALookup = NO_TLSA, **problems: object
) -> TLSSession:
    return TLSSession(host=host, tlsa=tlsa, success=success, **problems)  # type: ignore[arg-type]


def test_session_counts_for_domain_and_host() -> None:
    domain, host = results_of("a.example", None, (), [session("h1.example")])
    assert (domain.policy_domain, domain.is_host) == ("a.example", False)
    assert domain.results == (TLSResult("no-policy-found", (), "a.example", success=1),)
    assert (host.policy_domain, host.is_host) == ("h1.example", True)
    assert host.results == (TLSResult("no-policy-found", (), "h1.example", success=1),)


def test_policies_are_told() -> None:
    domain, host = results_of("a.example", STS, (), [session("h2.example", tlsa=DANE)])
    assert domain.results == (
        TLSResult(
            "sts",
            (
                "version: STSv1",
                "mode: enforce",
                "mx: h1.example",
                "mx: h2.example",
                "max_age: 86400",
            ),
            "a.example",
            ("h1.example", "h2.example"),
            success=1,
        ),
    )
    assert host.results == (TLSResult("tlsa", (f"3 1 1 {'00' * 32}",), "h2.example", success=1),)


def test_problems_go_where_they_belong() -> None:
    one = session(
        "h2.example",
        False,
        DANE,
        problems=(Problem(ResultType.VALIDATION_FAILURE, "x"),),
        domain_problems=(EXPIRED,),
        host_problems=(NO_MATCH,),
        sending_ip="192.0.2.1",
        receiving_ip="192.0.2.2",
        helo="h2 ESMTP",
    )
    domain, host = results_of("a.example", None, (), [one])
    [found] = domain.results
    assert (found.success, found.failure) == (0, 1)
    assert found.details == (
        FailureDetail(
            "validation-failure", "x", "192.0.2.1", "h2.example", "h2 ESMTP", "192.0.2.2"
        ),
        FailureDetail(
            "certificate-expired", "", "192.0.2.1", "h2.example", "h2 ESMTP", "192.0.2.2"
        ),
    )
    [found] = host.results
    assert [detail.result_type for detail in found.details] == ["validation-failure"] * 2
    assert [detail.reason for detail in found.details] == ["x", "dane-no-match"]


def test_hosts_are_apart_and_the_domain_has_all() -> None:
    sessions = [session("h1.example", False), session("h2.example", tlsa=DANE)]
    domain, first, second = results_of("a.example", STS, (), sessions)
    assert (domain.results[0].success, domain.results[0].failure) == (1, 1)
    assert (first.results[0].success, first.results[0].failure) == (0, 1)
    assert (second.results[0].success, second.results[0].failure) == (1, 0)


def test_starttls_that_nobody_offered_is_no_failure_but_told() -> None:
    problem = Problem(ResultType.STARTTLS_NOT_SUPPORTED)
    domain, _ = results_of("a.example", None, (), [session("h1.example", None, problems=[problem])])
    [found] = domain.results
    assert (found.success, found.failure) == (0, 0)
    assert found.details[0].result_type == "starttls-not-supported"
    assert found.has_failure


def test_problems_of_the_policy_are_the_domains() -> None:
    problem = Problem(ResultType.STS_POLICY_FETCH_ERROR, "dns-lookup")
    [domain] = results_of("a.example", None, (problem,), [])
    assert domain.results[0].details == (FailureDetail("sts-policy-fetch-error", "dns-lookup"),)


def test_domain_that_is_its_own_host_is_told_once() -> None:
    own = TLSALookup("a.example", (RECORD,))
    [only] = results_of("a.example", None, (), [session("a.example", tlsa=own)])
    assert (only.is_host, only.results[0].policy_type) == (True, "tlsa")
    [only] = results_of("a.example", None, (), [session("a.example")])
    assert (only.is_host, only.results[0].policy_type) == (False, "no-policy-found")
    both = results_of("a.example", STS, (), [session("a.example", tlsa=own)])
    assert [one.results[0].policy_type for one in both] == ["sts", "tlsa"]


def test_tlsa_lookup_that_failed_is_about_tlsa() -> None:
    broken = TLSALookup("h1.example", (), "SERVFAIL")
    problem = Problem(ResultType.TLSA_INVALID, "dns-lookup")
    one = session("h1.example", False, broken, host_problems=[problem])
    _, host = results_of("a.example", None, (), [one])
    assert (host.results[0].policy_type, host.results[0].failure) == ("tlsa", 1)


def test_results_that_are_equal_add_up() -> None:
    detail = FailureDetail("certificate-expired")
    one = TLSResult("sts", ("x",), "a.example", (), 1, 2, (detail,))
    other = TLSResult("tlsa", ("x",), "a.example", (), 5, 0)
    first, second = merged([one, other, one])
    assert (first.success, first.failure) == (2, 4)
    assert first.details == (FailureDetail("certificate-expired", sessions=2),)
    assert second == other


DETAILS = st.builds(FailureDetail, st.sampled_from("abc"), st.sampled_from("xy"))
RESULTS = st.lists(
    st.builds(
        TLSResult,
        st.sampled_from(["sts", "tlsa"]),
        st.just(()),
        st.sampled_from(["a", "b"]),
        st.just(()),
        st.integers(0, 9),
        st.integers(0, 9),
        st.lists(DETAILS, max_size=5).map(tuple),
    ),
    max_size=20,
)


@given(RESULTS, st.integers(0, 20))
def test_merging_loses_nothing_and_order_is_free(results: list[TLSResult], at: int) -> None:
    def total(found: object, count: Callable[[TLSResult], int]) -> int:
        return sum(count(one) for one in found)  # type: ignore[attr-defined]

    found = merged(results)
    assert len({one.policy for one in found}) == len(found)
    for count in (
        lambda one: one.success,
        lambda one: one.failure,
        lambda one: sum(detail.sessions for detail in one.details),
    ):
        assert total(found, count) == total(results, count)
    step_by_step = merged([*merged(results[:at]), *merged(results[at:])])
    assert {one.policy: (one.success, one.failure) for one in step_by_step} == {
        one.policy: (one.success, one.failure) for one in found
    }


def test_details_are_bounded() -> None:
    results = [
        TLSResult("sts", details=(FailureDetail("x", str(n)),), failure=1)
        for n in range(MAX_DETAILS + 50)
    ]
    [found] = merged(results)
    assert len(found.details) == MAX_DETAILS
    assert found.failure == MAX_DETAILS + 50
