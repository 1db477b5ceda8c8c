"""Which application is to be called about what, and with which content.

What is made here is stored in the transaction of the event that it is about; the queue process
calls. Address and authorization are those of the moment.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mox.store.hook_records import Hook
from mox.store.hooks_txn import OutgoingHook
from mox.webapi.hooks import Event, Outgoing

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store.outgoing_records import QueueMessage, RetiredMessage

# Calls for an account that is gone are remembered this long.
KEEP_OF_UNKNOWN: Final = timedelta(days=7)


def keep_until(config: Config, account_name: str, now: float) -> float:
    """Return until when to remember a call of an account that is over now; 0: not at all."""
    account = config.dynamic.accounts.get(account_name)
    period = account.keep_retired_webhook_period if account else KEEP_OF_UNKNOWN
    return now + period.total_seconds() if period else 0.0


def about_sent(
    config: Config,
    msg: QueueMessage | RetiredMessage,
    event: Event,
    now: float,
    *,
    code: int = 0,
    secode: str = "",
    error: str = "",
    is_dsn: bool = False,
) -> OutgoingHook | None:
    """Return the call about what became of a message; None when nobody wants one.

    `secode` is the enhanced code without its class. Notifications and reports that the server
    itself sends are nothing that an application knows of.
    """
    account = config.dynamic.accounts.get(msg.sender_account)
    wanted = account.outgoing_webhook if account is not None else None
    if wanted is None or (wanted.events and event not in wanted.events):
        return None
    if msg.sender.is_null or msg.is_dmarc_report or msg.is_tls_report:
        return None
    payload = Outgoing(
        event=event,
        dsn=is_dsn,
        queue_msg_id=msg.id,
        from_id=msg.from_id,
        message_id=msg.message_id,
        subject=msg.subject,
        webhook_queued=datetime.fromtimestamp(now, UTC),
        smtp_code=code,
        smtp_enhanced_code=f"{code // 100}.{secode}" if code >= 400 and secode else "",
        error=error,
        extra=msg.extra,
    )
    hook = Hook(
        queue_msg_id=msg.id,
        from_id=msg.from_id,
        message_id=msg.message_id,
        subject=msg.subject,
        extra=msg.extra,
        account=msg.sender_account,
        url=wanted.url,
        authorization=wanted.authorization,
        event=event,
        submitted=now,
        next_attempt=now,
    )
    return OutgoingHook(hook, payload, keep_until(config, msg.sender_account, now))
