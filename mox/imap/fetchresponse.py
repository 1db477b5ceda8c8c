"""FETCH responses, in pieces that a shell joins: one bytes object per item.

RFC 9051 §7.5.2, RFC 7162 (MODSEQ), RFC 3516 and RFC 9051 §6.4.5.1 (BINARY). ENVELOPE and
BODYSTRUCTURE come ready-made from the store. Large content is not copied: `body_start` gives
what goes before it.

>>> fetch(3, [uid(7), flags(("\\\\Seen",))])
b'* 3 FETCH (UID 7 FLAGS (\\\\Seen))\\r\\n'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from time import gmtime

from mox.imap import strings

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_S = 86400


def fetch(number: int, items: Sequence[bytes]) -> bytes:
    """Give a whole FETCH line for message sequence number `number`."""
    return b"* %d FETCH (" % number + b" ".join(items) + b")\r\n"


def uidfetch(value: int, items: Sequence[bytes]) -> bytes:
    """The same for a uid, once UIDONLY is enabled (RFC 9586 §3.3)."""
    return b"* %d UIDFETCH (" % value + b" ".join(items) + b")\r\n"


def fetch_start(number: int) -> bytes:
    """Give the beginning, for answers sent in pieces; fetch_end() closes them."""
    return b"* %d FETCH (" % number


def fetch_end() -> bytes:
    return b")\r\n"


def uid(value: int) -> bytes:
    return b"UID %d" % value


def modseq(value: int) -> bytes:
    return b"MODSEQ (%d)" % value


def size(octets: int) -> bytes:
    return b"RFC822.SIZE %d" % octets


def flags(names: tuple[str, ...] | list[str]) -> bytes:
    return b"FLAGS " + strings.flag_list(names)


def envelope(value: bytes) -> bytes:
    """`value` is the parenthesised list."""
    return b"ENVELOPE " + value


def bodystructure(value: bytes, *, extensible: bool = True) -> bytes:
    """`extensible`: BODYSTRUCTURE; otherwise BODY, whose value has no extension data."""
    return (b"BODYSTRUCTURE " if extensible else b"BODY ") + value


def savedate(seconds: int) -> bytes:
    """RFC 8514 §4.2; shown in UTC."""
    return b"SAVEDATE" + internaldate(seconds, 0)[len(b"INTERNALDATE") :]


def preview(text: str, *, utf8: bool = False) -> bytes:
    """RFC 8970 §3.1"""
    return b"PREVIEW " + strings.string(text.encode("utf-8", "replace"), utf8=utf8)


def internaldate(seconds: int, zone: int) -> bytes:
    """`seconds` since the epoch, `zone` minutes east of UTC; the clock shows that zone's time."""
    local = seconds + zone * 60
    day, clock = divmod(local, _DAY_S)
    hour, rest = divmod(clock, 3600)
    minute, second = divmod(rest, 60)
    return b'INTERNALDATE "%s %02d:%02d:%02d %s"' % (_day(day), hour, minute, second, _zone(zone))


# Mail arrives in runs of days: formatting a date costs more than finding it again.
@lru_cache(maxsize=1024)
def _day(day: int) -> bytes:
    when = gmtime(day * _DAY_S)
    return f"{when.tm_mday:2d}-{_MONTHS[when.tm_mon - 1]}-{when.tm_year:04d}".encode("ascii")


@lru_cache(maxsize=128)
def _zone(zone: int) -> bytes:
    hours, minutes = divmod(abs(zone), 60)
    return b"%s%02d%02d" % (b"-" if zone < 0 else b"+", hours, minutes)


def body(label: bytes, content: bytes | None) -> bytes:
    """Give BODY[…] (or RFC822…) as named by `label`; None: there is no such part.

    Always a literal: clients read any content that way, and nothing has to be looked through.
    """
    if content is None:
        return label + b" NIL"
    return label + b" " + strings.literal(content)


def body_start(label: bytes, octets: int) -> bytes:
    """Give what precedes `octets` of content that the shell sends itself."""
    return label + b" " + strings.literal_start(octets)


def binary(label: bytes, content: bytes | None) -> bytes:
    """Give BINARY[…]; content with NUL goes as literal8 (RFC 9051 §9: literal8)."""
    if content is None:
        return label + b" NIL"
    return label + b" " + strings.literal_start(len(content), binary=b"\0" in content) + content


def binary_size(label: bytes, octets: int) -> bytes:
    return label + b" %d" % octets
