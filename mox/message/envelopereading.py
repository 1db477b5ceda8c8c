"""Reading back the ENVELOPE that the index holds: whom a message was sent to, and when.

Only what `mox.message.envelopes` renders is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mox.address import Address
from mox.message.charsets import guess
from mox.message.dates import Timestamp, parse_date
from mox.message.mailboxes import Mailbox

# RFC 9051 §9: nstring of the kinds that we render, and parentheses.
_TOKEN = re.compile(rb' ?(?:(NIL)|"((?:[^"\\]++|\\.)*+)"|\{([0-9]+)\}\r\n|([()]))', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

# RFC 9051 §7.5.2: positions in the envelope, and in an address.
_DATE, _TO, _CC, _BCC = 0, 5, 6, 7
_MAILBOX, _HOST = 2, 3

_Value = bytes | list["_Value"] | None


def recipients(envelope: bytes, most: int) -> tuple[Address, ...]:
    """Return the valid addresses of To, Cc and Bcc, each once, at most `most`."""
    found: dict[Address, None] = {}
    items = _read(envelope)
    for at in (_TO, _CC, _BCC):
        for address in _addresses(items[at] if at < len(items) else None):
            if len(found) >= most:
                return tuple(found)
            found[address] = None
    return tuple(found)


def sent(envelope: bytes) -> Timestamp | None:
    """Return the moment of the Date field, None when there is none."""
    items = _read(envelope)
    value = items[_DATE] if items else None
    return parse_date(value) if isinstance(value, bytes) else None


def _addresses(value: _Value) -> Iterator[Address]:
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, list) or len(item) <= _HOST:
            continue
        localpart, host = item[_MAILBOX], item[_HOST]
        if isinstance(localpart, bytes) and isinstance(host, bytes):
            address = Mailbox("", guess(localpart), guess(host)).address
            if address is not None:
                yield address


def _read(envelope: bytes) -> list[_Value]:
    """Read the outermost list; what follows something unknown is left out."""
    outer: list[_Value] = []
    stack = [outer]
    pos = 0
    while match := _TOKEN.match(envelope, pos):
        nil, quoted, length, parenthesis = match.groups()
        pos = match.end()
        if parenthesis == b"(":
            inner: list[_Value] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif parenthesis == b")":
            stack.pop()
            if len(stack) < 2:
                break
        elif length is not None:
            end = pos + int(length)
            stack[-1].append(envelope[pos:end])
            pos = end
        else:
            stack[-1].append(None if nil else _QUOTED_PAIR.sub(rb"\1", quoted))
    first = outer[0] if outer else None
    return first if isinstance(first, list) else []
