"""One TLS session on memory buffers: encrypted bytes in and out, plaintext in and out.

RFC 8446, RFC 5246; channel bindings RFC 5929 and RFC 9266.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from mox.errors import MoxError
from mox.tlsio.contexts import ClientContext, ServerContext

ChannelBinding = Literal["tls-exporter", "tls-unique", "tls-server-end-point"]


class TLSError(MoxError):
    """The handshake or the record layer failed; `reason` is OpenSSL's short text.

    `verify_error` is the certificate verification's message, "" when that was not the cause.
    """

    def __init__(self, reason: str, *, verify_error: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.verify_error = verify_error


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What was agreed: version as "TLSv1.3", cipher in OpenSSL's words, "" for none."""

    version: str
    cipher: str
    alpn: str
    server_name: str


class TLSSession:
    """One side of one TLS session.

    Feed what the network brings, send what `outgoing` gives, after every call.
    """

    __slots__ = ()

    def __init__(self, context: ServerContext | ClientContext, server_name: str = "") -> None:
        """A client session needs `server_name` (SNI, and the name to check when verifying)."""
        raise NotImplementedError

    def feed(self, encrypted: bytes) -> None:
        """Take bytes from the network. b"" is the end of the stream."""
        raise NotImplementedError

    def handshake(self) -> bool:
        """Go on with the handshake; true once complete. Raises TLSError (send `outgoing` then too)."""
        raise NotImplementedError

    def read(self) -> bytes:
        """Return all plaintext there is, b"" for none. Raises TLSError."""
        raise NotImplementedError

    def write(self, plaintext: bytes) -> None:
        """Encrypt; only after the handshake."""
        raise NotImplementedError

    def outgoing(self) -> bytes:
        """Return the encrypted bytes to send, b"" for none."""
        raise NotImplementedError

    def close(self) -> None:
        """Put a close_notify into `outgoing`."""
        raise NotImplementedError

    @property
    def eof(self) -> bool:
        """The peer ended the session (close_notify, or the stream ended)."""
        raise NotImplementedError

    def info(self) -> TLSInfo:
        """Say what was agreed."""
        raise NotImplementedError

    def peer_chain(self) -> tuple[x509.Certificate, ...]:
        """Return what the peer presented, its own certificate first; () for none."""
        raise NotImplementedError

    def channel_binding(self, kind: ChannelBinding) -> bytes | None:
        """Return binding data, None where the kind does not exist for this session."""
        raise NotImplementedError
