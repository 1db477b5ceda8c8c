"""Matching mailbox names against LIST patterns.

RFC 9051 §6.3.9: "*" matches anything, "%" anything but "/". The matcher walks a name once with
the set of possible pattern positions as bits of an integer: no pattern makes it backtrack.

>>> Matcher("", [ListPattern("Archive/%")]).matches("Archive/2026")
True
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mox.imap.commands import ListPattern
from mox.imap.grammar.mailbox import INBOX
from mox.imap.utf7 import encode

DELIMITER = "/"
# Longer than any mailbox name, so such a pattern would match nothing but by its wildcards.
MAX_PATTERN = 2000

_WILDCARDS = re.compile(r"[*%]{2,}")


class Matcher:
    """Patterns under a reference name; a name matches when it matches any of them.

    The reference is put before each pattern as it is: `LIST "Archive/" %` and `LIST "" Archive/%`
    are the same (RFC 9051 §6.3.9 leaves this to the server).
    """

    __slots__ = ("_decoded", "_encoded")

    def __init__(self, reference: str, patterns: Sequence[ListPattern]) -> None:
        self._decoded = [_Glob(reference + each.text) for each in patterns if not each.encoded]
        raw = encode(reference).decode("ascii")
        self._encoded = [_Glob(raw + each.text) for each in patterns if each.encoded]

    def matches(self, name: str) -> bool:
        if any(glob.matches(name) for glob in self._decoded):
            return True
        if not self._encoded:
            return False
        encoded = encode(name).decode("ascii")
        return any(glob.matches(encoded) for glob in self._encoded)


class _Glob:
    """One pattern; bit i of a position set says that the first i elements are matched."""

    __slots__ = ("_any", "_end", "_everything", "_level", "_literal", "_wild")

    def __init__(self, pattern: str) -> None:
        # Runs of wildcards act like one, so no two are adjacent and one step skips a wildcard.
        text = _WILDCARDS.sub(lambda run: "*" if "*" in run.group() else "%", pattern)
        self._everything = text == "*"
        if len(text) > MAX_PATTERN:
            text = ""
        self._end = 1 << len(text)
        self._any = self._level = 0
        self._literal: dict[str, int] = {}
        for at, char in enumerate(text):
            if char == "*":
                self._any |= 1 << at
            elif char == "%":
                self._level |= 1 << at
            else:
                self._literal[char] = self._literal.get(char, 0) | 1 << at
        self._wild = self._any | self._level

    def matches(self, name: str) -> bool:
        if self._everything:
            return True
        # RFC 9051 §5.1: INBOX is case-insensitive, here also as the first level of a name.
        caseless = len(INBOX) if name == INBOX or name.startswith(INBOX + DELIMITER) else 0
        literal = self._literal
        positions = 1 | (1 & self._wild) << 1
        for at, char in enumerate(name):
            here = literal.get(char, 0)
            if at < caseless:
                here |= literal.get(char.lower(), 0)
            stay = self._any if char == DELIMITER else self._wild
            positions = (positions & here) << 1 | (positions & stay)
            positions |= (positions & self._wild) << 1
            if not positions:
                return False
        return bool(positions & self._end)
