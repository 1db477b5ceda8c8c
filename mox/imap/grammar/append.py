"""APPEND up to each message literal (RFC 9051 §6.3.12, RFC 3502, RFC 6855 §4).

append = "APPEND" SP mailbox 1*append-message
append-message = append-opts SP append-data
append-opts = [SP flag-list] [SP date-time]
append-data = literal / literal8 / "UTF8" SP "(" literal8 ")"
"""

from __future__ import annotations

from dataclasses import dataclass

from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.dates import date_time
from mox.imap.grammar.flags import flag_list


@dataclass(frozen=True, slots=True)
class MessageHead:
    """What stands before a message literal."""

    flags: tuple[str, ...]
    date: tuple[int, int] | None
    utf8: bool


def message_head(cursor: Cursor) -> MessageHead:
    """Read from the space before a message's options up to where its literal begins.

    The cursor's text must end there.
    """
    cursor.space()
    flags: tuple[str, ...] = ()
    date: tuple[int, int] | None = None
    utf8 = False
    if cursor.peek() == b"(":
        flags = flag_list(cursor)
        cursor.space()
    if cursor.peek() == b'"':
        date = date_time(cursor)
        cursor.space()
    if cursor.at < len(cursor.text):
        if cursor.word("UTF8 or a literal") != "UTF8":
            cursor.fail("unknown data item")
        cursor.space()
        cursor.take(b"(")
        utf8 = True
    if cursor.at < len(cursor.text):
        cursor.fail("expected a literal")
    return MessageHead(flags, date, utf8)
