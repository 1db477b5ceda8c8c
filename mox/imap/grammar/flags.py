"""Flags and keywords in STORE and APPEND (RFC 9051 §9: flag, flag-list)."""

from __future__ import annotations

from mox.imap.grammar.cursor import Cursor, unique

SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}


def flag(cursor: Cursor) -> str:
    """Read one flag. \\Recent and unknown system flags are errors: clients may not set them."""
    if not cursor.maybe(b"\\"):
        return cursor.atom("a flag")
    name = SYSTEM_FLAGS.get("\\" + cursor.atom("a flag").lower())
    if name is None:
        cursor.fail("this system flag cannot be set")
    return name


def flag_list(cursor: Cursor) -> tuple[str, ...]:
    """Read flags in parentheses, perhaps none."""
    return unique(cursor.parenthesised(lambda: flag(cursor), empty=True))


def store_flags(cursor: Cursor) -> tuple[str, ...]:
    """Read STORE's flags: a list in parentheses, or bare ones with spaces between."""
    if cursor.peek() == b"(":
        return flag_list(cursor)
    flags = [flag(cursor)]
    while cursor.more():
        flags.append(flag(cursor))
    return unique(flags)
