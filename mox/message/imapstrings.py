"""IMAP strings from header text (RFC 9051 §4.3), for responses that are rendered once and stored.

Only quoted strings of 7-bit text and literals are used, so the result is right for every client,
with or without UTF8=ACCEPT.
"""

from __future__ import annotations

import re

NIL = b"NIL"

_PLAIN = re.compile(rb"[\t -!#-\[\]-~]*+")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+")


def string(value: bytes) -> bytes:
    """Render a value as a quoted string, or as a literal when it cannot be one."""
    if _PLAIN.fullmatch(value):
        return b'"%b"' % value
    # RFC 9051 §9: CHAR8 = %x01-ff; NUL can only be sent in a literal8.
    value = value.replace(b"\0", b"")
    if _QUOTABLE.fullmatch(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """Render a value or NIL."""
    return NIL if value is None else string(value)


def text(value: str) -> bytes:
    """Render text as UTF-8."""
    return string(value.encode("utf-8", "replace"))


def ntext(value: str | None) -> bytes:
    """Render text as UTF-8, or NIL."""
    return NIL if value is None else text(value)
