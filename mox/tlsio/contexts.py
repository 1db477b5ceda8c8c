"""Server contexts: certificates, versions, ciphers, client certificates, ALPN, SNI."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from mox.tlsio.errors import TLSConfigError
from mox.tlsio.names import CertificateNames, names_of

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
)

# Forward secrecy always; the CBC suites at the end are for old mail servers under TLS 1.2,
# which would fall back to plain text without them.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:"
    "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
)

# SHA-256 first: its key schedule makes a handshake a quarter cheaper than SHA-384's.
CIPHERS_TLS13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


class MinVersion(StrEnum):
    """The lowest protocol version, in the configuration's words."""

    TLS10 = "TLSv1.0"
    TLS11 = "TLSv1.1"
    TLS12 = "TLSv1.2"
    TLS13 = "TLSv1.3"


_VERSION_NUMBERS = {
    MinVersion.TLS10: SSL.TLS1_VERSION,
    MinVersion.TLS11: SSL.TLS1_1_VERSION,
    MinVersion.TLS12: SSL.TLS1_2_VERSION,
    MinVersion.TLS13: SSL.TLS1_3_VERSION,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain (leaf first) and its private key, both PEM."""

    chain_pem: bytes
    key_pem: bytes


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a listener speaks TLS.

    `alpn`: protocols in order of preference; a client that offers only others is refused
    (it means to speak to another service). () ignores what clients offer.
    `request_client_certificate`: ask for one and accept any; identity is its public key.
    """

    min_version: MinVersion = MinVersion.TLS12
    alpn: tuple[str, ...] = ()
    session_tickets: bool = False
    request_client_certificate: bool = False


class ServerContext:
    """Certificates for the server side, chosen by SNI; ECDSA before RSA.

    The first identity answers for names that none is for, and clients that send no name.
    """

    __slots__ = ("_choices", "default", "options")

    def __init__(self, identities: Sequence[Identity], options: ServerOptions) -> None:
        """Raises TLSConfigError when a certificate or key does not load or match."""
        if not identities:
            raise TLSConfigError("no certificate given")
        self.options = options
        groups = _group_by_names(_load(identity) for identity in identities)
        self._choices = [(names, self._make(members)) for names, members in groups.items()]
        self.default: SSL.Context = self._choices[0][1]
        if len(self._choices) > 1:
            self.default.set_tlsext_servername_callback(self._choose)

    def _make(self, members: Sequence[_Loaded]) -> SSL.Context:
        context = new_context(SSL.TLS_SERVER_METHOD, self.options.min_version)
        options = SSL.OP_CIPHER_SERVER_PREFERENCE
        if not self.options.session_tickets:
            options |= SSL.OP_NO_TICKET
        context.set_options(options)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"mox")
        if self.options.request_client_certificate:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE, _accept_any)
        if self.options.alpn:
            context.set_alpn_select_callback(self._choose_protocol)
        kinds: set[type] = set()
        for loaded in members:
            if type(loaded.key) not in kinds:
                kinds.add(type(loaded.key))
                loaded.install(context)
        return context

    def _choose(self, connection: SSL.Connection) -> None:
        requested = (connection.get_servername() or b"").decode("ascii", "replace")
        for names, context in self._choices:
            if names.cover(requested):
                if context is not self.default:
                    connection.set_context(context)
                return

    def _choose_protocol(self, _: SSL.Connection, offered: list[bytes]) -> bytes:
        for protocol in self.options.alpn:
            if protocol.encode("ascii") in offered:
                return protocol.encode("ascii")
        # RFC 7301 §3.2: no protocol in common ends the handshake.
        return b""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An identity whose parts have been parsed and found to belong together."""

    names: CertificateNames
    key: PrivateKey
    chain_pem: bytes

    def install(self, context: SSL.Context) -> None:
        # OpenSSL keeps a chain per key type only when the chain comes from a file.
        fd = os.memfd_create("chain", os.MFD_CLOEXEC)
        try:
            os.write(fd, self.chain_pem)
            context.use_certificate_chain_file(f"/proc/self/fd/{fd}")
            context.use_privatekey(self.key)
            context.check_privatekey()
        except SSL.Error as e:
            raise TLSConfigError(f"certificate or key is refused: {reason_of(e)}") from e
        finally:
            os.close(fd)


def _load(identity: Identity) -> _Loaded:
    try:
        chain = x509.load_pem_x509_certificates(identity.chain_pem)
        # The costly RSA checks are for keys of strangers; this one is the administrator's.
        key = load_pem_private_key(identity.key_pem, None, unsafe_skip_rsa_key_validation=True)
        matches = key.public_key() == chain[0].public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise TLSConfigError(f"certificate or key does not load: {e}") from e
    if not isinstance(key, PrivateKey) or not matches:
        raise TLSConfigError("the private key does not belong to the certificate")
    return _Loaded(names_of(chain[0]), key, identity.chain_pem)


def _group_by_names(loaded: Iterable[_Loaded]) -> dict[CertificateNames, list[_Loaded]]:
    """Put certificates for the same names together: one context offers all their key types."""
    groups: dict[CertificateNames, list[_Loaded]] = {}
    for one in loaded:
        groups.setdefault(one.names, []).append(one)
    return groups


def new_context(method: int, min_version: MinVersion, security_level: int = 1) -> SSL.Context:
    """Return a context with what both sides have in common set."""
    context = SSL.Context(method)
    context.set_min_proto_version(_VERSION_NUMBERS[min_version])
    # TLS before 1.2 signs with SHA-1, which OpenSSL allows at level 0 only.
    level = security_level if min_version >= MinVersion.TLS12 else 0
    context.set_cipher_list(f"{CIPHERS}:@SECLEVEL={level}".encode("ascii"))
    context.set_tls13_ciphersuites(CIPHERS_TLS13.encode("ascii"))
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # Give the 16 KB record buffers back while a session is idle.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _accept_any(*_: object) -> bool:
    return True


def reason_of(error: SSL.Error) -> str:
    """Return OpenSSL's text for the innermost cause."""
    queue = error.args[0] if error.args else ()
    if isinstance(queue, list | tuple) and queue:
        return str(queue[-1][-1])
    return str(error) or type(error).__name__
