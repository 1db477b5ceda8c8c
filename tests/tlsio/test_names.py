from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from mox.tlsio.names import CertificateNames, names_of, parse_ip
from tests.tlsio.identities import _NOW, _builder, _name, ec_key

NAMES = CertificateNames(
    frozenset({"mail.example", "*.wild.example"}),
    frozenset({ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")}),
)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("mail.example", True),
        ("Mail.Example.", True),
        ("a.wild.example", True),
        ("wild.example", False),
        ("a.b.wild.example", False),
        ("*.wild.example", True),
        ("example", False),
        ("192.0.2.1", True),
        ("[192.0.2.1]", True),
        ("192.0.2.2", False),
        ("2001:db8:0:0::1", True),
        ("", False),
        (".", False),
    ],
)
def test_names_cover_hosts(host: str, covered: bool) -> None:
    assert NAMES.cover(host) is covered


@given(st.text(max_size=80))
def test_any_host_text_is_answered(host: str) -> None:
    NAMES.cover(host)
    parse_ip(host)


def certificate(san: list[str] | None, common_name: str = "cn.example") -> x509.Certificate:
    builder = _builder(common_name, _name("i"), ec_key(), _NOW.replace(year=_NOW.year + 1))
    if san is not None:
        names = [x509.DNSName(name) for name in san]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(ec_key(), hashes.SHA256())


@pytest.mark.parametrize(
    ("san", "dns"),
    [
        (None, {"cn.example"}),
        (["A.Example", "*.b.example"], {"a.example", "*.b.example"}),
        (["*", "*.com", "a*.example.org", "a.*.example"], set()),
    ],
)
def test_names_are_read_from_the_certificate(san: list[str] | None, dns: set[str]) -> None:
    assert names_of(certificate(san)).dns == dns
