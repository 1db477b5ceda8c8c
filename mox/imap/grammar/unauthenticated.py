"""Commands before login: STARTTLS, AUTHENTICATE, LOGIN; and the lines of a SASL exchange."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error

from mox.imap.commands import Authenticate, Login, StartTls
from mox.imap.grammar.cursor import Cursor, SyntaxFailure

_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,40}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]++={0,2}")


def starttls(cursor: Cursor, tag: str) -> StartTls:
    return StartTls(tag)


# RFC 9051 §9: authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
def authenticate(cursor: Cursor, tag: str) -> Authenticate:
    cursor.space()
    mechanism = cursor.match(_MECHANISM, "a mechanism name").decode("ascii").upper()
    if not cursor.more():
        return Authenticate(tag, mechanism, None)
    # RFC 9051 §6.2.2: "=" is an initial response of no octets.
    if cursor.maybe(b"="):
        return Authenticate(tag, mechanism, b"")
    return Authenticate(tag, mechanism, _decode(cursor.match(_BASE64, "base64")))


def login(cursor: Cursor, tag: str) -> Login:
    cursor.space()
    username = cursor.unicode(cursor.astring("a user name"), "user name")
    cursor.space()
    password = cursor.unicode(cursor.astring("a password"), "password")
    return Login(tag, username, password)


def sasl_line(line: bytes) -> bytes | None:
    """Decode the client's line within AUTHENTICATE; None when it is "*", which cancels.

    Raises SyntaxFailure for malformed base64 (RFC 9051 §6.2.2: to be answered BAD).
    """
    line = line.strip(b" ")
    return None if line == b"*" else _decode(line)


def _decode(base64: bytes) -> bytes:
    try:
        return b64decode(base64, validate=True)
    except Base64Error as err:
        raise SyntaxFailure("malformed base64") from err
