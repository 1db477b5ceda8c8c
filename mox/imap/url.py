"""URLs of messages and their parts on this server, as CATENATE names them.

RFC 5092 §5 and §7 (paths), RFC 5550 §3.1 (PARTIAL in them). URLs that name a server or
need an authorization (URLAUTH) are refused.

>>> parse("/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024").uid
20
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from mox.errors import MoxError
from mox.imap.fetchatt import BodySection, Partial, Section
from mox.imap.grammar.cursor import MAX_NUMBER, MAX_NUMBER64, Cursor, SyntaxFailure
from mox.imap.grammar.fetch_att import fetch_attributes
from mox.imap.grammar.mailbox import canonical
from mox.imap.utf7 import Utf7Error, decode

MAX_URL = 4096
# RFC 5092 §11: imessagelist, then imessagepart; ";" and "/" within values are percent-encoded.
_URL = re.compile(
    r"/(?P<mailbox>[^;/]+(?:/[^;/]+)*)"
    r"(?:;UIDVALIDITY=(?P<uidvalidity>[1-9][0-9]{0,9}))?"
    r"/?;UID=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/;SECTION=(?P<section>[^;]*?))?"
    r"(?:/;PARTIAL=(?P<offset>[0-9]{1,19})(?:\.(?P<count>[1-9][0-9]{0,18}))?)?",
    re.IGNORECASE,
)

# RFC 3986 §3.1
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class UrlError(MoxError):
    """The URL does not name a message or part here; the text says why."""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A part of a message; `partial` without a length has the largest one."""

    mailbox: str
    uid: int
    uidvalidity: int | None = None
    section: Section = field(default_factory=Section)
    partial: Partial | None = None


def parse(url: str, selected: str = "") -> MessageUrl:
    """Take a URL apart; it may be relative to the `selected` mailbox. Raises UrlError."""
    if len(url) > MAX_URL:
        raise UrlError("URL is too long")
    if _SCHEME.match(url):
        raise UrlError("URL with a scheme is not the path of a message")
    if not url.startswith("/"):
        # RFC 4469 §3: the base ends in the mailbox's name, so this begins beside it.
        parent, slash, _ = selected.rpartition("/")
        url = "/" + quote(parent + slash) + url
    match = _URL.fullmatch(url)
    if match is None:
        raise UrlError("URL is not the path of a message")
    uid, uidvalidity = int(match["uid"]), int(match["uidvalidity"] or 1)
    if max(uid, uidvalidity) > MAX_NUMBER:
        raise UrlError("number in URL is too large")
    return MessageUrl(
        _mailbox(match["mailbox"]),
        uid,
        uidvalidity if match["uidvalidity"] else None,
        _section(unquote_to_bytes(match["section"] or "")),
        _partial(match["offset"], match["count"]),
    )


def _mailbox(encoded: str) -> str:
    """RFC 5092 §11, enc-mailbox: UTF-8; modified UTF-7 is taken where the octets are ASCII."""
    raw = unquote_to_bytes(encoded)
    try:
        name = raw.decode("utf-8")
        return canonical(decode(raw) if raw.isascii() and b"&" in raw else name)
    except (UnicodeDecodeError, Utf7Error) as e:
        raise UrlError("mailbox name in URL is malformed") from e


def _section(spec: bytes) -> Section:
    if b"]" in spec or b"\0" in spec:
        raise UrlError("section in URL is malformed")
    try:
        cursor = Cursor(b"BODY.PEEK[" + spec + b"]")
        (attribute,) = fetch_attributes(cursor)
        cursor.end()
    except SyntaxFailure as e:
        raise UrlError("section in URL is malformed") from e
    assert isinstance(attribute, BodySection), "the name says so"
    return attribute.section


def _partial(offset: str | None, count: str | None) -> Partial | None:
    if offset is None:
        return None
    return min(int(offset), MAX_NUMBER64), int(count) if count else MAX_NUMBER64
