"""The resolver: names in, `Answer` out. Nothing but Answer leaves it, also when DNS is broken."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

import dns.rdataclass
import dns.rdatatype

from mox import metrics
from mox.dns.answer import Answer, Status
from mox.dns.cache import Cache, SharedCache
from mox.dns.exchange import ExchangeFailed, ask
from mox.dns.failures import Failures
from mox.dns.flights import Flights
from mox.dns.names import name_wire
from mox.dns.response import NXDOMAIN, Response
from mox.dns.servers import RESOLV_CONF, Servers, configured_servers, one_server
from mox.dns.sockets import Sockets

if TYPE_CHECKING:
    from prometheus_client import Histogram

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


@cache
def _lookups(rdtype: str, status: Status) -> Histogram:
    """Return the timer of one kind of question; finding it by labels each time is slower."""
    return _LOOKUPS.labels(rdtype.lower(), _RESULTS[status])


@cache
def _kind(rdtype: str) -> bytes:
    """Return type and class of a question in wire form."""
    return struct.pack(">HH", dns.rdatatype.from_text(rdtype), dns.rdataclass.IN)


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
        self._sockets = Sockets()
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
        _lookups(key[1], answer.status).observe(now - start)
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
            question = name_wire(name) + _kind(rdtype)
        except ValueError:
            return Answer(Status.NXDOMAIN)  # not a name that can exist
        try:
            addresses = self._servers.addresses
            return self._answer(ask(addresses, question, timeout_s, self._sockets, self._clock))
        except ExchangeFailed as e:
            error = f"{name} {rdtype}: {e}"
            return Answer(Status.TEMPORARY, error=error, extended_error=e.extended)

    def _answer(self, response: Response) -> Answer:
        records = response.records or ()
        if response.rcode == NXDOMAIN:
            status = Status.NXDOMAIN
        elif not records:
            status = Status.NODATA
        elif len(records) > _MAX_RECORDS:
            error = f"{response.canonical}: more than {_MAX_RECORDS} records"
            return Answer(Status.TEMPORARY, error=error)
        else:
            status = Status.OK
        return Answer(
            status,
            records,
            self.trusts_ad and response.authentic,
            response.ttl,
            response.canonical,
            extended_error=response.extended_error,
        )

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
        self._sockets.close()
        self.trusts_ad = servers.trusts_ad
        self._cache = Cache(self._shared, trusts_ad=servers.trusts_ad)
        self._failures = Failures()

    def _version_of_file(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self._resolv_conf)
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns
