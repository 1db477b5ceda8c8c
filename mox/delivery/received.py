"""The call of an application about a message that goes into a mailbox of its account."""

from __future__ import annotations

from datetime import UTC, datetime
from mmap import mmap
from typing import TYPE_CHECKING, Final

from mox.address import Path
from mox.delivery.arrival import Arrival
from mox.mailauth.results import SPFStatus
from mox.store.hook_records import Hook
from mox.store.hooks_txn import IncomingHook
from mox.store.maildir import INBOX
from mox.store.model import Target
from mox.webapi.hooks import Incoming, IncomingMeta, encode
from mox.webapi.reading import Shown, show

if TYPE_CHECKING:
    from mox.config import Config
    from mox.delivery.facts import MessageFacts
    from mox.store import Store

# As the mailbox is called in the webapi.
_INBOX: Final = "Inbox"
# RFC 2369, RFC 2919, RFC 8058, and the Precedence field of old: written by programs.
_AUTOMATED: Final = (b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"precedence")
# Larger messages are read in the thread pool, so that the loop goes on.
_INLINE_OCTETS: Final = 32 << 10


class Received:
    """One message; it is read once, when the first call about it is made."""

    def __init__(self, store: Store, config: Config, arrival: Arrival, facts: MessageFacts) -> None:
        self._store = store
        self._config = config
        self._arrival = arrival
        self._facts = facts
        self._shown: Shown | None = None

    def call(self, target: Target, recipient: Path) -> IncomingHook | None:
        """Return the call about one copy; None when the account wants none."""
        account = target.account.name
        wanted = self._config.dynamic.accounts[account].incoming_webhook
        if wanted is None:
            return None
        shown = self._read()
        payload = Incoming(
            from_=shown.message.from_,
            to=shown.message.to,
            cc=shown.message.cc,
            bcc=shown.message.bcc,
            reply_to=shown.message.reply_to,
            subject=shown.message.subject,
            message_id=shown.message.message_id,
            in_reply_to=shown.in_reply_to,
            references=shown.references,
            date=shown.message.date,
            text=shown.message.text,
            html=shown.message.html,
            structure=shown.structure,
            meta=self._meta(target, recipient, shown),
        )
        now = datetime.now(UTC).timestamp()
        hook = Hook(
            message_id=shown.message.message_id,
            subject=shown.message.subject,
            account=account,
            url=wanted.url,
            authorization=wanted.authorization,
            is_incoming=True,
            submitted=now,
            next_attempt=now,
        )
        return IncomingHook(hook, encode(payload))

    def _read(self) -> Shown:
        if self._shown is None:
            stored = self._arrival.spool.stored()
            if len(stored) > _INLINE_OCTETS:
                self._shown = self._store.pool.apply(_show, (stored,))
            else:
                self._shown = _show(stored)
        return self._shown

    def _meta(self, target: Target, recipient: Path, shown: Shown) -> IncomingMeta:
        facts, found = self._facts, self._facts.authentication
        domains = found.dkim_domains if found is not None else facts.verified_domains
        reverse_path = self._arrival.reverse_path
        return IncomingMeta(
            mail_from="" if reverse_path.is_null else str(reverse_path),
            mail_from_validated=self._is_sender_validated(),
            msg_from_validated=facts.validation != "none",
            rcpt_to=str(recipient),
            dkim_verified_domains=tuple(domain.unicode for domain in domains),
            remote_ip=str(facts.received.remote_ip or ""),
            received=datetime.fromtimestamp(facts.received.when, UTC),
            mailbox_name=_INBOX if target.mailbox == INBOX else target.mailbox,
            automated=reverse_path.is_null or _is_automated(shown),
        )

    def _is_sender_validated(self) -> bool:
        address, found = self._arrival.reverse_path.address, self._facts.authentication
        if address is None:
            return False
        if found is None:
            return address.domain in self._facts.verified_domains
        return found.spf.status is SPFStatus.PASS and found.spf.identity == "mailfrom"


def _show(stored: bytes | mmap) -> Shown:
    return show(stored, wire=False)


def _is_automated(shown: Shown) -> bool:
    fields, root = shown.fields, shown.root
    if any(value.strip() for name in _AUTOMATED for value in fields.get(name, ())):
        return True
    # RFC 3834 §5: all values but "no", which may have parameters or comments after it.
    answers = [value.strip().lower() for value in fields.get(b"auto-submitted", ())]
    if any(answer.split(b";")[0].split(b"(")[0].strip() != b"no" for answer in answers):
        return True
    return (root.media_type, root.media_subtype) == ("MULTIPART", "REPORT")
