"""The certificates of all listeners: read before root rights are given up, reloaded on change.

A listener has files of its own (KeyCerts), or what ACME has stored for it. Workers look at the
files' times every few seconds while connections come in. A changed file that cannot be read or
used leaves the old certificate in place, with an error in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mox import logfmt
from mox.tlsio.contexts import MinVersion, ServerContext, ServerOptions
from mox.tlsio.errors import TLSConfigError
from mox.tlsio.identity import Identity

if TYPE_CHECKING:
    from mox.config import Config
    from mox.config.listener import Listener

_LOOK_EVERY_S = 10.0
# Application protocols where TLS begins at once: others' clients are turned away.
# Marks the contexts that ask for client certificates.
_ASKING = "+asking"
_ALPN = {"submissions": ("smtp",), "imaps": ("imap",), "https": ("http/1.1", "http/1.0")}
_log = logfmt.logger("serve")

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class KeyCertFiles:
    """Pairs of certificate chain and key, in the order of the configuration."""

    pairs: tuple[tuple[Path, Path], ...]

    def files(self) -> list[Path]:
        return [file for pair in self.pairs for file in pair]

    def identities(self) -> list[Identity]:
        return [Identity(cert.read_bytes(), key.read_bytes()) for cert, key in self.pairs]


@dataclass(frozen=True, slots=True)
class AcmeFiles:
    """A directory of files with key and chain each, named HOST for ECDSA, HOST+rsa for RSA."""

    directory: Path
    hostname: str

    def files(self) -> list[Path]:
        found = self.directory.iterdir() if self.directory.is_dir() else ()
        names = sorted(f for f in found if "+" not in f.name.removesuffix("+rsa"))
        # The host's own certificate first: it answers for names that none is for.
        return sorted(names, key=lambda f: f.name.removesuffix("+rsa") != self.hostname)

    def identities(self) -> list[Identity]:
        return [Identity(data, data) for data in (f.read_bytes() for f in self.files())]


Source = KeyCertFiles | AcmeFiles


class _ListenerCertificates:
    """The contexts of one listener, by service."""

    __slots__ = ("_contexts", "_looked_at", "_name", "_options", "_source", "_stamp")

    def __init__(self, name: str, source: Source, options: Mapping[str, ServerOptions]) -> None:
        self._name = name
        self._source = source
        self._options = options
        self._looked_at = 0.0
        self._stamp: Stamp = ()
        self._contexts: dict[str, ServerContext] = {}

    def load(self) -> None:
        """Raises OSError, TLSConfigError; then nothing has changed."""
        stamp = self._current_stamp()
        identities = self._source.identities()
        if identities:
            made = {s: ServerContext(identities, o) for s, o in self._options.items()}
            self._contexts = made
        self._stamp = stamp

    def context(self, service: str, now: float) -> ServerContext | None:
        if now >= self._looked_at + _LOOK_EVERY_S:
            self._looked_at = now
            self._reload_changed()
        return self._contexts.get(service)

    def _reload_changed(self) -> None:
        try:
            stamp = self._current_stamp()
            if stamp == self._stamp:
                return
            # Also when it fails: once per change is enough to try and to complain.
            self._stamp = stamp
            self.load()
        except (OSError, TLSConfigError) as e:
            _log.error("keeping the old certificate", err=e, listener=self._name)
            return
        _log.info("certificates reloaded", listener=self._name)

    def _current_stamp(self) -> Stamp:
        stats = [(str(file), file.stat()) for file in self._source.files()]
        return tuple((name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)


class Certificates:
    """TLS server contexts of all listeners. Contexts made before a fork serve all workers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listeners: dict[str, _ListenerCertificates] = {}

    @classmethod
    def load(cls, config: Config, clock: Callable[[], float] = time.monotonic) -> Certificates:
        """Read the certificates of every listener that has TLS. Raises TLSConfigError."""
        certificates = cls(clock)
        for name, listener in config.static.listeners.items():
            source = _source_of(listener, config)
            if source is not None:
                one = _ListenerCertificates(name, source, _options_of(listener))
                try:
                    one.load()
                except OSError as e:
                    raise TLSConfigError(f"listener {name}: {e}") from e
                except TLSConfigError as e:
                    raise TLSConfigError(f"listener {name}: {e}") from e
                certificates._listeners[name] = one
        return certificates

    def server_context(
        self, listener: str, service: str, *, asking: bool = False
    ) -> ServerContext | None:
        """Return what a service of a listener does TLS with, None when it has no certificate.

        `asking`: clients are asked for certificates, where the listener allows it.

        `service` is one of smtp, submission, submissions, imap, imaps, https. Cheap: call it for
        each connection, certificates change.
        """
        found = self._listeners.get(listener)
        if found is None:
            return None
        context = found.context(service + _ASKING, self._clock()) if asking else None
        return context or found.context(service, self._clock())


def _source_of(listener: Listener, config: Config) -> Source | None:
    tls = listener.tls
    if tls is None:
        return None
    if tls.acme:
        directory = config.data_dir / "acme" / "keycerts" / tls.acme
        return AcmeFiles(directory, listener.hostname or config.static.hostname)
    here = config.dir
    return KeyCertFiles(tuple((here / k.cert_file, here / k.key_file) for k in tls.key_certs))


def _options_of(listener: Listener) -> dict[str, ServerOptions]:
    tls = listener.tls
    assert tls is not None
    version = MinVersion(tls.min_version) if tls.min_version else MinVersion.TLS12
    # Clients of port 25 are servers: nobody to identify.
    smtp = ServerOptions(
        min_version=version,
        session_tickets=not listener.smtp.tls_session_tickets_disabled,
        channel_bindings=False,
    )
    # Browsers and programs with a library identify themselves otherwise, and bind to nothing.
    https = ServerOptions(min_version=version, alpn=_ALPN["https"], channel_bindings=False)
    options = {"smtp": smtp, "https": https}
    # No tickets: they cost forward secrecy (their key lives as long as we do) and tls-unique.
    # Clients are asked for certificates only where keys of some are registered: asking costs
    # every connection 8 KB, and some programs then ask their users.
    for service in ("submission", "submissions", "imap", "imaps"):
        options[service] = ServerOptions(
            min_version=version,
            alpn=_ALPN.get(service, ()),
            channel_bindings=listener.sasl_channel_binding,
        )
        if not tls.client_auth_disabled:
            options[service + _ASKING] = replace(options[service], request_client_certificate=True)
    return options
