"""What is said of a handshake: by certificates, by OpenSSL's words, by replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.tlsio.client import Verification, VerifyFailure
from mox.tlspolicy import dane
from mox.tlspolicy.decision import Ignored
from mox.tlspolicy.handshake import alert_of, check, of_refusal, of_tls_error
from mox.tlspolicy.policy import OPPORTUNISTIC, TLSMode, TLSPolicy
from mox.tlspolicy.report import Problem, ResultType
from mox.tlspolicy.tlsa import TLSA
from tests.tlspolicy.chains import NOW, alone

SERVER = alone("mx.example.org", names=("mx.example.org",))
RIGHT = TLSA(3, 1, 1, dane.association(1, 1, SERVER.cert))
WRONG = TLSA(3, 1, 1, bytes(32))
REQUIRED = TLSMode.REQUIRED
NO_MATCH = Problem(ResultType.VALIDATION_FAILURE, "dane-no-match")
UNTRUSTED = Problem(ResultType.CERTIFICATE_NOT_TRUSTED, "self-signed-certificate")


def verification(*, ok: bool) -> Verification:
    found = Verification("mx.example.org")
    if not ok:
        found.add(VerifyFailure.NOT_TRUSTED, "self signed certificate (certificate 0)")
    return found


@pytest.mark.parametrize(
    ("policy", "trusted", "fails", "of_domain", "of_host"),
    [
        (OPPORTUNISTIC, True, False, (), ()),
        # Evaluated and reported, though nobody asked.
        (OPPORTUNISTIC, False, False, (UNTRUSTED,), ()),
        (TLSPolicy(REQUIRED), False, False, (UNTRUSTED,), ()),
        (TLSPolicy(REQUIRED, verify=True), True, False, (), ()),
        (TLSPolicy(REQUIRED, verify=True), False, True, (UNTRUSTED,), ()),
        (TLSPolicy(REQUIRED, tlsa=(RIGHT,)), False, False, (UNTRUSTED,), ()),
        (TLSPolicy(REQUIRED, tlsa=(WRONG,)), True, True, (), (NO_MATCH,)),
        (TLSPolicy(REQUIRED, tlsa=(WRONG, RIGHT)), True, False, (), ()),
        # Both: each can fail alone.
        (TLSPolicy(REQUIRED, verify=True, tlsa=(RIGHT,)), True, False, (), ()),
        (TLSPolicy(REQUIRED, verify=True, tlsa=(RIGHT,)), False, True, (UNTRUSTED,), ()),
        (TLSPolicy(REQUIRED, verify=True, tlsa=(WRONG,)), True, True, (), (NO_MATCH,)),
    ],
)
def test_certificates_against_policies(
    policy: TLSPolicy,
    trusted: bool,
    fails: bool,
    of_domain: tuple[Problem, ...],
    of_host: tuple[Problem, ...],
) -> None:
    checked = check(policy, verification(ok=trusted), [SERVER.cert], NOW)
    assert bool(checked.failure) is fails
    assert (checked.domain_problems, checked.host_problems) == (of_domain, of_host)
    assert checked.ignored == ()


def test_lenient_policies_ignore_and_say_so() -> None:
    policy = TLSPolicy(REQUIRED, verify=True, tlsa=(WRONG,), lenient=True)
    checked = check(policy, verification(ok=False), [SERVER.cert], NOW)
    assert checked.failure == ""
    assert checked.ignored == (Ignored.PKIX, Ignored.DANE)
    assert (checked.domain_problems, checked.host_problems) == ((UNTRUSTED,), (NO_MATCH,))


@pytest.mark.parametrize(
    ("failure", "result_type"),
    [
        (VerifyFailure.EXPIRED, ResultType.CERTIFICATE_EXPIRED),
        (VerifyFailure.HOST_MISMATCH, ResultType.CERTIFICATE_HOST_MISMATCH),
    ],
)
def test_words_of_reports_for_certificates(failure: VerifyFailure, result_type: ResultType) -> None:
    found = Verification("x")
    found.add(failure, "whatever")
    checked = check(OPPORTUNISTIC, found, [SERVER.cert], NOW)
    assert checked.domain_problems == (Problem(result_type),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ssl/tls alert handshake failure", "tls-remote-alert-40-handshake-failure"),
        ("sslv3 alert handshake failure", "tls-remote-alert-40-handshake-failure"),
        ("tlsv1 alert protocol version", "tls-remote-alert-70-protocol-version"),
        ("tlsv1 alert internal error", "tls-remote-alert-80-internal-error"),
        ("tlsv13 alert certificate required", "tls-remote-alert-116-certificate-required"),
        ("tlsv1 alert something new", "tls-remote-alert-something-new"),
        ("wrong version number", "tls-record-header-error"),
        ("http request", "tls-record-header-error"),
        ("no shared cipher", "tls-no-shared-cipher"),
    ],
)
def test_words_of_reports_for_broken_handshakes(text: str, reason: str) -> None:
    assert of_tls_error(text) == Problem(ResultType.VALIDATION_FAILURE, reason)
    assert (alert_of(text) is not None) == ("alert" in text)


def test_words_of_reports_for_replies() -> None:
    expected = Problem(ResultType.STARTTLS_NOT_SUPPORTED, "smtp-starttls-reply-code-454")
    assert of_refusal(454) == expected


@given(st.text())
def test_reasons_fit_into_reports(text: str) -> None:
    reason = of_tls_error(text).reason
    assert reason.isprintable()
    assert reason.isascii()
    assert " " not in reason
    assert len(reason) < 300
