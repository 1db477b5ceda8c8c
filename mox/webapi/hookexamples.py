"""Examples of what webhooks are called with, for documentation and for tests of receivers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from mox.webapi.hooks import Event, Incoming, IncomingMeta, Outgoing
from mox.webapi.types import MessageAddress, Structure

_WHEN: Final = datetime(2026, 11, 23, 12, 56, 9, tzinfo=UTC)

# Names as in mox in Go.
HOOK_EXAMPLES: Final[dict[str, Outgoing | Incoming]] = {
    "webhook-outgoing-delivered": Outgoing(
        event=Event.DELIVERED,
        queue_msg_id=7,
        from_id="euSvcsknhPHGvRJfjNdhFA",
        message_id="<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",
        subject="Your order",
        webhook_queued=_WHEN,
        extra={"order": "42"},
    ),
    "webhook-outgoing-dsn-failed": Outgoing(
        event=Event.FAILED,
        dsn=True,
        suppressing=True,
        queue_msg_id=7,
        from_id="euSvcsknhPHGvRJfjNdhFA",
        message_id="<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",
        subject="Your order",
        webhook_queued=_WHEN,
        smtp_code=550,
        smtp_enhanced_code="5.1.1",
        error="550 5.1.1 no such user",
        extra={"order": "42"},
    ),
    "webhook-incoming-basic": Incoming(
        from_=(MessageAddress(name="Ada", address="ada@example.org"),),
        to=(MessageAddress(name="", address="shop@example.com"),),
        subject="Re: Your order",
        message_id="<z41vnR6sWb9KdYtMf-aZQg@example.org>",
        in_reply_to="<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",
        references=("<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",),
        date=_WHEN,
        text="Thank you!\n",
        structure=Structure(
            content_type="text/plain", content_type_params={"charset": "utf-8"}, decoded_size=12
        ),
        meta=IncomingMeta(
            msg_id=28,
            mail_from="ada@example.org",
            mail_from_validated=True,
            msg_from_validated=True,
            rcpt_to="shop@example.com",
            dkim_verified_domains=("example.org",),
            remote_ip="192.0.2.25",
            received=_WHEN,
            mailbox_name="Inbox",
        ),
    ),
}
