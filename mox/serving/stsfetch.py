"""Fetching MTA-STS policies over HTTPS (RFC 8461 §3.3): one GET, no redirects, bounded.

TLS is ours and so are the limits of time; HTTP is the standard library's parser.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mox import __version__, metrics
from mox.dns import Resolver, Status
from mox.dns.mail import host_addresses
from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream
from mox.tlsio.client import ClientContext, VerifyFailure
from mox.tlsio.errors import TLSConfigError, TLSError
from mox.tlspolicy.mtasts import MAX_POLICY_OCTETS
from mox.tlspolicy.report import Problem, ResultType, reason_text
from mox.tlspolicy.stscache import FetchFailed

if TYPE_CHECKING:
    from mox.config import Config

HTTPS_PORT: Final = 443
# For tests: another port than 443 at the web servers of other domains.
PORT_VARIABLE: Final = "MOX_HTTPS_PORT"
# Of the addresses of a web server; the first that takes the connection is it.
_MAX_ADDRESSES: Final = 4
# Of everything that a server sends, header and chunks included.
_MAX_OCTETS: Final = 4 * MAX_POLICY_OCTETS
_ABSENT: Final = Problem(ResultType.STS_POLICY_FETCH_ERROR, "no-policy-served")
_FAILED: Final = Problem(ResultType.STS_POLICY_FETCH_ERROR, "cannot-fetch-policy")
_FETCHES = metrics.histogram(
    "mox_mtasts_get_duration_seconds",
    "Time to fetch an MTA-STS policy.",
    ("result",),
    metrics.LOOKUP_BUCKETS,
)


def https_port() -> int:
    """Return the port of web servers that have policies."""
    return int(os.environ.get(PORT_VARIABLE) or HTTPS_PORT)


def client_context(config: Config) -> ClientContext:
    """Return a context that knows the authorities of the configuration, and lets all pass.

    Raises TLSConfigError. Reads files.
    """
    ca = config.static.tls.ca
    files = [os.fspath(config.dir / name) for name in ca.cert_files] if ca else []
    system_ca = ca is None or ca.additional_to_system
    return ClientContext(verify=False, ca_files=files, system_ca=system_ca)


class PolicyFetcher:
    """Fetches policies; `context` verifies nothing of its own: that is done here, and reported.

    `resolver` finds the web servers. `port` is another than HTTPS's for tests.
    """

    def __init__(
        self,
        resolver: Resolver,
        context: Callable[[], ClientContext],
        port: int = HTTPS_PORT,
    ) -> None:
        self._resolver = resolver
        self._context = context
        self._port = port

    def __call__(self, domain: str, timeout_s: float) -> str:
        """Return the policy file of a domain (A-labels). Raises FetchFailed."""
        begun = time.monotonic()
        result = "fetcherror"
        try:
            text = self._get(f"mta-sts.{domain}", begun + timeout_s)
            result = "ok"
            return text
        finally:
            _FETCHES.labels(result).observe(time.monotonic() - begun)

    def _get(self, host: str, deadline: float) -> str:
        try:
            with contextlib.closing(self._connect(host, deadline)) as stream:
                self._handshake(stream, host, deadline)
                stream.send(_request(host), _left(deadline))
                return _read(stream, host, deadline)
        except (ConnectionLost, ConnectionTimeout, http.client.HTTPException, ValueError) as e:
            text = f"https://{host}: {str(e) or type(e).__name__}"
            raise FetchFailed(text, _FAILED) from e

    def _connect(self, host: str, deadline: float) -> Stream:
        found = host_addresses(self._resolver, host)
        if not found.addresses:
            problem = _FAILED if found.status is Status.TEMPORARY else _ABSENT
            text = f"{host} has no address: {found.error or found.status.value}"
            raise FetchFailed(text, problem, absent=problem is _ABSENT)
        failures = []
        addresses = found.addresses[:_MAX_ADDRESSES]
        for n, ip in enumerate(addresses):
            timeout_s = _left(deadline) / (len(addresses) - n + 1)
            try:
                return dial(ip, self._port, timeout_s=timeout_s)
            except (ConnectionLost, ConnectionTimeout) as e:
                failures.append(f"{ip}: {e}")
        raise FetchFailed(f"connecting to {host}: {'; '.join(failures)}", _FAILED)

    def _handshake(self, stream: Stream, host: str, deadline: float) -> None:
        """Do TLS. RFC 8461 §3.3: the certificate must be for mta-sts.<domain>, and trusted."""
        try:
            tls = stream.start_tls_client(self._context(), host, _left(deadline))
        except (TLSError, TLSConfigError) as e:
            raise FetchFailed(f"https://{host}: TLS: {e}", _FAILED) from e
        verification = tls.verification()
        assert verification is not None
        if verification.ok:
            return
        failure, text = verification.failures[0]
        reason = failure.value
        if failure is VerifyFailure.NOT_TRUSTED:
            reason += f"+{reason_text(text.partition(' (')[0])}"
        problem = Problem(ResultType.STS_WEBPKI_INVALID, reason)
        raise FetchFailed(f"https://{host}: {verification}", problem)


def _request(host: str) -> bytes:
    lines = (
        "GET /.well-known/mta-sts.txt HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: mox/{__version__}",
        "Accept: text/plain",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _read(stream: Stream, host: str, deadline: float) -> str:
    response = http.client.HTTPResponse(_Source(stream, deadline), method="GET")  # type: ignore[arg-type]
    response.begin()
    # RFC 8461 §3.3: redirects are not followed; anything but 200 is a failure.
    if response.status != 200:
        is_absent = response.status == 404
        text = f"https://{host}: HTTP status {response.status}"
        raise FetchFailed(text, _ABSENT if is_absent else _FAILED, absent=is_absent)
    body = response.read(MAX_POLICY_OCTETS + 1)
    if response.length and len(body) <= MAX_POLICY_OCTETS:
        raise http.client.IncompleteRead(body, response.length)
    if len(body) > MAX_POLICY_OCTETS:
        text = f"https://{host}: policy is larger than {MAX_POLICY_OCTETS} octets"
        raise FetchFailed(text, Problem(ResultType.STS_POLICY_INVALID, "policy-too-large"))
    return body.decode("utf-8", "replace")


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise ConnectionTimeout("no policy within the time for it")
    return left_s


class _Source(io.RawIOBase):
    """A stream as the parser wants to see it: something that gives a file to read from."""

    def __init__(self, stream: Stream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._rest = b""
        self._taken = 0

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._rest or self._stream.recv(_left(self._deadline))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        self._taken += count
        if self._taken > _MAX_OCTETS:
            raise ConnectionLost("server sends too much")
        return count
