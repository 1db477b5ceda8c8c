"""What DNS can be asked about a client before its message is there: it talks on meanwhile.

The name of the client is looked up once a connection, SPF once a transaction, from MAIL on. Nobody
waits for the answers before the end of the message, so that a sender nobody has heard of yet costs
one wait for DNS instead of one after the other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import gevent

from mox.address import Domain
from mox.mailauth.dmarclookup import record_name
from mox.mailauth.results import IPRevResult, IPRevStatus, SPFResult

if TYPE_CHECKING:
    from gevent import Greenlet

    from mox.delivery.authenticate import Checks, Client
    from mox.dns import Answer

# A client that stays connected is looked up again after so long.
NAME_S: Final = 300.0


class Ahead:
    """The questions about one transaction, each in a greenlet. `cancel` when it ends early."""

    __slots__ = ("_asked", "_author", "_checks", "_records", "_reverse", "_sender")

    def __init__(self, checks: Checks, client: Client, before: Ahead | None = None) -> None:
        """`before`: of the same connection, whose name for the client still counts."""
        self._checks = checks
        self._asked: float = time.monotonic()
        self._reverse: Greenlet[..., IPRevResult]
        if before is not None and before._knows_name:
            self._asked, self._reverse = before._asked, before._reverse
        else:
            self._reverse = gevent.spawn(checks.iprev, client)
        self._sender = gevent.spawn(checks.spf, client)
        self._author: Domain | None = None
        self._records: list[Greenlet[..., Answer]] = []
        # Most messages have the same domain in From.
        sender = client.mail_from.domain
        if isinstance(sender, Domain):
            self.expect_author(sender)

    @property
    def _knows_name(self) -> bool:
        if time.monotonic() > self._asked + NAME_S:
            return False
        if not self._reverse.ready():
            return True
        return self._reverse.get().status is not IPRevStatus.TEMPERROR

    def expect_author(self, domain: Domain) -> None:
        """Have the DMARC record of a domain looked up: the resolver knows it when it is needed."""
        if domain != self._author:
            self._author = domain
            query = self._checks.resolver.query
            self._records.append(gevent.spawn(query, record_name(domain), "TXT"))

    def iprev(self) -> IPRevResult:
        """Wait for the name of the client."""
        return self._reverse.get()

    def spf(self) -> SPFResult:
        """Wait for the result of SPF."""
        return self._sender.get()

    def cancel(self) -> None:
        """Nobody will ask for SPF or DMARC any more.

        A client that begins transactions and drops them must not leave questions behind.
        """
        if not self._sender.ready():
            self._sender.kill(block=False)
        for record in self._records:
            if not record.ready():
                record.kill(block=False)
