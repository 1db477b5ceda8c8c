"""Flags of messages in JSON: lower-case names, system flags and keywords together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from mox.errors import UserError
from mox.junk.mailboxflags import JUNK_KEYWORD, NOT_JUNK_KEYWORD
from mox.store.model import Flag

_SYSTEM: Final = {
    "$forwarded": Flag.FORWARDED,
    "\\answered": Flag.ANSWERED,
    "\\deleted": Flag.DELETED,
    "\\draft": Flag.DRAFT,
    "\\flagged": Flag.FLAGGED,
    "\\seen": Flag.SEEN,
}
# RFC 9051 §2.3.2: keywords with a meaning, as they are written there.
_KNOWN: Final = {
    word.lower(): word for word in (JUNK_KEYWORD, "$MDNSent", NOT_JUNK_KEYWORD, "$Phishing")
}
_WELL_KNOWN: Final = sorted((*_SYSTEM, *_KNOWN))
# RFC 9051 §9: flag-keyword is an atom.
_KEYWORD: Final = re.compile(r"[!#$&'+-\[^-z|}~]{1,200}")
_NOT_IN_ATOM: Final = frozenset('(){%*"\\]')


def parse_flags(names: Iterable[str], *, pedantic: bool) -> tuple[Flag, tuple[str, ...]]:
    """Return the system flags and the keywords of a request. Raises UserError."""
    flags = Flag.NONE
    keywords: dict[str, None] = {}
    for name in names:
        lower = name.lower()
        if lower in _SYSTEM:
            flags |= _SYSTEM[lower]
            continue
        keyword = _KNOWN.get(lower, lower)
        if _KEYWORD.fullmatch(lower) is None or _NOT_IN_ATOM.intersection(lower):
            raise UserError(f"parsing flags: invalid keyword {name[:100]}")
        if pedantic and keyword in keywords:
            raise UserError(f"parsing flags: duplicate keyword {keyword}")
        keywords[keyword] = None
    return flags, tuple(keywords)


def shown_flags(flags: int, bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """Return all flags of a message: well-known ones first, then others in alphabetical order.

    `bits` say which of the mailbox's `keywords` the message has.
    """
    names = {name for name, flag in _SYSTEM.items() if flags & flag}
    names |= {word.lower() for i, word in enumerate(keywords) if bits >> i & 1}
    known = [name for name in _WELL_KNOWN if name in names]
    return (*known, *sorted(names.difference(known)))
