"""Values with parameters: Content-Type and Content-Disposition.

RFC 2045 §5.1, RFC 2183 §2, RFC 2231 §3 and §4. Tolerant: comments, missing quotes, missing
semicolons and broken names lose as little as possible. Bounded by `Limits.params`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mox.message import charsets
from mox.message.imapstrings import NIL, text
from mox.message.limits import LIMITS, Limits

Params = tuple[tuple[str, str], ...]

_ATOM = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,127}+"
_MEDIA_TYPE = re.compile(rf"[ \t]*({_ATOM})[ \t]*/[ \t]*({_ATOM})[ \t]*(?=[;( \t]|$)".encode())
_DISPOSITION = re.compile(rf"[ \t;]*({_ATOM})".encode())
_PARAM = re.compile(
    rb'([^=; \t"]{1,100}+)[ \t]*+=[ \t]*+'
    # a quoted string, maybe not closed; or a token
    rb'(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?$)|([^;]*+))',
    re.DOTALL,
)
_NEXT = re.compile(rb"[^;]*+")
_SEPARATORS = re.compile(rb"[; \t]*+")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
# RFC 2231 §7: attribute [*section] [*]
_SECTIONED = re.compile(r"([^*]+)(?:\*([0-9]{1,3}))?(\*)?")
_COMMENT_OR_QUOTED = re.compile(rb'["()\\]')
_CACHED_OCTETS = 100
# Names whose unquoted values may hold spaces, as many mailers write them.
_SPACED = ("name", "filename")


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type. `rendered` is it in a BODYSTRUCTURE: type, subtype and parameters."""

    type: str  # upper case
    subtype: str  # upper case
    params: Params
    rendered: bytes


@dataclass(frozen=True, slots=True)
class Disposition:
    """A Content-Disposition."""

    type: str  # upper case
    params: Params


def param(params: Params, name: str) -> str:
    """Return a parameter's value, "" when absent. An RFC 2231 form wins over the plain one."""
    plain = ""
    for key, value in params:
        if key == name and not plain:
            plain = value
        elif key[-1] == "*" and key[:-1] == name:
            return value
    return plain


def render_params(params: Params) -> bytes:
    """Render for BODYSTRUCTURE."""
    if not params:
        return NIL
    return b"(%b)" % b" ".join([text(item) for key, value in params for item in (key, value)])


def make_content_type(type_: str, subtype: str, params: Params = ()) -> ContentType:
    """Make a media type from upper-case names."""
    upper = tuple((key.upper(), value) for key, value in params)
    rendered = b"%b %b %b" % (text(type_), text(subtype), render_params(upper))
    return ContentType(type_, subtype, params, rendered)


# RFC 2045 §5.2: what a message without Content-Type is.
TEXT_PLAIN = make_content_type("TEXT", "PLAIN", (("charset", "US-ASCII"),))
MESSAGE_RFC822 = make_content_type("MESSAGE", "RFC822")
OCTET_STREAM = make_content_type("APPLICATION", "OCTET-STREAM")


def content_type(value: bytes, limits: Limits = LIMITS) -> ContentType | None:
    """Read an unfolded Content-Type. None for an empty one: the default applies."""
    if len(value) <= _CACHED_OCTETS and b"boundary" not in value:
        return _cached_content_type(value)
    return _content_type(value, limits)


@lru_cache(maxsize=512)
def _cached_content_type(value: bytes) -> ContentType | None:
    return _content_type(value, LIMITS)


def _content_type(value: bytes, limits: Limits) -> ContentType | None:
    value = strip_comments(value[: limits.field_octets])
    match = _MEDIA_TYPE.match(value)
    if match is None:
        bare = value.partition(b";")[0].strip().lower()
        return None if bare in (b"", b"text") else OCTET_STREAM
    params = parse_params(value, match.end(), limits)
    return make_content_type(match[1].decode().upper(), match[2].decode().upper(), params)


def disposition(value: bytes, limits: Limits = LIMITS) -> Disposition | None:
    """Read an unfolded Content-Disposition; None when there is no word in it."""
    value = strip_comments(value[: limits.field_octets])
    match = _DISPOSITION.match(value)
    if match is None:
        return None
    # RFC 2183 §2.8: without the type, `filename=x` alone is seen; it means an attachment.
    if value[match.end() : match.end() + 1] == b"=":
        return Disposition("ATTACHMENT", parse_params(value, 0, limits))
    return Disposition(match[1].decode().upper(), parse_params(value, match.end(), limits))


