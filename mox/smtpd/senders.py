"""What DNS says of those who want to deliver: can their domain take a reply, does HELO exist."""

from __future__ import annotations

from typing import Final

import gevent

from mox.address import Domain
from mox.dns import Accepts, Resolver, Status, accepts_mail
from mox.dns.mail import host_addresses
from mox.smtp.reply import Reply

CHECK_TIMEOUT_S: Final = 60.0

# RFC 7505 §4.2: 5.7.27 for senders that take no mail.
_REPLIES: Final = {
    Accepts.NO: Reply(550, "5.7.27", "mailfrom domain not configured for mail"),
    Accepts.NULL_MX: Reply(550, "5.7.27", "mailfrom domain does not accept mail (null mx)"),
    Accepts.TEMPORARY: Reply(451, "4.4.0", "cannot look up mailfrom domain"),
}
_UNKNOWN_HELO: Final = Reply(550, "5.5.0", "your helo name does not have an address in dns")


class SenderChecks:
    """The checks of one worker, with the resolver's cache between them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def sender(self, domain: Domain) -> Reply | None:
        """Refuse a reverse path whose domain takes no mail: nobody could be told of failures."""
        found = Accepts.TEMPORARY
        with _limited():
            found = accepts_mail(self._resolver, domain)
        return None if found is Accepts.YES else _REPLIES[found]

    def helo(self, domain: Domain) -> Reply | None:
        """Refuse a HELO (not EHLO) name without address; trouble in DNS is nobody's fault."""
        status = Status.TEMPORARY
        with _limited():
            status = host_addresses(self._resolver, domain.ascii).status
        return _UNKNOWN_HELO if status in (Status.NODATA, Status.NXDOMAIN) else None


def _limited() -> gevent.Timeout:
    """Return a context that ends silently when a check takes too long."""
    return gevent.Timeout(CHECK_TIMEOUT_S, False)  # type: ignore[arg-type]  # False: no exception
