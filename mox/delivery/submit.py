"""The one way into the queue: submission, webapi, webmail, DSNs and reports all end here.

One durable batch: when `submit` returns, all recipients are in the queue; when it raises, none is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox import metrics
from mox.address import Path
from mox.smtp.dsnparameters import NO_REQUEST, DsnRequest
from mox.store import idempotency, sent_log
from mox.store.idempotency import Answer
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueAddress, QueueId, QueueMessage
from mox.store.sent_log import SendLimits

if TYPE_CHECKING:
    from mox.store import Store
    from mox.store.committer import WriteTxn
    from mox.store.spool import Spool

_SIGNATURES = metrics.counter(
    "mox_dkim_sign_total", "DKIM signatures on queued messages, by kind of key.", ("key",)
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient; with a `from_id` its reverse path is its own, too."""

    path: Path
    reverse_path: Path
    from_id: str = ""
    request: DsnRequest = NO_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message on its way out. `spool` has the message, `prefix` the fields put before it."""

    account: str
    recipients: Sequence[Recipient]
    spool: Spool
    prefix: bytes  # wire form
    message_id: str
    subject: str
    has_8bit: bool
    smtputf8: bool
    require_tls: bool | None = None
    not_before: float = 0.0  # seconds since the epoch: FUTURERELEASE
    future_release: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    transport: str = ""
    max_attempts: int = 0
    is_dmarc_report: bool = False
    is_tls_report: bool = False
    dsn_utf8: bytes = b""  # wire form
    ret: str = ""  # RFC 3461
    envid: str = ""
    limits: SendLimits | None = None  # None: system mail
    signed_with: Sequence[str] = ()  # kinds of the keys whose signatures are in `prefix`


@dataclass(frozen=True, slots=True)
class Once:
    """A key by which a client marks a request that must not be done twice (store.idempotency)."""

    key: str
    answer: Callable[[list[QueueId]], Answer]


def submit(
    store: Store, submission: Submission, now: float | None = None, once: Once | None = None
) -> list[QueueId]:
    """Put a message into the queue; returns one id per recipient, in order, once durable.

    `now` is for those who have another clock than the system's. Raises SendLimitReached,
    FromIdTaken, Repeated, or StoreError of the disk.
    """
    outgoing = Outgoing(store)
    account = store.account(submission.account)
    when = time.time() if now is None else now
    limits = submission.limits

    def check(txn: WriteTxn) -> None:
        if once is not None:
            idempotency.refuse_repetition(txn, account.id, once.key, when)
        if limits is not None:
            addresses = [str(recipient.path) for recipient in submission.recipients]
            sent_log.record(txn, account.id, addresses, when, limits)

    def record(txn: WriteTxn, ids: list[QueueId]) -> None:
        if once is not None:
            idempotency.keep(txn, account.id, once.key, once.answer(ids), when)

    content = outgoing.content(submission.spool)
    ids = outgoing.add(records(submission, when), content, check, record)
    for kind in submission.signed_with:
        _SIGNATURES.labels(kind).inc()
    return ids


def records(submission: Submission, now: float) -> list[QueueMessage]:
    """Return the queue's records of a submission, without ids and file."""
    size = len(submission.prefix) + submission.spool.size
    not_before = max(now, submission.not_before)
    return [
        QueueMessage(
            queued=now,
            next_attempt=not_before,
            sender_account=submission.account,
            sender=QueueAddress.from_path(recipient.reverse_path),
            from_id=recipient.from_id,
            recipient=QueueAddress.from_path(recipient.path),
            max_attempts=submission.max_attempts,
            has_8bit=submission.has_8bit,
            smtputf8=submission.smtputf8,
            is_dmarc_report=submission.is_dmarc_report,
            is_tls_report=submission.is_tls_report,
            size=size,
            message_id=submission.message_id,
            subject=submission.subject,
            prefix=submission.prefix,
            dsn_utf8=submission.dsn_utf8,
            transport=submission.transport,
            require_tls=submission.require_tls,
            future_release=submission.future_release,
            extra=dict(submission.extra),
            notify=recipient.request.notify,
            orcpt=recipient.request.orcpt,
            ret=submission.ret,
            envid=submission.envid,
        )
        for recipient in submission.recipients
    ]
