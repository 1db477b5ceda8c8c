"""How texts compare, whatever their case: for sorting and for searching.

RFC 5051 (i;unicode-casemap), which RFC 5256 sorts and threads by and RFC 5255 asks for at
I18NLEVEL=1. What these functions return is compared as it is: code point by code point, which is
the order of the octets in UTF-8.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import normalize

_LAST_CASED = 0x1E944  # above it no character has an upper case


def casemap(text: str) -> str:
    """Bring to the canonical form of i;unicode-casemap.

    >>> casemap("Caf\\u00e9") == casemap("CAFE\\u0301")
    True
    """
    if text.isascii():
        return text.upper()
    pattern, special = _not_simple()
    # RFC 5051 §2.3: each character by its simple titlecase mapping, then full decomposition.
    pieces = pattern.split(text)
    return normalize("NFKD", "".join([special.get(piece) or piece.upper() for piece in pieces]))


def fold(text: str) -> str:
    """Bring to the form in which SEARCH looks for substrings.

    All that i;unicode-casemap finds is found; and beyond it, what differs in full case mapping
    only, as in "Stra\\u00dfe" and "STRASSE".
    """
    if text.isascii():
        return text.upper()
    return normalize("NFKD", normalize("NFKD", text.upper()).upper())


def folded(text: str) -> bytes:
    """The same as octets: UTF-8 is found within UTF-8 by whole characters only."""
    return fold(text).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=1)
def _not_simple() -> tuple[re.Pattern[str], dict[str, str]]:
    """The characters whose simple titlecase mapping is not what str.upper() gives."""
    special: dict[str, str] = {}
    for code in range(0x80, _LAST_CASED):
        char = chr(code)
        upper = char.upper()
        if upper != char:
            title = char.title()
            simple = title if len(title) == 1 else char
            if simple != upper:
                special[char] = simple
    return re.compile("([" + re.escape("".join(special)) + "])"), special
