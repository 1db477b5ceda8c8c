"""What all deliveries of the queue process share."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from mox.address import Domain, parse_domain
from mox.config import outgoing_addresses
from mox.dns import Resolver
from mox.queue.hostsfile import HostsFile
from mox.queue.knowndomains import KnownDomains
from mox.queue.resultbook import ResultBook
from mox.queue.webhook.connection import verifying_context
from mox.serving.stsfetch import PolicyFetcher, client_context, https_port
from mox.store.hooks import Hooks
from mox.store.outgoing import Outgoing
from mox.tlsio.client import ClientContext

if TYPE_CHECKING:
    from mox.config import Config
    from mox.serving.context import Context
    from mox.store import Store

SMTP_PORT: Final = 25
# For tests: another port than 25 at the mail hosts of other domains.
PORT_VARIABLE: Final = "MOX_SMTP_PORT"


class Services:
    """Made once per process, after fork. Clock and chance are arguments for tests."""

    def __init__(
        self,
        ctx: Context,
        resolver: Resolver,
        *,
        clock: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self.ctx = ctx
        self.resolver = resolver
        self.hosts_file = HostsFile()
        self.clock = clock
        self.chance = chance or random.Random()
        self.outgoing = Outgoing(ctx.store)
        self.hooks = Hooks(ctx.store)
        self.smtp_port = int(os.environ.get(PORT_VARIABLE) or SMTP_PORT)
        self.known_domains = KnownDomains(ctx, clock)
        self.results = ResultBook(ctx, clock)
        self._tls_context: ClientContext | None = None
        self._verifying_context: ClientContext | None = None
        self.fetch_policy = PolicyFetcher(resolver, self.tls_context, https_port())

    @property
    def store(self) -> Store:
        return self.ctx.store

    @property
    def config(self) -> Config:
        return self.ctx.config

    @property
    def hostname(self) -> Domain:
        """The name of this server."""
        return parse_domain(self.config.static.hostname)

    def tls_context(self) -> ClientContext:
        """Return the context for connections to other servers. Raises TLSConfigError.

        It verifies certificates and lets all pass: what that means is for policies to say.
        """
        if self._tls_context is None:
            self._tls_context = client_context(self.config)
        return self._tls_context

    def verifying_context(self) -> ClientContext:
        """Return the context for connections whose certificates must be good.

        Raises TLSConfigError.
        """
        if self._verifying_context is None:
            self._verifying_context = verifying_context(self.config)
        return self._verifying_context

    def source_for(self, ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
        """Return the address of ours to connect from; None leaves it to the system."""
        v4, v6 = outgoing_addresses(self.config.static)
        source = v4 if ip.version == 4 else v6
        # From loopback only loopback can be reached, and the other way round it is safe.
        if source is None or source.is_loopback or ip.is_loopback:
            return None
        return source
