"""filter-mailboxes of NOTIFY (RFC 5465 §8) and of ESEARCH (RFC 7377 §3)."""

from __future__ import annotations

from collections.abc import Collection

from mox.imap.grammar.cursor import Cursor, unique
from mox.imap.grammar.mailbox import mailbox
from mox.imap.mailboxfilter import WITH_NAMES, MailboxFilter, Scope

MAX_NAMES = 200

_SCOPES = {scope.value: scope for scope in Scope}


# filter-mailboxes = filter-mailboxes-selected / filter-mailboxes-other
def mailbox_filter(cursor: Cursor, allowed: Collection[Scope]) -> MailboxFilter:
    """Read one filter of the `allowed` scopes."""
    scope = _SCOPES.get(cursor.word("a mailbox filter"))
    if scope is None or scope not in allowed:
        cursor.fail("unknown mailbox filter")
    if scope not in WITH_NAMES:
        return MailboxFilter(scope)
    cursor.space()
    # one-or-more-mailbox = mailbox / many-mailboxes
    if cursor.peek() == b"(":
        names = cursor.parenthesised(lambda: mailbox(cursor))
    else:
        names = [mailbox(cursor)]
    if len(names) > MAX_NAMES:
        cursor.fail("too many mailboxes")
    return MailboxFilter(scope, unique(names))