def strip_comments(value: bytes) -> bytes:
    """Remove RFC 5322 comments (nested, maybe unclosed) outside of quoted strings."""
    if b"(" not in value:
        return value
    kept = []
    depth = start = pos = 0
    quoted = False
    while match := _COMMENT_OR_QUOTED.search(value, pos):
        pos = match.end()
        special = match[0]
        if special == b"\\":
            pos += 1
        elif special == b'"' and not depth:
            quoted = not quoted
        elif special == b"(" and not quoted:
            if not depth:
                kept.append(value[start : pos - 1])
            depth += 1
        elif special == b")" and depth:
            depth -= 1
            start = pos
    if not depth:
        kept.append(value[start:])
    return b" ".join(kept)


def parse_params(value: bytes, pos: int, limits: Limits = LIMITS) -> Params:
    """Read `; name=value` pairs from `pos` on. Names come out in lower case."""
    pairs: list[tuple[str, bytes]] = []
    is_sectioned = False
    while len(pairs) < limits.params:
        pos = _end(_SEPARATORS, value, pos)
        if pos >= len(value):
            break
        match = _PARAM.match(value, pos)
        if match is None:
            pos = _end(_NEXT, value, pos)
            continue
        pos = match.end()
        name = charsets.guess(match[1]).lower()
        is_sectioned = is_sectioned or "*" in name
        raw = match[2]
        if raw is None:
            raw, pos = _token(name, match)
        elif b"\\" in raw:
            raw = _QUOTED_PAIR.sub(rb"\1", raw)
        pairs.append((name, raw))
    if is_sectioned:
        return _join_sections(pairs)
    return tuple([(name, charsets.guess(raw)) for name, raw in pairs])


def _end(pattern: re.Pattern[bytes], value: bytes, pos: int) -> int:
    match = pattern.match(value, pos)
    return match.end() if match else pos


def _token(name: str, match: re.Match[bytes]) -> tuple[bytes, int]:
    """Return an unquoted value and where reading goes on.

    A space ends it (`charset=utf-8 format=flowed` lacks a semicolon), but not in file names.
    """
    raw = match[3].rstrip(b" \t")
    if name.startswith(_SPACED) or (b" " not in raw and b"\t" not in raw):
        return raw, match.end()
    raw = raw.split(None, 1)[0]
    return raw, match.start(3) + len(raw)


def _join_sections(pairs: list[tuple[str, bytes]]) -> Params:
    """Join RFC 2231 sections and decode their octets.

    RFC 9051 §7.5.2: sections become one parameter; with a charset it is called `name*` and its
    value is text.
    """
    plain: list[tuple[str, str]] = []
    sections: dict[str, dict[int, tuple[bool, bytes]]] = {}
    for name, raw in pairs:
        match = _SECTIONED.fullmatch(name)
        if match is None or (match[2] is None and match[3] is None):
            plain.append((name, charsets.guess(raw)))
            continue
        numbered = sections.setdefault(match[1], {})
        numbered.setdefault(int(match[2] or 0), (match[3] is not None, raw))
    joined = [_join(name, numbered) for name, numbered in sections.items() if 0 in numbered]
    return (*plain, *joined)


def _join(name: str, numbered: dict[int, tuple[bool, bytes]]) -> tuple[str, str]:
    is_extended, first = numbered[0]
    charset = b""
    if is_extended:
        # RFC 2231 §4: charset'language'octets, in the first section only.
        head, quote, tail = first.partition(b"'")
        _language, second_quote, octets = tail.partition(b"'")
        if quote and second_quote:
            charset, first = head, octets
    pieces = [unquote_to_bytes(first) if is_extended else first]
    number = 1
    while number in numbered:
        encoded, octets = numbered[number]
        pieces.append(unquote_to_bytes(octets) if encoded else octets)
        number += 1
    value = charsets.decode(b"".join(pieces), charset.decode("ascii", "replace"))
    return (f"{name}*" if is_extended else name), value.replace("\0", "")
