"""Chains against TLSA records: RFC 7671 §5, RFC 7672 §3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mox.tlspolicy import dane
from mox.tlspolicy.spki import public_key_info
from mox.tlspolicy.tlsa import TLSA
from tests.tlspolicy.chains import DAY, NOW, Issuer, alone, root

MX = "mx.example.org"


@cache
def ca() -> Issuer:
    return root()


@cache
def middle() -> Issuer:
    return ca().issue("middle", ca=True)


@cache
def server(**options: object) -> Issuer:
    return middle().issue(MX, names=(MX,), **options)


def chain(leaf: Issuer | None = None, *others: Issuer) -> list[x509.Certificate]:
    found = [leaf or server(), *(others or (middle(), ca()))]
    return [one.cert for one in found]


def tlsa(usage: int, selector: int, matching: int, issuer: Issuer) -> TLSA:
    return TLSA(usage, selector, matching, dane.association(selector, matching, issuer.cert))


def verify(
    records: Sequence[TLSA], certs: Sequence[x509.Certificate], names: Sequence[str] = (MX,)
) -> dane.DaneResult:
    return dane.verify(records, certs, names, NOW)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize(("usage", "who"), [(3, server), (2, middle), (2, ca)])
def test_every_selector_and_matching_type(
    usage: int, who: object, selector: int, matching: int
) -> None:
    record = tlsa(usage, selector, matching, who())  # type: ignore[operator]
    assert record.is_usable
    assert verify([record], chain()).record == record


def test_end_entity_needs_neither_name_nor_date_nor_issuer() -> None:
    old = alone("somebody", ends=NOW - DAY, begins=NOW - 9 * DAY)
    assert verify([tlsa(3, 1, 1, old)], [old.cert], names=()).ok


def test_end_entity_record_says_nothing_of_issuers() -> None:
    result = verify([tlsa(3, 1, 1, ca())], chain())
    assert not result.ok
    assert str(result) == "no TLSA record matches the certificate"


def test_trust_anchor_record_does_not_match_a_server_that_has_an_issuer() -> None:
    assert not verify([tlsa(2, 1, 1, server())], chain()).ok


def test_self_signed_server_may_be_its_own_trust_anchor() -> None:
    own = alone(MX, names=(MX,))
    assert verify([tlsa(2, 1, 1, own)], [own.cert]).ok
    assert not verify([tlsa(2, 1, 1, own)], [own.cert], names=("other.example",)).ok


def test_another_record_may_match() -> None:
    wrong, right = tlsa(3, 1, 1, ca()), tlsa(3, 1, 1, server())
    assert verify([wrong, right], chain()).record == right


@pytest.mark.parametrize("names", [("mx.example.net",), (), ("example.org",)])
def test_trust_anchor_needs_a_name(names: tuple[str, ...]) -> None:
    result = verify([tlsa(2, 0, 1, ca())], chain(), names)
    assert not result.ok
    assert "certificate is not for" in str(result)


def test_any_of_the_names_will_do() -> None:
    leaf = middle().issue("x", names=("*.example.org",))
    names = ("base.example", "a.example.org")
    assert verify([tlsa(2, 0, 1, ca())], chain(leaf, middle(), ca()), names).ok


@pytest.mark.parametrize("begins_ends", [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)])
def test_trust_anchor_needs_dates(begins_ends: tuple[object, object]) -> None:
    begins, ends = begins_ends
    leaf = server(begins=begins, ends=ends)
    result = verify([tlsa(2, 0, 1, ca())], chain(leaf, middle(), ca()))
    assert not result.ok
    assert result.problems


def test_trust_anchor_that_expired_is_none() -> None:
    old = root("old", ends=NOW - DAY)
    leaf = old.issue(MX, names=(MX,))
    assert not verify([tlsa(2, 0, 1, old)], chain(leaf, old)).ok


def test_trust_anchor_in_a_chain_that_it_did_not_sign() -> None:
    stranger = alone(MX, names=(MX,))
    result = verify([tlsa(2, 1, 1, ca())], chain(stranger, middle(), ca()))
    assert not result.ok


def test_authority_below_one_that_is_none() -> None:
    # A server's own certificate cannot make others.
    leaf = server().issue(MX, names=(MX,))
    assert not verify([tlsa(2, 1, 1, ca())], chain(leaf, server(), middle(), ca())).ok


def test_full_trust_anchor_need_not_be_sent() -> None:
    certs = chain(server(), middle())
    assert verify([tlsa(2, 0, 0, ca())], certs).ok
    assert not verify([tlsa(2, 0, 1, ca())], certs).ok


def test_bare_key_of_a_trust_anchor_need_not_be_sent() -> None:
    assert verify([tlsa(2, 1, 0, ca())], chain(server(), middle())).ok
    direct = ca().issue(MX, names=(MX,))
    assert verify([tlsa(2, 1, 0, ca())], [direct.cert]).ok
    assert not verify([tlsa(2, 1, 0, root("other"))], chain(server(), middle())).ok


def test_bare_rsa_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    issuer = Issuer(ca().cert, key)  # type: ignore[arg-type]
    leaf = issuer.issue(MX, names=(MX,))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert verify([TLSA(2, 1, 0, public)], [leaf.cert]).ok


def test_certificate_for_clients_only() -> None:
    for usage, expected in (
        (ExtendedKeyUsageOID.SERVER_AUTH, True),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, True),
        (ExtendedKeyUsageOID.CLIENT_AUTH, False),
    ):
        leaf = server(usage=usage)
        assert verify([tlsa(2, 1, 1, ca())], chain(leaf, middle(), ca())).ok is expected


def test_order_of_the_chain_does_not_matter() -> None:
    assert verify([tlsa(2, 1, 1, ca())], chain(server(), ca(), middle())).ok


def test_no_certificate_matches_nothing() -> None:
    assert not verify([tlsa(3, 1, 1, server())], []).ok


def test_key_is_taken_as_it_stands() -> None:
    for issuer in (ca(), server()):
        expected = issuer.key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        assert public_key_info(issuer.cert.public_bytes(Encoding.DER)) == expected


@given(st.data())
def test_broken_certificates_have_no_key(data: st.DataObject) -> None:
    der = server().cert.public_bytes(Encoding.DER)
    cut = data.draw(st.integers(0, 150))
    with pytest.raises(ValueError, match="certificate"):
        public_key_info(der[:cut])


@given(st.binary(max_size=200))
def test_key_of_anything_raises_only_value_error(octets: bytes) -> None:
    try:
        found = public_key_info(octets)
    except ValueError:
        return
    assert found in octets


@given(
    st.lists(
        st.builds(
            TLSA,
            st.integers(0, 255),
            st.integers(0, 255),
            st.integers(0, 255),
            st.one_of(
                st.binary(max_size=64),
                st.just(server().cert.public_bytes(Encoding.DER)),
            ),
        ),
        max_size=4,
    )
)
def test_records_that_nobody_published_never_raise_nor_match(records: list[TLSA]) -> None:
    usable = [record for record in records if record.is_usable]
    result = dane.verify(usable, chain(), (MX,), NOW)
    full = server().cert.public_bytes(Encoding.DER)
    expected = any((r.usage, r.selector, r.matching, r.data) == (3, 0, 0, full) for r in usable)
    assert result.ok is expected


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_certificates_of_any_kind_never_raise_and_never_pass(
    changes: list[tuple[int, int]],
) -> None:
    der = bytearray(server().cert.public_bytes(Encoding.DER))
    for at, octet in changes:
        der[at % len(der)] = octet
    try:
        cert = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    records = [tlsa(2, 0, 1, ca()), tlsa(2, 1, 0, ca()), tlsa(3, 0, 1, server())]
    result = dane.verify(records, [cert, middle().cert, ca().cert], (MX,), NOW)
    if cert.tbs_certificate_bytes != server().cert.tbs_certificate_bytes:
        assert not result.ok
