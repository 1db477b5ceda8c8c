"""The settings of a content filter."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

# Grows when the same message gives other tokens than before, so that counts are made anew.
TOKENS_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """How messages are read and how words are weighed.

    max_power: how close to 0 or 1 the score of one word can be; above 0, at most 0.5.
    ignore_words: words whose score is nearer to one half than this say nothing.
    rare_words: words seen at most so often count less.
    """

    onegrams: bool = True
    twograms: bool = False
    threegrams: bool = False
    max_power: float = 0.01
    top_words: int = 10
    ignore_words: float = 0.1
    rare_words: int = 2

    @property
    def fingerprint(self) -> int:
        """A number, never 0, that differs where the same message gives other tokens."""
        text = f"{TOKENS_VERSION} {self.onegrams} {self.twograms} {self.threegrams}"
        return zlib.crc32(text.encode()) or 1
