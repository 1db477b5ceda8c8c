"""The resolver: names in, `Answer` out. Nothing but Answer leaves it, also when DNS is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from mox import metrics
from mox.dns.answer import Answer, Status
from mox.dns.cache import Cache, SharedCache
from mox.dns.exchange import ExchangeFailed, ask, extended_of
from mox.dns.failures import Failures
from mox.dns.flights import Flights
from mox.dns.servers import RESOLV_CONF, Servers, configured_servers, one_server

# A record set with more than this is an attack or a mistake; nobody needs it for mail.
_MAX_RECORDS: Final = 256
# How often to see whether resolv.conf has changed.
_LOOK_S: Final = 10.0

_LOOKUPS: Final = metrics.histogram(
    "mox_dns_lookup_duration_seconds",
    "Questions to name servers, without those answered from memory.",
    ("type", "result"),
    buckets=metrics.LOOKUP_BUCKETS,
)
_RESULTS: Final = {
    Status.OK: "ok",
    Status.NODATA: "nxdomain",
    Status.NXDOMAIN: "nxdomain",
    Status.TEMPORARY: "temporary",
}


class Resolver:
    """A caching stub resolver. Cooperative under gevent when sockets and threads are patched.

    trusts_ad: the name servers' word on DNSSEC counts.
    """

    def __init__(
        self,
        *,
        resolv_conf: str = RESOLV_CONF,
        server: str = "",
        timeout_s: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedCache | None = None,
    ) -> None:
        """Ask `server` ("address:port") or those of resolv.conf, which is read again on changes.

        `timeout_s` bounds one query with all its retries. `shared` has answers of other processes.
        """
        self._timeout_s = timeout_s
        self._clock = clock
        self._shared = shared
        self._flights = Flights(clock)
        self._resolv_conf = "" if server else resolv_conf
        self._use(one_server(server) if server else configured_servers(resolv_conf))
        self._version = self._version_of_file()
        self._looked = clock()

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        """Look up an absolute name (A-labels, with or without last dot). Never raises.

        `timeout_s` shortens the time limit of the resolver. A CNAME is followed, except when
        `rdtype` is "CNAME": then NODATA says that there is none.
        """
        name = name.rstrip(".").lower()
        key = (name, rdtype)
        cached = self._cache.get(key, self._clock())
        if cached is not None:
            return cached
        cached = self._cache.get_shared(key, self._clock())
        if cached is not None:
            return cached
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        failure = self._failures.get(key, limit_s, self._clock())
        if failure is not None:
            return failure
        answer = self._flights.ask(key, limit_s, lambda left_s: self._fetch(key, left_s))
        return answer or Answer(Status.TEMPORARY, error=f"{name} {rdtype}: timed out")

    def _fetch(self, key: tuple[str, str], timeout_s: float) -> Answer:
        start = self._clock()
        answer = self._ask(*key, timeout_s)
        now = self._clock()
        _LOOKUPS.labels(key[1].lower(), _RESULTS[answer.status]).observe(now - start)
        self._cache.put(key, answer, now)
        if answer.status is not Status.TEMPORARY:
            self._failures.forget(key)
        elif not self._servers.problem:
            # RFC 9520 §3.2: also that there was no answer is kept for a while.
            self._failures.note(key, answer, timeout_s, start, now)
        return answer

    def _ask(self, name: str, rdtype: str, timeout_s: float) -> Answer:
        self._look_for_changes()
        if self._servers.problem:
            return Answer(Status.TEMPORARY, error=self._servers.problem)
        try:
            qname = dns.name.from_text(name + ".")
        except (dns.exception.DNSException, UnicodeError):
            return Answer(Status.NXDOMAIN)  # not a name that can exist
        kind = dns.rdatatype.from_text(rdtype)
        try:
            response = ask(self._servers.addresses, qname, kind, timeout_s, self._clock)
            return self._answer(response)
        except ExchangeFailed as e:
            error = f"{name} {rdtype}: {e}"
            return Answer(Status.TEMPORARY, error=error, extended_error=e.extended)
        except dns.exception.DNSException as e:
            return Answer(Status.TEMPORARY, error=f"{name} {rdtype}: {e or type(e).__name__}")

    def _answer(self, response: dns.message.QueryMessage) -> Answer:
        """Read a response; raises DNSException when its CNAMEs lead nowhere."""
        chain = response.resolve_chaining()
        authentic = self.trusts_ad and bool(response.flags & dns.flags.AD)
        extended = extended_of(response) if response.options else None
        # RFC 2308 §5: of negative answers, the lesser of the SOA's TTL and its minimum field.
        ttl = int(chain.minimum_ttl)
        canonical = chain.canonical_name.to_text(omit_final_dot=True)
        if response.rcode() == dns.rcode.NXDOMAIN:
            status = Status.NXDOMAIN
        elif chain.answer is None:
            status = Status.NODATA
        elif len(chain.answer) > _MAX_RECORDS:
            error = f"{canonical}: more than {_MAX_RECORDS} records"
            return Answer(Status.TEMPORARY, error=error)
        else:
            status = Status.OK
        records = tuple(chain.answer or ())
        return Answer(status, records, authentic, ttl, canonical, extended_error=extended)

    def _look_for_changes(self) -> None:
        now = self._clock()
        if now < self._looked + _LOOK_S:
            return
        self._looked = now
        version = self._version_of_file()
        if version != self._version:
            self._version = version
            self._use(configured_servers(self._resolv_conf))

    def _use(self, servers: Servers) -> None:
        self._servers = servers
        self.trusts_ad = servers.trusts_ad
        self._cache = Cache(self._shared, trusts_ad=servers.trusts_ad)
        self._failures = Failures()

    def _version_of_file(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self._resolv_conf)
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns
