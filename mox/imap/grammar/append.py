"""APPEND and REPLACE up to each literal, and the parts of CATENATE.

RFC 9051 §6.3.12, RFC 3502 (several messages), RFC 6855 §4 (UTF8), RFC 4469 §5 (CATENATE),
RFC 8508 §4 (REPLACE).

append = "APPEND" SP mailbox 1*append-message
replace = "REPLACE" SP seq-number SP mailbox append-message
append-message = append-opts SP append-data
append-opts = [SP flag-list] [SP date-time]
append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" /
    "CATENATE" SP "(" cat-part *(SP cat-part) ")"
cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mox.imap.events import Replaced
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.dates import date_time
from mox.imap.grammar.flags import flag_list
from mox.imap.grammar.mailbox import mailbox
from mox.imap.sequence import STAR

APPEND = "APPEND"
REPLACE = "REPLACE"
UID_REPLACE = "UID REPLACE"
# Commands whose messages are streamed.
UPLOADS = (APPEND, REPLACE, UID_REPLACE)

# What stands before the mailbox's name; a literal directly after it is that name.
_BEFORE_MAILBOX = re.compile(rb" ")
_BEFORE_MAILBOX_REPLACE = re.compile(rb" [0-9*]{1,20} ")


@dataclass(frozen=True, slots=True)
class Upload:
    """Where the messages go, and which one the new one replaces."""

    mailbox: str
    replaced: Replaced | None = None


@dataclass(frozen=True, slots=True)
class MessageHead:
    """What stands before a message literal, or before the parts of CATENATE."""

    flags: tuple[str, ...]
    date: tuple[int, int] | None
    utf8: bool = False
    catenate: bool = False


def names_mailbox(name: str, text: bytes) -> bool:
    """Whether a literal after `text`, which follows the command's name, is the mailbox's name."""
    pattern = _BEFORE_MAILBOX if name == APPEND else _BEFORE_MAILBOX_REPLACE
    return pattern.fullmatch(text) is not None


def upload(cursor: Cursor, name: str) -> Upload:
    """Read from the space after the command's name to the mailbox's name."""
    cursor.space()
    if name == APPEND:
        return Upload(mailbox(cursor))
    number = STAR if cursor.maybe(b"*") else cursor.nz_number()
    cursor.space()
    return Upload(mailbox(cursor), Replaced(number, uid=name == UID_REPLACE))


def message_head(cursor: Cursor) -> MessageHead:
    """Read from the space before a message's options to where its literal or first part begins.

    Without CATENATE the cursor's text must end there.
    """
    cursor.space()
    # Deviation from RFC 9051 §9: IMAPClient 3.0 sends two spaces between the messages of an APPEND.
    cursor.maybe(b" ")
    flags: tuple[str, ...] = ()
    date: tuple[int, int] | None = None
    if cursor.peek() == b"(":
        flags = flag_list(cursor)
        cursor.space()
    if cursor.peek() == b'"':
        date = date_time(cursor)
        cursor.space()
    if cursor.at == len(cursor.text):
        return MessageHead(flags, date)
    word = cursor.word("UTF8, CATENATE or a literal")
    cursor.space()
    cursor.take(b"(")
    if word == "CATENATE":
        return MessageHead(flags, date, catenate=True)
    if word != "UTF8":
        cursor.fail("unknown data item")
    if cursor.at < len(cursor.text):
        cursor.fail("expected a literal")
    return MessageHead(flags, date, utf8=True)
