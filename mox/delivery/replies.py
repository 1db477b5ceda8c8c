"""One reply for a message with several recipients (RFC 5321 §4.2.5 knows only one per message).

Also the fixed replies that several parts of incoming and outgoing delivery share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mox.smtp.reply import Reply
from mox.store.errors import ErrorKind, StoreError

DELIVERED: Final = Reply(250, "2.2.0", "it is done")
NO_SUCH_USER: Final = Reply(550, "5.1.1", "no such user(s)")
LOOP: Final = Reply(550, "5.4.6", "loop detected, more than 100 Received header fields")
POSTING_DENIED: Final = Reply(550, "5.7.2", "not allowed to send to destination")
DISABLED_RECIPIENT: Final = Reply(450, "4.2.1", "recipient domain temporarily disabled")
DISABLED_SENDER: Final = Reply(451, "4.3.0", "sender domain temporarily disabled")
INTERNAL: Final = Reply(451, "4.3.0", "error processing")

_BY_KIND: Final = {
    ErrorKind.OVER_QUOTA: Reply(452, "4.2.2", "mailbox is over quota"),
    ErrorKind.DISK_FULL: Reply(452, "4.3.1", "insufficient system storage"),
}


def from_store(error: StoreError) -> Reply:
    """Return what a sender is told when the store failed; all of it is worth a later try."""
    return _BY_KIND.get(error.kind, INTERNAL)


def combine_failures(failures: Sequence[Reply]) -> Reply:
    """Return the reply for a message that failed for all of its recipients."""
    first = failures[0]
    if all((f.code, f.enhanced) == (first.code, first.enhanced) for f in failures):
        lines = dict.fromkeys(line for failure in failures for line in failure.lines)
        return Reply(first.code, first.enhanced, _text(tuple(lines)))
    summary = [f"{f.code} {f.enhanced or ''} {' '.join(f.lines)}" for f in failures]
    code, enhanced = (554, "5.3.0") if any(f.is_permanent for f in failures) else (451, "4.3.0")
    return Reply(code, enhanced, (*dict.fromkeys(summary), "multiple errors"))


def _text(lines: tuple[str, ...]) -> str | tuple[str, ...]:
    return lines[0] if len(lines) == 1 else lines
