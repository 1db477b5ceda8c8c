"""The full engine: a TLS session on memory buffers with pyOpenSSL, for servers and clients.

RFC 8446, RFC 5246; channel bindings RFC 5929 and RFC 9266.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from OpenSSL._util import lib

from mox.tlsio.client import ClientContext, Verification
from mox.tlsio.contexts import ServerContext, reason_of
from mox.tlsio.engine import ChannelBinding, TLSInfo
from mox.tlsio.errors import TLSError
from mox.tlsio.names import UNREADABLE, parse_ip

# One record's plaintext, and room for one record with its framing.
_RECORD = 16384
_WIRE_CHUNK = 20480
# Memory buffers that have held more than this are replaced when the session rests.
_KEEP_BYTES = 2048


class TLSSession:
    """One side of one TLS session; see `mox.tlsio.engine.Session`."""

    __slots__ = (
        "_connection",
        "_established",
        "_largest",
        "_may_resume",
        "_verification",
        "eof",
        "is_server",
    )

    def __init__(
        self,
        context: ServerContext | ClientContext,
        server_name: str = "",
        verified_name: str = "",
    ) -> None:
        """A client session needs `server_name`: a name in A-label form, or an address.

        `verified_name` is the one that the certificate must be for, if it is another.
        """
        self._established = False
        self._largest = 0
        self.eof = False
        self._may_resume = False
        self._verification: Verification | None = None
        self.is_server = isinstance(context, ServerContext)
        if isinstance(context, ServerContext):
            self._may_resume = context.options.session_tickets
            self._connection = SSL.Connection(context.default)
            self._connection.set_accept_state()
            return
        self._connection = SSL.Connection(context.context)
        self._connection.set_connect_state()
        self._verification = Verification(verified_name or server_name)
        self._connection.set_app_data(self._verification)
        # RFC 6066 §3: addresses are not sent as server name.
        if parse_ip(server_name) is None:
            self._connection.set_tlsext_host_name(server_name.rstrip(".").encode("ascii"))

    def feed(self, encrypted: bytes) -> None:
        """Take bytes from the network. b"" is the end of the stream."""
        if not encrypted:
            self._connection.bio_shutdown()
            return
        self._largest = max(self._largest, len(encrypted))
        self._connection.bio_write(encrypted)

    def handshake(self) -> bool:
        """Go on with the handshake; true once complete. Raises TLSError."""
        if self._established:
            return True
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as e:
            raise TLSError(self._handshake_failure(e)) from e
        self._established = True
        return True

    def _handshake_failure(self, error: SSL.Error) -> str:
        if self._verification is not None and not self._verification.ok:
            return str(self._verification)
        if isinstance(error, SSL.SysCallError):
            return "connection ended during the TLS handshake"
        return reason_of(error)

    @property
    def last_flight_can_wait(self) -> bool:
        """Whether the peer has all it needs when our handshake is complete (RFC 8446 §2)."""
        return self.is_server and self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION

    def read(self) -> bytes:
        """Return all plaintext there is, b"" for none. Raises TLSError.

        What arrived before an error or the end is returned first.
        """
        if not self.handshake():
            return b""
        chunks: list[bytes] = []
        receive = self._connection.recv
        try:
            while True:
                chunks.append(receive(_RECORD))
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.SysCallError):
            # A missing close_notify is no harm: SMTP and IMAP show where their messages end.
            self.eof = True
        except SSL.Error as e:
            if not chunks:
                raise TLSError(reason_of(e)) from e
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def write(self, plaintext: bytes | memoryview) -> None:
        """Encrypt; only after the handshake. Raises TLSError."""
        send = self._connection.send
        try:
            sent = send(plaintext) if plaintext else 0
            if sent < len(plaintext):
                rest = memoryview(plaintext)[sent:]
                while rest:
                    rest = rest[send(rest) :]
        except SSL.Error as e:
            raise TLSError(reason_of(e)) from e

    def outgoing(self) -> bytes:
        """Return the encrypted bytes to send, b"" for none."""
        chunks: list[bytes] = []
        try:
            while True:
                chunk = self._connection.bio_read(_WIRE_CHUNK)
                chunks.append(chunk)
                self._largest = max(self._largest, len(chunk))
                if len(chunk) < _WIRE_CHUNK:
                    break
        except SSL.WantReadError:
            pass
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        """Put a close_notify into `outgoing`, if the session got that far."""
        if not self._established:
            return
        try:
            self._connection.shutdown()
        except SSL.Error:
            # The session failed before: there is nobody to say goodbye to.
            self.eof = True

    def rest(self) -> bytes:
        """Give memory back before a long wait, after `read` gave b""; returns what to send.

        OpenSSL's memory buffers keep the largest size they ever had, up to 40 KB a session.
        """
        if self._largest <= _KEEP_BYTES:
            return b""
        out = self.outgoing()
        _replace_buffers(self._connection)
        self._largest = 0
        return out

    def info(self) -> TLSInfo:
        """Say what was agreed."""
        connection = self._connection
        return TLSInfo(
            version=connection.get_protocol_version_name(),
            cipher=connection.get_cipher_name() or "",
            alpn=connection.get_alpn_proto_negotiated().decode("ascii", "replace"),
            server_name=(connection.get_servername() or b"").decode("ascii", "replace"),
        )

    def peer_chain(self) -> tuple[x509.Certificate, ...]:
        """Return what the peer presented, its own certificate first; () for none.

        Raises TLSError for certificates that OpenSSL reads and we cannot.
        """
        try:
            chain = self._connection.get_peer_cert_chain(as_cryptography=True) or []
            if not self.is_server:
                return tuple(chain)
            # On this side OpenSSL keeps the peer's own certificate apart.
            leaf = self._connection.get_peer_certificate(as_cryptography=True)
        except UNREADABLE as e:
            raise TLSError(f"certificate cannot be read: {e}") from e
        return (leaf, *chain) if leaf is not None else ()

    def verification(self) -> Verification | None:
        """Return the verdict on the server's certificate; None on the server side."""
        return self._verification

    def channel_binding(self, kind: ChannelBinding) -> bytes | None:
        """Return binding data, None where the kind does not exist for this session."""
        if not self._established:
            return None
        is_tls13 = self._connection.get_protocol_version() >= SSL.TLS1_3_VERSION
        if kind == "tls-exporter":
            return self._exporter() if is_tls13 else None
        if kind == "tls-unique":
            return None if is_tls13 else self._first_finished()
        return self._end_point()

    def _exporter(self) -> bytes:
        # RFC 9266 §2: 32 octets under this label, with an empty context.
        return self._connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    def _first_finished(self) -> bytes | None:
        # RFC 5929 §3: the first Finished message. In a full handshake the client's is first;
        # after a resumption it would be the server's: tickets and this binding exclude each
        # other (clients of ours never resume).
        if self._may_resume:
            return None
        if self.is_server:
            return self._connection.get_peer_finished()
        return self._connection.get_finished()

    def _end_point(self) -> bytes | None:
        if self.is_server:
            cert = self._connection.get_certificate(as_cryptography=True)
        else:
            cert = self._connection.get_peer_certificate(as_cryptography=True)
        algorithm = cert.signature_hash_algorithm if cert is not None else None
        if cert is None or algorithm is None:
            return None
        # RFC 5929 §4.1: MD5 and SHA-1 are replaced by SHA-256.
        weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
        return cert.fingerprint(hashes.SHA256() if weak else algorithm)


def _replace_buffers(connection: SSL.Connection) -> None:
    # pyOpenSSL has no call for this; its own constructor does the same with the same names.
    into_ssl, from_ssl = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
    lib.SSL_set_bio(connection._ssl, into_ssl, from_ssl)
    connection._into_ssl, connection._from_ssl = into_ssl, from_ssl
