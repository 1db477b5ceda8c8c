"""What a TLS session is for those who carry its bytes, whatever engine is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

ChannelBinding = Literal["tls-exporter", "tls-unique", "tls-server-end-point"]


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What was agreed: version as "TLSv1.3", cipher in OpenSSL's words, "" for none."""

    version: str
    cipher: str
    alpn: str
    server_name: str


class Session(Protocol):
    """One side of one TLS session.

    Feed what the network brings and send what `outgoing` gives after every other call,
    also after one that raised: it may hold an alert.
    """

    eof: bool
    """The peer has ended its side."""

    def feed(self, encrypted: bytes) -> None:
        """Take bytes from the network. b"" is the end of the stream."""

    def handshake(self) -> bool:
        """Go on with the handshake; true once complete. Raises TLSError."""

    @property
    def last_flight_can_wait(self) -> bool:
        """Whether the peer has all it needs when our handshake is complete (RFC 8446 §2)."""

    def read(self) -> bytes:
        """Return all plaintext there is, b"" for none. Raises TLSError.

        What arrived before an error or the end is returned first.
        """

    def write(self, plaintext: bytes | memoryview) -> None:
        """Encrypt; only after the handshake. Raises TLSError."""

    def outgoing(self) -> bytes:
        """Return the encrypted bytes to send, b"" for none."""

    def rest(self) -> bytes:
        """Give memory back before a long wait, after `read` gave b""; returns what to send."""

    def close(self) -> None:
        """Put a close_notify into `outgoing`, if the session got that far."""

    def info(self) -> TLSInfo:
        """Say what was agreed."""

    def channel_binding(self, kind: ChannelBinding) -> bytes | None:
        """Return binding data, None where the kind does not exist for this session."""
