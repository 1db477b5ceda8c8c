"""Certificates made for tests: P-256 or RSA keys, self-signed or by a test authority."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from mox.tlsio.identity import Identity

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True)
class Authority:
    key: ec.EllipticCurvePrivateKey
    cert: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.cert.public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: x509.Name, key: Key, ends: datetime.datetime):
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - 30 * _DAY)
        .not_valid_after(ends)
    )


@cache
def authority() -> Authority:
    key = ec_key(-1)
    name = "test authority"
    builder = _builder(name, _name(name), key, _NOW + 30 * _DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return Authority(key, builder.sign(key, hashes.SHA256()))


@cache
def identity(
    *names: str, key: Key | None = None, signed: bool = False, expired: bool = False
) -> Identity:
    """A certificate for names and addresses; by the test authority with `signed`."""
    key = key or ec_key()
    ca = authority()
    ends = _NOW - _DAY if expired else _NOW + 30 * _DAY
    builder = _builder(names[0], ca.cert.subject if signed else _name(names[0]), key, ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([_san(n) for n in names]), False)
    cert = builder.sign(ca.key if signed else key, hashes.SHA256())
    chain = cert.public_bytes(Encoding.PEM) + (ca.pem if signed else b"")
    return Identity(chain, pem_of(key))


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem_of(key: Key, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())
