"""Words of a text, for the content filter: those that can come again, in order.

A word is a run of letters and digits, in lower case. Not kept are short ones, numbers, and what
looks made up by a program (identifiers, hashes): they would fill the index and never come again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

# The longest token in octets of UTF-8: an index key has room for it after the account's id.
MAX_TOKEN_OCTETS = 500

# Searched for words in one go: less than a millisecond of work.
PIECE_CHARACTERS = 1 << 14

_SPACE = re.compile(r"\s")
# An apostrophe before a letter ends the word (don't, l'heure); all others are trimmed or within.
_APOSTROPHE = re.compile(r"'(?=[^\W\d_])")
_WORD = re.compile(r"[^\W_]++(?:'++[^\W_]++)*")
_RANDOM = re.compile(r"[b-df-hj-np-tv-z2-9]{6}")
_DIGIT = re.compile(r"\d")
_HEX = re.compile(r"[\da-f]+")


def words(text: str) -> list[str]:
    """The words of a text that are kept, in order of appearance. Linear time."""
    return [word for piece in _pieces(text) for word in _runs(piece) if _is_kept(word)]


def distinct_words(text: str) -> set[str]:
    """The same words, each once."""
    found: set[str] = set()
    for piece in _pieces(text):
        found.update(filter(_is_kept, set(_runs(piece))))
    return found


def _pieces(text: str) -> Iterable[str]:
    """The text, a long one cut at white space.

    Each piece is searched in one go, which keeps all other threads from running.
    """
    return (text,) if len(text) <= PIECE_CHARACTERS else _cut(text)


def _cut(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + PIECE_CHARACTERS)
        end = space.end() if space else len(text)
        yield text[start:end]
        start = end


def _runs(text: str) -> list[str]:
    text = text.lower()
    if "'" in text:
        text = _APOSTROPHE.sub(" ", text)
    return _WORD.findall(text)


def grams(kept: list[str], count: int) -> Iterator[str]:
    """Each `count` words that follow each other, joined by a space."""
    return map(" ".join, zip(*(kept[i:] for i in range(count)), strict=False))


# Most words of a message were in the last ones, too.
@lru_cache(maxsize=8192)
def _is_kept(word: str) -> bool:
    octets = len(word) if word.isascii() else len(word.encode())
    if not 2 < octets <= MAX_TOKEN_OCTETS:
        return False
    if octets == len(word) and octets >= 6 and _RANDOM.search(word):
        return False
    return word.isalpha() or not _looks_numeric(word)


def _looks_numeric(word: str) -> bool:
    """Digits alone, four digits anywhere, or three among hexadecimal ones."""
    if word.isdecimal():
        return True
    word = word.removeprefix("0x")
    digits = len(_DIGIT.findall(word))
    return digits >= 4 or (digits == 3 and _HEX.fullmatch(word) is not None)
