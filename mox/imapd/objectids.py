"""Object ids: names of contents, threads and mailboxes that are never given twice (RFC 8474).

Numbers begin anew when an index had to be made from nothing; the time at which the account got its
index keeps ids apart even then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.model import Mailbox

_OBJECTID = re.compile(r"([MT])([0-9a-f]{1,16})-([0-9a-f]{1,16})")


def email_prefix(account: Account) -> bytes:
    """What stands before the number of a content, in hexadecimal."""
    return b"M%x-" % account.created


def thread_prefix(account: Account) -> bytes:
    return b"T%x-" % account.created


def mailbox_id(mailbox: Mailbox) -> str:
    """RFC 8474 §4: stays through renames; UIDVALIDITYs are given once in an account's life."""
    return f"F{mailbox.uidvalidity}"


def number_of(account: Account, kind: str, objectid: str) -> int:
    """The number in an id of this kind, -1 when it is none of this account's."""
    match = _OBJECTID.fullmatch(objectid)
    if match is None or match[1] != kind or int(match[2], 16) != account.created:
        return -1
    return int(match[3], 16)
