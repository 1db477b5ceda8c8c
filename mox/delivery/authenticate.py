"""Message authentication of one message: all methods side by side, within a time limit.

iprev, SPF and the signatures wait for DNS at the same time, each in a greenlet; DMARC follows from
them. Whoever answers slowly or never costs this sender time and a temporary error, nobody else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from mox import metrics
from mox.address import Domain, Path
from mox.delivery.ahead import Ahead
from mox.delivery.headers import Headers
from mox.delivery.ownkeys import OwnKeys
from mox.mailauth import arc, dkim, iprev, spf
from mox.mailauth.content import SignedContent
from mox.mailauth.dmarcauthor import author_domains, evaluate_authors
from mox.mailauth.dnsbl import DNSBLResult, DNSBLStatus, ZonesInUse, lookup
from mox.mailauth.results import (
    ARCResult,
    ARCStatus,
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCResult,
    DMARCStatus,
    IPRevResult,
    IPRevStatus,
    SPFResult,
    SPFStatus,
)
from mox.mailauth.signature import ALGORITHMS
from mox.message.trace import Received
from mox.turns import in_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Histogram

    from mox.config import Config
    from mox.dns import Resolver
    from mox.store.spool import Spool

T = TypeVar("T")

# For one message: what the sender waits at most after the final dot, before DMARC.
TIMEOUT_S: Final = 45.0
# For the keys of signatures: what was found by then still counts.
KEYS_S: Final = 40.0
DMARC_TIMEOUT_S: Final = 15.0
DNSBL_TIMEOUT_S: Final = 30.0

# Long messages between whose pieces the others have their turns; the next ones wait.
_HASHED_AT_ONCE: Final = 4

_SIGNED: Final = re.compile(rb"dkim-signature|arc-seal", re.IGNORECASE)
_NO_CHAIN: Final = ARCResult(ARCStatus.NONE)
_TOO_LONG: Final = "DNS took too long"
_SECONDS = metrics.histogram(
    "mox_smtpserver_verify_duration_seconds",
    "Time for one method of message authentication, waiting for DNS included.",
    ("method",),
)
_SPF = metrics.histogram(
    "mox_spf_verify_duration_seconds",
    "SPF checks of incoming mail, by result.",
    ("status",),
    metrics.VERIFY_BUCKETS,
)
_IPREV = metrics.counter(
    "mox_iprev_lookup_total", "Look-ups of clients' names, by result.", ("status",)
)
_LISTS = metrics.histogram(
    "mox_dnsbl_lookup_duration_seconds",
    "Look-ups of clients in DNS block lists, by list and result.",
    ("zone", "status"),
    metrics.LOOKUP_BUCKETS,
)
_SIGNATURES = metrics.histogram(
    "mox_dkim_verify_duration_seconds",
    "DKIM signatures of incoming mail, by result, with the time for all of their message.",
    ("algorithm", "status"),
    metrics.VERIFY_BUCKETS,
)
_CHAINS = metrics.counter(
    "mox_arc_verify_total",
    "ARC chains of incoming mail that has signatures, by result.",
    ("status",),
)
_LATE = metrics.counter(
    "mox_smtpserver_verify_timeouts_total",
    "Methods of message authentication that were given up because DNS took too long.",
    ("method",),
)


@cache
def _seconds(method: str) -> Histogram:
    """Return the timer of a method; finding it by label each time is slower."""
    return _SECONDS.labels(method)


@cache
def _spf_results(status: SPFStatus) -> Histogram:
    return _SPF.labels(status)


@cache
def _signatures(algorithm: str, status: DKIMStatus) -> Histogram:
    return _SIGNATURES.labels(algorithm, status)


@dataclass(frozen=True, slots=True)
class Client:
    """Who delivers. helo: as given; what is no domain or address says nothing."""

    remote_ip: IPv4Address | IPv6Address
    helo: Domain | IPv4Address | IPv6Address
    hostname: Domain  # of this server
    mail_from: Path

    @classmethod
    def of(cls, received: Received, mail_from: Path) -> Client:
        assert received.remote_ip is not None, "mail of others shows where it comes from"
        helo = received.helo if not isinstance(received.helo, str) else received.remote_ip
        return cls(received.remote_ip, helo, received.hostname, mail_from)


class Checks:
    """The checks of one worker, with what is remembered of block lists between them."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._zones = ZonesInUse(resolver)
        self._hashing = BoundedSemaphore(_HASHED_AT_ONCE)

    def spf(self, client: Client) -> SPFResult:
        """Evaluate SPF alone. Takes bounded time; never raises."""

        def check() -> SPFResult:
            return spf.check(
                self.resolver,
                remote_ip=client.remote_ip,
                mail_from=client.mail_from,
                helo=client.helo,
                hostname=client.hostname,
            )

        def late() -> SPFResult:
            return SPFResult(SPFStatus.TEMPERROR, problem=_TOO_LONG)

        began = time.perf_counter()
        found = _within(TIMEOUT_S, "spf", check, late)
        _spf_results(found.status).observe(time.perf_counter() - began)
        return found

    def authenticate(
        self, client: Client, spool: Spool, headers: Headers, ahead: Ahead | None = None
    ) -> Authentication:
        """Run all methods on a complete message. Takes bounded time; never raises.

        `ahead`: what was asked about this transaction already.
        """
        ahead = ahead or Ahead(self, client)
        domains = author_domains(headers.raw(b"from"))
        if domains:
            ahead.expect_author(domains[0])
        signatures, chain = self._signatures(spool, headers)
        found = ahead.spf()
        policy = self._dmarc(domains, found, signatures)
        return Authentication(ahead.iprev(), found, signatures, policy, chain)

    def iprev(self, client: Client) -> IPRevResult:
        """Look up the name of the client. Takes bounded time; never raises."""
        found = _within(
            TIMEOUT_S,
            "iprev",
            lambda: iprev.check(self.resolver, client.remote_ip),
            lambda: IPRevResult(IPRevStatus.TEMPERROR, problem=_TOO_LONG),
        )
        _IPREV.labels(found.status).inc()
        return found

    def of_program_under_test(self, client: Client, config: Config, spool: Spool) -> Authentication:
        """Return what holds for a client near a localserve instance, without asking DNS.

        Programs under test are to get through as on a well-kept host. Signatures are checked with
        the keys of the configuration.
        """
        domain = client.mail_from.domain if not client.mail_from.is_null else client.helo
        found = SPFResult(SPFStatus.NONE)
        if isinstance(domain, Domain):
            identity: Literal["helo", "mailfrom"] = (
                "helo" if client.mail_from.is_null else "mailfrom"
            )
            found = SPFResult(SPFStatus.PASS, identity, domain, mechanism="default")
        content = SignedContent(spool.octets())
        return Authentication(
            iprev=IPRevResult(IPRevStatus.PASS),
            spf=found,
            dkim=dkim.verify(OwnKeys(config), content, time.time(), run=self._run, is_near=True),
            dmarc=DMARCResult(DMARCStatus.NONE),
            arc=ARCResult(ARCStatus.NONE),
        )

    def _signatures(
        self, spool: Spool, headers: Headers
    ) -> tuple[tuple[DKIMResult, ...], ARCResult]:
        # The usual message without signatures need not be taken apart to see that.
        if headers.has_separator and not _SIGNED.search(headers.section):
            return (), _NO_CHAIN
        content = SignedContent(spool.octets())
        now = time.time()
        if not content.count(dkim.FIELD) and not content.count(arc.SEAL):
            return (), _NO_CHAIN
        return self._dkim(content, now), self._arc(content, now)

    def _dkim(self, content: SignedContent, now: float) -> tuple[DKIMResult, ...]:
        verify = partial(dkim.verify, self.resolver, content, now, run=self._run)
        began = time.perf_counter()
        # Given up means that no key is asked for: which domains signed is known all the same.
        found = _within(
            TIMEOUT_S, "dkim", partial(verify, budget_s=KEYS_S), partial(verify, budget_s=0.0)
        )
        seconds = time.perf_counter() - began
        for each in found:
            # What senders write is not for labels.
            algorithm = each.algorithm if each.algorithm in ALGORITHMS else "other"
            _signatures(algorithm, each.status).observe(seconds)
        return found

    def _arc(self, content: SignedContent, now: float) -> ARCResult:
        verify = partial(arc.verify, self.resolver, content, now, run=self._run, budget_s=KEYS_S)
        found = _within(
            TIMEOUT_S,
            "arc",
            verify,
            lambda: ARCResult(ARCStatus.TEMPERROR, problem=_TOO_LONG),
        )
        _CHAINS.labels(found.status).inc()
        return found

    def _run(self, steps: Iterator[None]) -> None:
        with self._hashing:
            in_turns(steps)

    def _dmarc(
        self, domains: Sequence[Domain], found: SPFResult, signatures: Sequence[DKIMResult]
    ) -> DMARCResult:
        author = domains[0] if domains else None
        return _within(
            DMARC_TIMEOUT_S,
            "dmarc",
            lambda: evaluate_authors(self.resolver, domains, found, signatures),
            lambda: DMARCResult(DMARCStatus.TEMPERROR, header_from=author, problem=_TOO_LONG),
        )

    def blocklisted(
        self, zones: Sequence[Domain], ip: IPv4Address | IPv6Address
    ) -> DNSBLResult | None:
        """Ask block lists in order, one at a time; the first that has the address."""
        for zone in zones:
            listed = partial(self._listed, zone, ip)
            found = _within(DNSBL_TIMEOUT_S, "dnsbl", listed, lambda: None)
            if found is not None:
                return found
        return None

    def _listed(self, zone: Domain, ip: IPv4Address | IPv6Address) -> DNSBLResult | None:
        if not self._zones.health(zone).is_healthy:
            return None
        began = time.perf_counter()
        found = lookup(self.resolver, zone, ip)
        _LISTS.labels(zone.ascii, found.status).observe(time.perf_counter() - began)
        return found if found.status is DNSBLStatus.LISTED else None


def _within(limit_s: float, method: str, check: Callable[[], T], late: Callable[[], T]) -> T:
    """Run one check. What takes too long is given up, and `late` says what is known then.

    The checks keep time limits of their own; this is for a resolver that does not.
    """
    began = time.perf_counter()
    timeout = gevent.Timeout(limit_s)
    timeout.start()
    try:
        return check()
    except gevent.Timeout as e:
        if e is not timeout:
            raise
        _LATE.labels(method).inc()
        return late()
    finally:
        timeout.close()
        _seconds(method).observe(time.perf_counter() - began)
