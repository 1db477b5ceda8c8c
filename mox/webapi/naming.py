"""Names in JSON: of fields, where `msg_id` here is `MsgID` there, and of the inbox."""

from __future__ import annotations

from typing import Final

_UPPER: Final = {"id", "cc", "bcc", "html", "dsn", "tls", "ip", "dkim", "smtp", "url"}


def json_name(name: str) -> str:
    """Return the name in JSON of a field.

    >>> json_name("queue_msg_id"), json_name("from_"), json_name("dkim_verified_domains")
    ('QueueMsgID', 'From', 'DKIMVerifiedDomains')
    """
    words = name.rstrip("_").split("_")
    return "".join(word.upper() if word in _UPPER else word.capitalize() for word in words)


def mailbox_name(name: str) -> str:
    """Return the name of a mailbox as it is shown: the inbox is `Inbox`."""
    return "Inbox" if name == "INBOX" else name
