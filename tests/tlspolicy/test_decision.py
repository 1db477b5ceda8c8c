"""DANE, MTA-STS and the message's wish together: the whole table."""

from __future__ import annotations

import pytest

from mox.tlspolicy.decision import ALL_UNUSABLE, MX_MISMATCH, Ignored, Refusal, decide
from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.policy import TLSMode, TLSPolicy
from mox.tlspolicy.report import Problem, ResultType
from mox.tlspolicy.tlsa import NO_TLSA, TLSA, TLSALookup

HOST = "mx.example.org"
NAMES = (HOST, "example.org")
EE = TLSA(3, 1, 1, bytes(32))
PKIX = TLSA(1, 1, 1, bytes(32))

NONE = NO_TLSA
DANE = TLSALookup(HOST, (EE, PKIX))
UNUSABLE = TLSALookup(HOST, (PKIX,))
BROKEN = TLSALookup(HOST, (), "SERVFAIL")

ENFORCE = Policy(Mode.ENFORCE, (HOST,), 1)
TESTING = Policy(Mode.TESTING, (HOST,), 1)
ENFORCE_OTHER = Policy(Mode.ENFORCE, ("other.example.org",), 1)
TESTING_OTHER = Policy(Mode.TESTING, ("other.example.org",), 1)

OPPORTUNISTIC, REQUIRED = TLSMode.OPPORTUNISTIC, TLSMode.REQUIRED
MISMATCH, UNKNOWN, NOBODY = (
    Refusal.MX_MISMATCH,
    Refusal.TLSA_UNKNOWN,
    Refusal.NOT_AUTHENTICATED,
)


# (MTA-STS, DANE) → (mode, verified by authorities, verified by TLSA) or a refusal.
ORDINARY = [
    (None, NONE, (OPPORTUNISTIC, False, False)),
    (TESTING, NONE, (OPPORTUNISTIC, False, False)),
    (TESTING_OTHER, NONE, (OPPORTUNISTIC, False, False)),
    (ENFORCE, NONE, (REQUIRED, True, False)),
    (ENFORCE_OTHER, NONE, MISMATCH),
    (None, DANE, (REQUIRED, False, True)),
    (TESTING, DANE, (REQUIRED, False, True)),
    (ENFORCE, DANE, (REQUIRED, True, True)),
    (ENFORCE_OTHER, DANE, MISMATCH),
    (None, UNUSABLE, (REQUIRED, False, False)),
    (TESTING, UNUSABLE, (REQUIRED, False, False)),
    (ENFORCE, UNUSABLE, (REQUIRED, True, False)),
    (None, BROKEN, UNKNOWN),
    (TESTING, BROKEN, UNKNOWN),
    (ENFORCE, BROKEN, UNKNOWN),
    (ENFORCE_OTHER, BROKEN, MISMATCH),
]
# RFC 8689 §4.2.1: what does not authenticate the host is not enough.
REQUIRETLS = [
    (None, NONE, NOBODY),
    (TESTING, NONE, NOBODY),
    (ENFORCE, NONE, (REQUIRED, True, False)),
    (ENFORCE_OTHER, NONE, MISMATCH),
    (None, DANE, (REQUIRED, False, True)),
    (ENFORCE, DANE, (REQUIRED, True, True)),
    (None, UNUSABLE, NOBODY),
    (TESTING, UNUSABLE, NOBODY),
    (ENFORCE, UNUSABLE, (REQUIRED, True, False)),
    (None, BROKEN, UNKNOWN),
]


@pytest.mark.parametrize(
    ("require_tls", "sts", "tlsa", "expected"),
    [(None, *row) for row in ORDINARY] + [(True, *row) for row in REQUIRETLS],
)
def test_table(
    require_tls: bool | None,
    sts: Policy | None,
    tlsa: TLSALookup,
    expected: Refusal | tuple[TLSMode, bool, bool],
) -> None:
    decision = decide(HOST, sts, tlsa, NAMES, require_tls)
    if isinstance(expected, Refusal):
        assert (decision.refusal, decision.policy) == (expected, None)
        return
    mode, verify, by_tlsa = expected
    records, names = ((EE,), NAMES) if by_tlsa else ((), ())
    assert decision.refusal is None
    assert decision.policy == TLSPolicy(mode, verify, records, names)
    assert decision.ignored == ()
    assert decision.policy.authenticates is (verify or by_tlsa)
    assert decision.policy.may_fall_back is (mode is OPPORTUNISTIC)


@pytest.mark.parametrize(
    ("sts", "tlsa", "ignored"),
    [
        (None, NONE, ()),
        (ENFORCE, NONE, ()),
        (ENFORCE, DANE, ()),
        (TESTING_OTHER, NONE, ()),
        (ENFORCE_OTHER, NONE, (Ignored.STS_MX,)),
        (None, BROKEN, (Ignored.TLSA,)),
        (ENFORCE_OTHER, BROKEN, (Ignored.STS_MX, Ignored.TLSA)),
    ],
)
def test_tls_required_no_is_always_delivered(
    sts: Policy | None, tlsa: TLSALookup, ignored: tuple[Ignored, ...]
) -> None:
    decision = decide(HOST, sts, tlsa, NAMES, False)
    assert decision.refusal is None
    assert decision.ignored == ignored
    assert decision.policy is not None
    assert decision.policy.lenient
    assert decision.policy.may_fall_back
    assert not decision.policy.authenticates


@pytest.mark.parametrize("require_tls", [None, True, False])
@pytest.mark.parametrize(
    ("sts", "tlsa", "of_domain", "of_host"),
    [
        (None, NONE, (), ()),
        (ENFORCE, DANE, (), ()),
        (TESTING_OTHER, NONE, (MX_MISMATCH,), ()),
        (ENFORCE_OTHER, DANE, (MX_MISMATCH,), ()),
        (None, UNUSABLE, (), (ALL_UNUSABLE,)),
        (TESTING_OTHER, UNUSABLE, (MX_MISMATCH,), (ALL_UNUSABLE,)),
        (None, BROKEN, (), (Problem(ResultType.TLSA_INVALID, "dns-lookup"),)),
    ],
)
def test_problems_are_reported_whatever_is_decided(
    sts: Policy | None,
    tlsa: TLSALookup,
    of_domain: tuple[Problem, ...],
    of_host: tuple[Problem, ...],
    require_tls: bool | None,
) -> None:
    decision = decide(HOST, sts, tlsa, NAMES, require_tls)
    assert decision.domain_problems == of_domain
    assert decision.host_problems == of_host
