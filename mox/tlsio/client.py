"""Client contexts: which servers are believed (RFC 5280, RFC 9525).

Verification always runs and is remembered; whether a failure ends the handshake is the
context's choice. So opportunistic TLS and policies in testing mode can still report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from OpenSSL import SSL, crypto

from mox.tlsio.contexts import MinVersion, install, new_context, reason_of
from mox.tlsio.errors import TLSConfigError
from mox.tlsio.identity import Identity, load
from mox.tlsio.names import UNREADABLE, names_of


class VerifyFailure(StrEnum):
    """What is wrong with a server's certificate, in the words of RFC 8460 §4.3."""

    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"


@dataclass(slots=True)
class Verification:
    """The verdict on one server's chain: empty when there is nothing wrong."""

    host: str
    failures: list[tuple[VerifyFailure, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        return "; ".join(text for _, text in self.failures)

    def add(self, failure: VerifyFailure, text: str) -> None:
        if (failure, text) not in self.failures:
            self.failures.append((failure, text))


_CODES = SSL.X509VerificationCodes
_EXPIRY_CODES = (_CODES.ERR_CERT_HAS_EXPIRED, _CODES.ERR_CERT_NOT_YET_VALID)
_CODE_TEXTS = {
    number: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, number in vars(_CODES).items()
    if name.startswith("ERR_")
}


class ClientContext:
    """The client side of TLS; one can serve any number of sessions.

    `verify`: a chain that does not lead to a trusted authority, or is for another host,
    ends the handshake. `ca_files` (PEM) are trusted besides the system's authorities, or
    alone with `system_ca=False`.
    """

    __slots__ = ("context", "verify")

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
        """Raises TLSConfigError when a file cannot be used. Reads files: some 20 ms."""
        self.verify = verify
        context = new_context(SSL.TLS_CLIENT_METHOD, min_version)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER, self._check)
        if system_ca:
            context.set_default_verify_paths()
        for name in ca_files:
            _trust(context, name)
        if alpn:
            context.set_alpn_protos([protocol.encode("ascii") for protocol in alpn])
        if identity is not None:
            install(load(identity), context)
        self.context = context

    def _check(
        self, connection: SSL.Connection, cert: crypto.X509, code: int, depth: int, ok: int
    ) -> bool:
        """OpenSSL's question for each certificate, and for each thing wrong with one."""
        verdict: Verification = connection.get_app_data()
        if not ok:
            expired = code in _EXPIRY_CODES
            failure = VerifyFailure.EXPIRED if expired else VerifyFailure.NOT_TRUSTED
            verdict.add(failure, f"{_CODE_TEXTS.get(code, code)} (certificate {depth})")
        if depth == 0 and not _is_for(cert, verdict.host):
            verdict.add(VerifyFailure.HOST_MISMATCH, f"certificate is not for {verdict.host}")
        return not self.verify or verdict.ok


def _is_for(cert: crypto.X509, host: str) -> bool:
    try:
        return names_of(cert.to_cryptography()).cover(host)
    except UNREADABLE:
        # OpenSSL reads it and we cannot: as good as without names.
        return False


def _trust(context: SSL.Context, name: str) -> None:
    try:
        context.load_verify_locations(name)
    except SSL.Error as e:
        raise TLSConfigError(f"authorities in {name} do not load: {reason_of(e)}") from e
