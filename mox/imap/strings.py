"""Writing strings: as atom, quoted or literal, whichever the rules and the client allow.

RFC 9051 §4.3 and §9 (astring, string, nstring, literal8), RFC 3501 §9 (quoted strings of seven
bits only), RFC 6855 §3 (UTF-8 in quoted strings once enabled).
"""

from __future__ import annotations

import re

from mox.imap.utf7 import encode

NIL = b"NIL"

_ATOM = re.compile(rb"[!#-$&'+-\[^-z|}~]+")
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")
_QUOTABLE_7BIT = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_QUOTABLE_8BIT = re.compile(rb"[^\x00\r\n]*")
_TO_ESCAPE = re.compile(rb'["\\]')
# Longer strings go as literals: clients read lines into bounded buffers.
MAX_QUOTED = 4096


def string(value: bytes, *, utf8: bool = False) -> bytes:
    """Write a string: quoted when possible, else as a literal.

    `utf8`: the client enabled UTF8=ACCEPT or IMAP4rev2 and so reads UTF-8 in quoted strings.
    """
    if len(value) <= MAX_QUOTED:
        if _PLAIN.fullmatch(value):
            return b'"' + value + b'"'
        if _QUOTABLE_7BIT.fullmatch(value) or (utf8 and _is_quotable_utf8(value)):
            return b'"' + _TO_ESCAPE.sub(rb"\\\g<0>", value) + b'"'
    return literal(value)


def _is_quotable_utf8(value: bytes) -> bool:
    if not _QUOTABLE_8BIT.fullmatch(value):
        return False
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def literal(value: bytes) -> bytes:
    return literal_start(len(value)) + value


def literal_start(size: int, *, binary: bool = False) -> bytes:
    """Write what precedes a literal's octets. NUL may only follow a `binary` one."""
    return b"~{%d}\r\n" % size if binary else b"{%d}\r\n" % size


def nstring(value: bytes | None, *, utf8: bool = False) -> bytes:
    return NIL if value is None else string(value, utf8=utf8)


def astring(value: bytes, *, utf8: bool = False) -> bytes:
    """Write as a bare atom when nothing could mistake it; NIL is quoted."""
    if _ATOM.fullmatch(value) and len(value) <= MAX_QUOTED and value.upper() != NIL:
        return value
    return string(value, utf8=utf8)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """Write a mailbox name: UTF-8 once enabled, modified UTF-7 before."""
    if utf8:
        return astring(name.encode("utf-8", "replace"), utf8=True)
    return astring(encode(name))


def parenthesised(items: list[bytes] | tuple[bytes, ...]) -> bytes:
    return b"(" + b" ".join(items) + b")"


def flag_list(flags: list[str] | tuple[str, ...]) -> bytes:
    """Write flags and keywords; these are atoms by construction."""
    return b"(" + " ".join(flags).encode("ascii", "replace") + b")"


def text(value: str) -> bytes:
    """Make human-readable response text: one line of printable ASCII."""
    clean = "".join(char if " " <= char <= "~" else "?" for char in value)
    # RFC 9051 §9: resp-text must not look like a response code, and has at least one character.
    return (clean.lstrip("[") or "-").encode("ascii")
