"""Certificate chains of any shape, with P-256 keys."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


class Issuer:
    """A certificate with its key; `issue` makes certificates below it."""

    def __init__(self, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.cert = cert
        self.key = key

    def issue(self, name: str, **options: object) -> Issuer:
        return _make(name, self, **options)  # type: ignore[arg-type]


def root(name: str = "root", **options: object) -> Issuer:
    return _make(name, None, ca=True, **options)  # type: ignore[arg-type]


def alone(name: str, **options: object) -> Issuer:
    """A certificate that is its own issuer and no authority."""
    return _make(name, None, **options)  # type: ignore[arg-type]


def _make(
    name: str,
    issuer: Issuer | None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    begins: datetime.datetime = NOW - 30 * DAY,
    ends: datetime.datetime = NOW + 30 * DAY,
    usage: ObjectIdentifier | None = None,
) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.cert.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(san, False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
    signer = key if issuer is None else issuer.key
    return Issuer(builder.sign(signer, hashes.SHA256()), key)
