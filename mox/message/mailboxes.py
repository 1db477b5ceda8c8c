"""Address lists of header fields (RFC 5322 §3.4, §4.4), as IMAP shows them and for people.

Everything is accepted: nested and unclosed comments, quoted strings, routes, groups, encoded
words, missing parts. One pass with a cursor; the common `Name <user@host>` has a short cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mox.address import Address, AddressError, normalize_localpart, parse_domain
from mox.message.charsets import guess
from mox.message.fields import unfold
from mox.message.imapstrings import NIL, nstring
from mox.message.limits import LIMITS, Limits
from mox.message.words import decode_text

# RFC 9051 §7.5.2: name, source route, mailbox, host. Host None: a group begins (the mailbox is
# its name) or ends (mailbox None).
RawAddress = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
GROUP_END: RawAddress = (None, None, None, None)

_SIMPLE = re.compile(
    rb'[ \t]*+(?:"([^"\\]*+)"|([^"(),:;<>@\[\]\\]*+))[ \t]*+'  # name
    rb'<([^ \t"(),:;<>@\[\]\\]++)@([^ \t"(),:;<>@\[\]\\]++)>[ \t]*+(?:,|$)'  # <local@host>
    rb'|[ \t]*+([^ \t"(),:;<>@\[\]\\]++)@([^ \t"(),:;<>@\[\]\\]++)[ \t]*+(?:,|$)'  # local@host
)
_TOKEN_PATTERN = re.compile(
    rb'([ \t]++)|"((?:[^"\\]++|\\.)*+)(?:"|\\?$)|(\[[^\]]*+\]?)|([(),:;<>@\\\]])'
    rb'|([^ \t"(),:;<>@\[\]\\]++)',
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
# Octets of a value that is kept with what was read of it.
_SHORT = 256
_COMMENT_END = re.compile(rb"[()\\]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address as written; `address` gives it checked."""

    name: str  # decoded, "" when there is none
    localpart: str  # unquoted
    domain: str  # as written: may be empty or no domain at all

    @property
    def address(self) -> Address | None:
        """Return the address, or None when it is not a valid one."""
        try:
            return Address(normalize_localpart(self.localpart), parse_domain(self.domain))
        except AddressError:
            return None


@dataclass(frozen=True, slots=True)
class Group:
    """A named group (RFC 5322 §3.4), often empty: `undisclosed-recipients:;`."""

    name: str
    members: tuple[Mailbox, ...]


def address_list(value: bytes, limits: Limits = LIMITS) -> list[Mailbox | Group]:
    """Read an address field's value for people: encoded words decoded."""
    result: list[Mailbox | Group] = []
    group: str | None = None
    members: list[Mailbox] = []
    for name, _route, local, host in raw_addresses(unfold(value), limits):
        if host is not None:
            # RFC 2047 §5: an encoded word must not stand for any part of an addr-spec.
            mailbox = Mailbox(_text(name), guess(local or b""), guess(host))
            (result if group is None else members).append(mailbox)
        elif local is not None:
            group, members = _text(local), []
        elif group is not None:
            result.append(Group(group, tuple(members)))
            group = None
    return result


def mailboxes(value: bytes, limits: Limits = LIMITS) -> list[Mailbox]:
    """Read an address field's value, groups dissolved."""
    found: list[Mailbox] = []
    for item in address_list(value, limits):
        if isinstance(item, Group):
            found.extend(item.members)
        else:
            found.append(item)
    return found


def _text(raw: bytes | None) -> str:
    return decode_text(raw).strip() if raw else ""


def render_addresses(value: bytes, limits: Limits = LIMITS) -> bytes:
    """Render an unfolded value as the IMAP address list of an ENVELOPE, NIL when empty."""
    addresses = raw_addresses(value, limits)
    if not addresses:
        return NIL
    return b"(%b)" % b"".join(
        [
            b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(local), nstring(host))
            for name, route, local, host in addresses
        ]
    )


def raw_addresses(value: bytes, limits: Limits = LIMITS) -> list[RawAddress]:
    """Read an unfolded value. Quoting is removed, encoded words and 8-bit text are kept."""
    if limits is LIMITS and len(value) <= _SHORT:
        return list(_short(value))
    return _read(value[: limits.field_octets], limits)


# Of one message the same field is asked for by several who do not know of each other.
@lru_cache(maxsize=256)
def _short(value: bytes) -> tuple[RawAddress, ...]:
    return tuple(_read(value, LIMITS))


def _read(value: bytes, limits: Limits) -> list[RawAddress]:
    found: list[RawAddress] = []
    pos = 0
    while pos < len(value):
        match = _SIMPLE.match(value, pos)
        if match is None:
            return _Cursor(value, limits).read()
        quoted, phrase, local, host, bare_local, bare_host = match.groups()
        if bare_host is not None:
            found.append((None, None, bare_local, bare_host))
        else:
            name = quoted if phrase is None else b" ".join(phrase.split())
            found.append((name or None, None, local, host))
        pos = match.end()
        if len(found) >= limits.addresses:
            break
    return found


