"""Server and client TLS contexts: certificates, versions, ciphers, verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class MinVersion(StrEnum):
    """The lowest protocol version, in the configuration's words."""

    TLS10 = "TLSv1.0"
    TLS11 = "TLSv1.1"
    TLS12 = "TLSv1.2"
    TLS13 = "TLSv1.3"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain (leaf first) and its private key, both PEM."""

    chain_pem: bytes
    key_pem: bytes


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a listener speaks TLS.

    `alpn`: protocols in order of preference, () to ignore ALPN.
    `request_client_certificate`: ask for one and accept any; identity is its public key.
    """

    min_version: MinVersion = MinVersion.TLS12
    alpn: tuple[str, ...] = ()
    session_tickets: bool = False
    request_client_certificate: bool = False


class ServerContext:
    """Certificates for the server side; chosen by SNI, ECDSA before RSA."""

    __slots__ = ()

    def __init__(self, identities: Sequence[Identity], options: ServerOptions) -> None:
        """Raises TLSConfigError when a certificate or key does not load or match."""
        raise NotImplementedError


class ClientContext:
    """The client side: `verify` checks chain (PKIX) and host name, else nothing is checked.

    `ca_files` are added to the system's certificate authorities, or replace them.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        verify: bool,
        ca_files: Sequence[str] = (),
        system_ca: bool = True,
        min_version: MinVersion = MinVersion.TLS12,
        alpn: tuple[str, ...] = (),
        identity: Identity | None = None,
    ) -> None:
        raise NotImplementedError
