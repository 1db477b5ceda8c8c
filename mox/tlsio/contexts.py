"""Server contexts: certificates, versions, ciphers, client certificates, ALPN, SNI."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from OpenSSL import SSL

from mox.tlsio.errors import TLSConfigError
from mox.tlsio.hello import ClientHello
from mox.tlsio.identity import Identity, Loaded, group_by_names, load, memory_file
from mox.tlsio.light import new_light_context
from mox.tlsio.names import CertificateNames

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
class ServerOptions:
    """How a listener speaks TLS.

    `alpn`: protocols in order of preference; a client that offers only others is refused
    (it means to speak to another service). () ignores what clients offer.
    `request_client_certificate`: ask for one and accept any; identity is its public key.
    `channel_bindings`: sessions can be bound to (SCRAM-…-PLUS).
    """

    min_version: MinVersion = MinVersion.TLS12
    alpn: tuple[str, ...] = ()
    session_tickets: bool = False
    request_client_certificate: bool = False
    channel_bindings: bool = True

    @property
    def light(self) -> bool:
        """The light engine can do all this."""
        more = self.session_tickets or self.request_client_certificate or self.channel_bindings
        return not more


class ServerContext:
    """Certificates for the server side, chosen by SNI; ECDSA before RSA.

    The first identity answers for names that none is for, and clients that send no name.
    """

    __slots__ = ("_choices", "_light", "default", "options")

    def __init__(self, identities: Sequence[Identity], options: ServerOptions) -> None:
        """Raises TLSConfigError when a certificate or key does not load or match."""
        if not identities:
            raise TLSConfigError("no certificate given")
        self.options = options
        groups = group_by_names(load(identity) for identity in identities)
        self._choices = [(names, self._make(members)) for names, members in groups.items()]
        self.default: SSL.Context = self._choices[0][1]
        if len(self._choices) > 1:
            self.default.set_tlsext_servername_callback(self._choose)
        self._light: list[tuple[CertificateNames, ssl.SSLContext]] = []
        if options.light:
            for names, members in groups.items():
                self._light.append((names, new_light_context(members, CIPHERS, options.alpn)))

    def light_for(self, hello: ClientHello) -> ssl.SSLContext | None:
        """What the light engine serves this client with; None: it cannot."""
        if not self._light or not hello.tls13:
            return None
        alpn = self.options.alpn
        if alpn and hello.protocols and not any(p.encode() in hello.protocols for p in alpn):
            # RFC 7301 §3.2: to be refused, which the standard library does not.
            return None
        fitting = (context for names, context in self._light if names.cover(hello.server_name))
        return next(fitting, self._light[0][1])

    def _make(self, members: Sequence[Loaded]) -> SSL.Context:
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
                install(loaded, context)
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


def install(loaded: Loaded, context: SSL.Context) -> None:
    """Give a context a chain and its key. Raises TLSConfigError."""
    # OpenSSL keeps a chain per key type only when the chain comes from a file.
    with memory_file(loaded.identity.chain_pem) as path:
        try:
            context.use_certificate_chain_file(path)
            context.use_privatekey(loaded.key)
            context.check_privatekey()
        except SSL.Error as e:
            raise TLSConfigError(f"certificate or key is refused: {reason_of(e)}") from e


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