class _Cursor:
    """Reads any address list. Collects words until a separator tells what they were."""

    def __init__(self, value: bytes, limits: Limits) -> None:
        self._value = value
        self._limit = limits.addresses
        self._found: list[RawAddress] = []
        self._in_group = False
        self._reset()

    def _reset(self) -> None:
        self._words: list[bytes] = []  # before "<", "@" or ":"
        self._is_adjacent = False  # no space since the last word
        self._domain: list[bytes] | None = None  # after "@", outside of angle brackets
        self._comment = b""
        self._angle: RawAddress | None = None

    def read(self) -> list[RawAddress]:
        pos = 0
        value = self._value
        while pos < len(value) and len(self._found) < self._limit:
            match = _TOKEN_PATTERN.match(value, pos)
            if match is None:  # pragma: no cover - every octet begins some token
                break
            space, quoted, literal, special, atom = match.groups()
            pos = match.end()
            if special is not None:
                pos = self._special(special, pos)
            elif space is not None:
                self._is_adjacent = False
            else:
                self._word(_unquote(quoted) if quoted is not None else atom or literal or b"")
        self._flush()
        if self._in_group:
            self._found.append(GROUP_END)
        return self._found

    def _word(self, word: bytes) -> None:
        if self._angle is not None:
            return  # text after the closing bracket
        if self._domain is not None:
            self._domain.append(word)
        else:
            if self._words and not self._is_adjacent:
                self._words.append(b" ")
            self._words.append(word)
        self._is_adjacent = True

    def _special(self, special: bytes, pos: int) -> int:
        if special == b"(":
            return self._read_comment(pos)
        if special == b"<":
            return self._read_angle(pos)
        if special == b"@":
            if self._domain is None:
                self._domain = []
            else:
                self._domain.append(b"@")  # two of them: not a domain, and it stays so
        elif special == b",":
            self._flush()
        elif special == b":" and self._angle is None and not self._in_group:
            self._begin_group()
        elif special == b";":
            self._flush()
            if self._in_group:
                self._found.append(GROUP_END)
                self._in_group = False
        return pos

    def _begin_group(self) -> None:
        name = b"".join(self._words)
        if self._domain:
            name += b"@" + b"".join(self._domain)
        self._found.append((None, None, name, None))
        self._in_group = True
        self._reset()

    def _read_comment(self, pos: int) -> int:
        """Skip a comment, keeping its text: RFC 822 mailers put the name there."""
        value = self._value
        start, depth = pos, 1
        while depth:
            match = _COMMENT_END.search(value, pos)
            if match is None:
                pos = len(value)
                break
            pos = match.end()
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
            else:
                pos += 1
        text = value[start : pos if depth else pos - 1]
        self._comment = _unquote(text).strip(b" \t")
        self._is_adjacent = False
        return pos

    def _read_angle(self, pos: int) -> int:
        """Read from after "<" to after ">" (or to where it is clear that none comes)."""
        value = self._value
        pieces: list[bytes] = []
        at = -1  # index in pieces of the last "@"
        route: bytes | None = None
        while pos < len(value):
            match = _TOKEN_PATTERN.match(value, pos)
            if match is None:  # pragma: no cover
                break
            space, quoted, special = match.group(1, 2, 4)
            if special in (b";", b"<") or (special == b"," and at != 0):
                break  # no closing bracket
            pos = match.end()
            if special == b">":
                break
            if special == b"(":
                pos = self._read_comment(pos)
            elif special == b":" and at >= 0:
                # RFC 5322 §4.4: obs-route
                route, pieces, at = b"".join(pieces), [], -1
            elif space is None:
                if special == b"@":
                    at = len(pieces)
                pieces.append(_unquote(quoted) if quoted is not None else match[0])
        if at >= 0:
            local, host = b"".join(pieces[:at]), b"".join(pieces[at + 1 :])
        else:
            local, host = b"".join(pieces), b""
        if self._angle is None and (local or host):
            self._angle = (None, route, local, host)
        return pos

    def _flush(self) -> None:
        """End one address."""
        words = b"".join(self._words)
        if self._angle is not None:
            if self._domain is not None:  # `user@host <user@host>`, unquoted
                words += b"@" + b"".join(self._domain)
            name = words or self._comment or None
            self._found.append((name, *self._angle[1:]))
        elif words or self._domain is not None:
            host = b"".join(self._domain or ())
            self._found.append((self._comment or None, None, words, host))
        self._reset()


def _unquote(text: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text
