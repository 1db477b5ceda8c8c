"""Whether a server's certificate chain is what its TLSA records say (RFC 7671 §5, RFC 7672 §3).

    result = verify(found.usable, chain, names, datetime.now(UTC))

The public authorities have no part in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from mox.tlsio.names import UNREADABLE, names_of
from mox.tlspolicy.spki import public_key_info
from mox.tlspolicy.tlsa import TLSA, Matching, Selector, Usage

# Of a chain, that are looked at.
MAX_CHAIN: Final = 10
_SERVER_AUTH: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


@dataclass(frozen=True, slots=True)
class DaneResult:
    """`record` is the one that matched, None: no record did. `problems`: why, for those close."""

    record: TLSA | None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.record is not None

    def __str__(self) -> str:
        if self.record is not None:
            return f"TLSA record {self.record}"
        return "; ".join(("no TLSA record matches the certificate", *self.problems))


def verify(
    records: Sequence[TLSA],
    chain: Sequence[x509.Certificate],
    names: Sequence[str],
    now: datetime,
) -> DaneResult:
    """Compare usable records with a chain, the server's own certificate first.

    `names`: one of them must be in the certificate, unless a record is about that certificate.
    """
    if not chain:
        return DaneResult(None, ("server has no certificate",))
    chain = chain[:MAX_CHAIN]
    # RFC 7671 §5.1: neither names nor dates nor issuers matter for DANE-EE.
    for record in records:
        if record.usage == Usage.DANE_EE and matches(record, chain[0]):
            return DaneResult(record)
    problems: list[str] = []
    for record in records:
        if record.usage == Usage.DANE_TA:
            problem = _trust_anchor_problem(record, chain, names, now)
            if problem is None:
                return DaneResult(record)
            problems += problem
    return DaneResult(None, tuple(dict.fromkeys(problems)))


def matches(record: TLSA, cert: x509.Certificate) -> bool:
    """Say whether a usable record is about this certificate (RFC 6698 §2.1)."""
    try:
        selected = association(record.selector, record.matching, cert)
    except ValueError:
        return False
    return selected == record.data


def association(selector: int, matching: int, cert: x509.Certificate) -> bytes:
    """Return the certificate association data for a certificate. Raises ValueError."""
    data = cert.public_bytes(Encoding.DER)
    if selector == Selector.SPKI:
        data = public_key_info(data)
    return digest(matching, data)


def digest(matching: int, data: bytes) -> bytes:
    """Return what a matching type makes of a certificate or key."""
    if matching == Matching.SHA256:
        return hashlib.sha256(data).digest()
    if matching == Matching.SHA512:
        return hashlib.sha512(data).digest()
    return data


# ---- DANE-TA


def _trust_anchor_problem(
    record: TLSA, chain: Sequence[x509.Certificate], names: Sequence[str], now: datetime
) -> list[str] | None:
    """Return what keeps a chain from being what a record says; None: it is."""
    problems: list[str] = []
    try:
        for anchor in _anchors(record, chain):
            problem = _path_problem(anchor, chain, now) or _name_problem(chain[0], names)
            if not problem:
                return None
            problems.append(problem)
    except (*UNREADABLE, crypto.Error) as e:
        problems.append(f"certificate cannot be read: {e}")
    return problems


def _anchors(record: TLSA, chain: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Yield the certificates that a record makes the root of trust for this chain."""
    presented = [cert for cert in chain[1:] if matches(record, cert)]
    # Its own certificate is an authority's only where it is its own issuer.
    if chain[0].issuer == chain[0].subject and matches(record, chain[0]):
        presented.append(chain[0])
    yield from presented
    if presented or record.matching != Matching.FULL:
        return
    # RFC 7671 §5.2.2, §5.2.3: what is in the record need not be sent.
    if record.selector == Selector.CERT:
        yield x509.load_der_x509_certificate(record.data)
    else:
        yield from (cert for cert in chain if _is_signed_by(cert, record.data))


def _path_problem(
    anchor: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime
) -> str:
    """Say what is wrong with the path from the server's certificate to `anchor`, "" for nothing."""
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(anchor))
    # The anchor need not be self-signed.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(now)
    leaf, *others = [crypto.X509.from_cryptography(cert) for cert in chain]
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as e:
        return str(e)
    return _purpose_problem(chain[0])


def _purpose_problem(leaf: x509.Certificate) -> str:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    except UNREADABLE:
        return "certificate's extensions cannot be read"
    return "" if any(oid in usage for oid in _SERVER_AUTH) else "certificate is not for servers"


def _name_problem(leaf: x509.Certificate, names: Sequence[str]) -> str:
    present = names_of(leaf)
    if any(present.cover(name) for name in names):
        return ""
    return f"certificate is not for {' or '.join(names)}"


def _is_signed_by(cert: x509.Certificate, key_der: bytes) -> bool:
    """Say whether a certificate's signature is of this key, which no certificate has to show."""
    signature, signed = cert.signature, cert.tbs_certificate_bytes
    try:
        key = load_der_public_key(key_der)
        algorithm = cert.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey):
            _verify_rsa(key, cert, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _verify_rsa(
    key: rsa.RSAPublicKey, cert: x509.Certificate, algorithm: HashAlgorithm | None
) -> None:
    parameters = cert.signature_algorithm_parameters
    if algorithm is None or not isinstance(parameters, padding.PKCS1v15 | padding.PSS):
        raise UnsupportedAlgorithm("not an RSA signature")
    key.verify(cert.signature, cert.tbs_certificate_bytes, parameters, algorithm)
