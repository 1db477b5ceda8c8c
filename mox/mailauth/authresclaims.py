"""Authentication-Results fields that come in with a message and claim to be ours.

RFC 8601 §5: whoever reads our name in such a field believes that we wrote it, so those of others
must not get through. Fields with other names stay: they say what another server found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from mox.address import AddressError, Domain, parse_domain
from mox.message.fields import unfold

_NAME: Final = re.compile(rb"authentication-results[ \t]*:", re.IGNORECASE)
_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._\-\x80-\U0010ffff]+")
# Of a field's value; the identifier is at its beginning.
_MAX_HEAD: Final = 4096


def without_claims(section: bytes, ours: Collection[Domain]) -> bytes:
    """Return a header section (wire form) without the fields that claim one of our identifiers.

    A field whose identifier cannot be read goes as well: there is no telling what others read in
    it. All other octets stay as they are.
    """
    if b"authentication-results" not in section.lower():
        return section
    return b"".join([field for field in _fields(section) if not _claims(field, ours)])


def _fields(section: bytes) -> Iterator[bytes]:
    """The section's fields with their line ends, nothing left out."""
    start = 0
    for end in _FIELD_END.finditer(section):
        yield section[start : end.end()]
        start = end.end()
    yield section[start:]


def _claims(field: bytes, ours: Collection[Domain]) -> bool:
    name = _NAME.match(field)
    if name is None:
        return False
    value = unfold(field[name.end() : name.end() + _MAX_HEAD]).decode("utf-8", "replace")
    identifier = _IDENTIFIER.match(value, _after_comments(value))
    if identifier is None:
        return True
    try:
        # RFC 8601 §2.2, RFC 8616 §5: compared without case, in either form of the name.
        return parse_domain(identifier[0].rstrip(".")) in ours
    except AddressError:
        return False  # some other word; ours is a domain


def _after_comments(value: str) -> int:
    """Where the identifier begins: after white space, comments, and the quote of a string.

    RFC 5322 §3.2.2: comments nest. At the end when a comment is not closed.
    """
    at = depth = 0
    while at < len(value):
        character = value[at]
        if character == "\\" and depth:
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth and character not in ' \t"':
            break
        at += 1
    return at
