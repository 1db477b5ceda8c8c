"""What accounts get to know about the domains that they write to, by delivering there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import structs

from mox.store import recipient_tls
from mox.store.outgoing_records import QueueMessage
from mox.store.recipient_tls import RecipientTLS

if TYPE_CHECKING:
    from mox.queue.session import Session
    from mox.serving.context import Context

# What has not changed is written again after this time.
_REFRESH_S: Final = 86400.0
# Domains of accounts that are remembered here, so that not each message is a question.
_REMEMBERED: Final = 10_000


class KnownDomains:
    """Notes whether the servers of a domain take TLS and REQUIRETLS, by account."""

    def __init__(self, ctx: Context, clock: Callable[[], float]) -> None:
        self._ctx = ctx
        self._clock = clock
        self._noted: dict[tuple[str, str], RecipientTLS] = {}

    def note(self, msg: QueueMessage, session: Session) -> None:
        """Note what a session with the message's destination showed. Does not wait."""
        key = (msg.sender_account, msg.recipient.ascii_domain)
        requiretls = session.has_tls and session.extensions.requiretls
        now = self._clock()
        new = RecipientTLS(now, session.has_tls, requiretls)
        old = self._noted.get(key)
        is_fresh = old is not None and now - old.updated < _REFRESH_S
        if old is not None and is_fresh and structs.replace(old, updated=now) == new:
            return
        account = self._ctx.store.find_account(msg.sender_account)
        if account is None:
            return  # removed while its messages were under way
        if len(self._noted) >= _REMEMBERED:
            self._noted.clear()
        self._noted[key] = new
        account_id, domain = account.id, key[1]
        self._ctx.store.later_write(lambda txn: recipient_tls.put(txn, account_id, domain, new))
