"""The resolver: names in, `Answer` out. Nothing but Answer leaves it, also when DNS is broken."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.rdata import Rdata

from mox.dns.exchange import ExchangeFailed, ask

RESOLV_CONF: Final = "/etc/resolv.conf"
# For tests and unusual installations: `address:port` of the one name server to ask.
ENVIRONMENT: Final = "MOX_DNS_SERVER"

_CACHE_ENTRIES: Final = 10_000
_CACHE_MAX_TTL_S: Final = 3600.0
_NEGATIVE_TTL_S: Final = 60
# A record set with more than this is an attack or a mistake; nobody needs it for mail.
_MAX_RECORDS: Final = 256


class Status(Enum):
    """How a query ended."""

    OK = "ok"
    NODATA = "no records of this type"
    NXDOMAIN = "no such name"
    TEMPORARY = "temporary failure"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one query.

    authentic: the name servers validated it with DNSSEC; also meaningful for negative answers.
    canonical: the name at the end of the CNAMEs, without the last dot.
    error: for logs, when `status` is TEMPORARY.
    """

    status: Status
    records: tuple[Rdata, ...] = ()
    authentic: bool = False
    ttl: int = 0
    canonical: str = ""
    error: str = ""


class Resolver:
    """A caching stub resolver. Cooperative under gevent when sockets are patched."""

    def __init__(
        self,
        *,
        resolv_conf: str = RESOLV_CONF,
        server: str = "",
        timeout_s: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask `server` ("address:port") or those of resolv.conf.

        `timeout_s` bounds one query with all its retries.
        """
        self._timeout_s = timeout_s
        self._clock = clock
        self._cache: dict[tuple[str, str], tuple[float, Answer]] = {}
        self._servers: list[tuple[str, int]] = []
        self._problem = self._configure(server or os.environ.get(ENVIRONMENT, ""), resolv_conf)
        self.trusts_ad = all(_is_loopback(address) for address, _ in self._servers)

    def _configure(self, server: str, path: str) -> str:
        """Find the name servers; what is wrong, or nothing."""
        try:
            if server:
                address, _, port = server.rpartition(":")
                self._servers = [(address.strip("[]"), int(port))]
            else:
                configured = dns.resolver.Resolver(configure=False)
                configured.read_resolv_conf(path)
                self._servers = [(str(each), 53) for each in configured.nameservers]
        except (dns.exception.DNSException, OSError, ValueError) as e:
            return f"cannot use {server or path}: {e or type(e).__name__}: name a name server"
        return ""

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        """Look up an absolute name (A-labels, with or without last dot). Never raises.

        `timeout_s` shortens the time limit of the resolver.
        """
        name = name.rstrip(".").lower()
        key = (name, rdtype)
        cached = self._cache.get(key)
        now = self._clock()
        if cached is not None and cached[0] > now:
            return cached[1]
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        answer = self._ask(name, rdtype, limit_s)
        if answer.status is not Status.TEMPORARY and answer.ttl > 0:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._evict(now)
            self._cache[key] = (now + min(answer.ttl, _CACHE_MAX_TTL_S), answer)
        return answer

    def _evict(self, now: float) -> None:
        """Drop what has expired, and the oldest half when that is not enough."""
        self._cache = {key: entry for key, entry in self._cache.items() if entry[0] > now}
        if len(self._cache) >= _CACHE_ENTRIES:
            for key in list(self._cache)[: _CACHE_ENTRIES // 2]:
                del self._cache[key]

    def _ask(self, name: str, rdtype: str, timeout_s: float) -> Answer:
        if self._problem:
            return Answer(Status.TEMPORARY, error=self._problem)
        try:
            qname = dns.name.from_text(name + ".")
        except (dns.exception.DNSException, UnicodeError):
            return Answer(Status.NXDOMAIN)  # not a name that can exist
        kind = dns.rdatatype.from_text(rdtype)
        try:
            response = ask(self._servers, qname, kind, timeout_s)
            chain = response.resolve_chaining()  # type: ignore[attr-defined]
        except (ExchangeFailed, dns.exception.DNSException) as e:
            return Answer(Status.TEMPORARY, error=f"{name} {rdtype}: {e or type(e).__name__}")
        authentic = self._is_authentic(response)
        if response.rcode() == dns.rcode.NXDOMAIN:
            return Answer(Status.NXDOMAIN, (), authentic, _NEGATIVE_TTL_S)
        canonical = chain.canonical_name.to_text(omit_final_dot=True)
        if chain.answer is None:
            return Answer(Status.NODATA, (), authentic, _NEGATIVE_TTL_S, canonical)
        if len(chain.answer) > _MAX_RECORDS:
            error = f"{canonical}: more than {_MAX_RECORDS} records"
            return Answer(Status.TEMPORARY, error=error)
        ttl = int(chain.minimum_ttl)
        return Answer(Status.OK, tuple(chain.answer), authentic, ttl, canonical)

    def _is_authentic(self, response: dns.message.Message) -> bool:
        return self.trusts_ad and bool(response.flags & dns.flags.AD)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
