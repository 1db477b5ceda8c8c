"""A small internet for TLS policies, on loopback.

Two mail hosts of there.example, DNS that says it is validated, a web server with the MTA-STS policy
of there.example; what is delivered, and what is kept for TLS reports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.serving.stsfetch import PolicyFetcher
from mox.store import tls_results
from mox.store.tls_results import TLSResultRecord
from mox.tlsio.identity import Identity
from mox.tlspolicy.mtasts import Mode, format_policy
from tests.queue.peer import Peer
from tests.queue.site import Clock, Site, mx
from tests.support.policyserver import PolicyServer
from tests.tlsio.identities import ec_key, identity

DOMAIN = "there.example"
H1, H2 = "h1.there.example", "h2.there.example"
CA = "TLS:\n\tCA:\n\t\tAdditionalToSystem: false\n\t\tCertFiles:\n\t\t\t- ca.pem\n"
MakePeer = Callable[..., Peer]


def good(host: str = H1) -> Identity:
    return identity(host, signed=True)


def own(host: str = H1) -> Identity:
    """Right for DANE-EE, not for the public authorities."""
    return identity(host, key=ec_key(7))


def old(host: str = H1) -> Identity:
    return identity(host, signed=True, expired=True)


def wrong(host: str = H1) -> Identity:
    return identity("other.example", signed=True)


def spki(of: Identity, at: int = 0) -> str:
    key = x509.load_pem_x509_certificates(of.chain_pem)[at].public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def ee(of: Identity) -> str:
    return f"3 1 1 {spki(of)}"


def ta(of: Identity) -> str:
    return f"2 1 1 {spki(of, 1)}"


UNUSABLE = f"1 1 1 {'ab' * 32}"
# Announced after STARTTLS only.
REQUIRETLS = {"tls_extensions": ("REQUIRETLS",)}
STRANGER = f"3 1 1 {'cd' * 32}"


class World:
    """there.example with two hosts. `first` and `second` are their servers."""

    def __init__(self, make_site: Callable[..., Site], make_peer: MakePeer, stack: ExitStack):
        self._make_site = make_site
        self._make_peer = make_peer
        self._stack = stack
        self.policies: PolicyServer | None = None
        self.clock = Clock()

    def servers(self, first: dict[str, object], second: dict[str, object] | None = None) -> None:
        self.first = self._make_peer(name="h1", **first)
        ips = ["127.0.0.1"]
        if second is not None:
            self.second = self._make_peer(name="h2", ip="127.0.0.2", port=self.first.port, **second)
            ips.append("127.0.0.2")
        self.records = dict(mx(*ips))

    def serve_policy(self, mode: Mode, *hosts: str, cert: Identity | None = None) -> PolicyServer:
        name = f"mta-sts.{DOMAIN}"
        server = PolicyServer(cert or identity(name, signed=True))
        server.body = format_policy(mode, hosts or (H1, H2), 7 * 86400)
        self.policies = self._stack.enter_context(server)
        self.records[(name, "A")] = ("127.0.0.1",)
        self.records[(f"_mta-sts.{DOMAIN}", "TXT")] = ('"v=STSv1; id=1"',)
        return server

    def tlsa(self, host: str, *records: str) -> None:
        self.records[(f"_25._tcp.{host}", "TLSA")] = records

    def site(self, **options: object) -> Site:
        static = CA + str(options.pop("static", ""))
        self.site_ = site = self._make_site(
            names=self.records, port=self.first.port, static=static, clock=self.clock, **options
        )
        site.names.authentic = True
        site.services.results.delay_s = 0.0
        port = self.policies.port if self.policies else 1
        services = site.services
        services.fetch_policy = PolicyFetcher(
            site.names,  # type: ignore[arg-type]
            services.tls_context,
            port,
        )
        return site

    def send(self, **changes: object) -> Site:
        """Make the site, and one attempt for a message."""
        site = self.site()
        site.submit(f"you@{DOMAIN}", **changes)
        site.start()
        site.until_attempted()
        return site

    @property
    def taken(self) -> list[tuple[str, bool]]:
        """Each delivered message: by which server, and whether over TLS."""
        peers = [self.first, *([self.second] if hasattr(self, "second") else [])]
        return [(peer.name, mail.tls) for peer in peers for mail in peer.mails]

    def results(self, count: int = 2) -> dict[str, TLSResultRecord]:
        """What is kept for reports, by policy domain."""
        store = self.site_.ctx.store
        self.site_.until(lambda: len(tls_results.of_day(store, "")) >= count)
        return {record.policy_domain: record for record in tls_results.of_day(store, "")}


def error(site: Site) -> str:
    [msg] = site.queued()
    return msg.results[-1].error


def counts(record: TLSResultRecord) -> tuple[str, int, int]:
    [result] = record.results
    return (result.policy_type, result.success, result.failure)


def details(record: TLSResultRecord) -> list[str]:
    [result] = record.results
    return [" ".join(filter(None, (d.result_type, d.reason))) for d in result.details]
