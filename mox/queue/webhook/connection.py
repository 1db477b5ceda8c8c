"""Connections to receivers: found, dialed, protected, and given up when they take too long."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

import gevent

from mox.dns.mail import host_addresses
from mox.errors import MoxError
from mox.queue.webhook.address import BadURL, HTTPAddress, parse_url
from mox.queue.webhook.exchange import Answer, Exchange, NotHTTP, Request
from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream
from mox.tlsio.client import ClientContext
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlsio.names import parse_ip

if TYPE_CHECKING:
    from mox.config import Config
    from mox.queue.services import Services

IP = IPv4Address | IPv6Address

# From looking for the receiver to the end of its answer.
TIMEOUT_S: Final = 60.0
_MAX_ADDRESSES: Final = 4


class CallFailed(MoxError):
    """There is no answer. `reached`: the receiver could at least be connected to."""

    def __init__(self, text: str, *, reached: bool) -> None:
        super().__init__(text)
        self.reached = reached


def verifying_context(config: Config) -> ClientContext:
    """Return a context that believes the system's authorities and those of the configuration.

    Raises TLSConfigError. Reads files.
    """
    ca = config.static.tls.ca
    files = [os.fspath(config.dir / name) for name in ca.cert_files] if ca else []
    system_ca = ca is None or ca.additional_to_system
    return ClientContext(verify=True, ca_files=files, system_ca=system_ca, alpn=("http/1.1",))


class Receiver:
    """Calls one URL, over a connection that is kept from one call to the next."""

    def __init__(self, services: Services, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._services = services
        self._url = url
        self._timeout_s = timeout_s
        self._stream: Stream | None = None
        self._exchange: Exchange | None = None

    def call(self, request: Request) -> Answer:
        """Make a call. Raises CallFailed."""
        timeout = gevent.Timeout(self._timeout_s)
        is_kept = False
        try:
            timeout.start()
            answer = self._call(request)
            is_kept = answer.is_reusable
            return answer
        except gevent.Timeout as e:
            if e is not timeout:
                raise
            return self._so_far(f"no answer within {self._timeout_s:g} s", e)
        except (ConnectionLost, ConnectionTimeout, NotHTTP, BadURL) as e:
            return self._so_far(str(e), e)
        finally:
            timeout.close()
            if not is_kept:
                self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        stream, self._stream, self._exchange = self._stream, None, None
        if stream is not None:
            stream.close()

    def _so_far(self, problem: str, cause: BaseException) -> Answer:
        """Return the answer if enough of it has come. Raises CallFailed."""
        answer = self._exchange.partial() if self._exchange is not None else None
        if answer is not None:
            return answer
        reached = self._stream is not None
        raise CallFailed(
            f'http transact: POST "{self._url}": {problem}', reached=reached
        ) from cause

    def _call(self, request: Request) -> Answer:
        if self._stream is not None and self._exchange is not None:
            try:
                return self._talk(self._stream, self._exchange, request)
            except (ConnectionLost, NotHTTP):
                # A receiver may end a connection that was idle just when it is used again.
                if self._exchange.has_begun:
                    raise
                self.close()
        address = parse_url(self._url)
        self._stream = self._connect(address)
        self._exchange = Exchange(address)
        return self._talk(self._stream, self._exchange, request)

    def _talk(self, stream: Stream, exchange: Exchange, request: Request) -> Answer:
        stream.send(exchange.request(request), self._timeout_s)
        while (answer := exchange.receive(stream.recv(self._timeout_s))) is None:
            pass
        return answer

    def _connect(self, address: HTTPAddress) -> Stream:
        stream = self._dial(address)
        if not address.is_tls:
            return stream
        try:
            stream.start_tls_client(self._services.verifying_context(), address.host)
        except (TLSError, TLSConfigError) as e:
            stream.close()
            raise ConnectionLost(f"TLS: {e}") from e
        except BaseException:
            stream.close()
            raise
        return stream

    def _dial(self, address: HTTPAddress) -> Stream:
        failures = []
        for ip in self._addresses(address.host):
            source = self._services.source_for(ip)
            try:
                return dial(ip, address.port, timeout_s=self._timeout_s / 4, source=source)
            except (ConnectionLost, ConnectionTimeout) as e:
                failures.append(f"connecting to {ip} port {address.port}: {e}")
        raise ConnectionLost("; ".join(failures))

    def _addresses(self, host: str) -> Sequence[IP]:
        ip = parse_ip(host)
        if ip is not None:
            return (ip,)
        found: Sequence[IP] = self._services.hosts_file.addresses(host)
        if not found:
            answer = host_addresses(self._services.resolver, host)
            found = answer.addresses
            if not found:
                raise ConnectionLost(
                    f"{host} has no address: {answer.error or answer.status.value}"
                )
        return found[:_MAX_ADDRESSES]
