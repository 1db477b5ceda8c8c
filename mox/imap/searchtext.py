"""What text keys ask of a message (RFC 9051 §6.4.4, RFC 6203).

Strings match as substrings, whatever their case. Both sides are folded octets
(mox.collation.folded); getting at the message's texts is the shell's affair, and lazy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from mox.collation import folded


class MessageText(Protocol):
    """The texts of one message."""

    def has_field(self, name: bytes, part: bytes) -> bool:
        """Tell whether a header field called `name` contains `part`, raw or decoded."""

    def in_header(self, part: bytes) -> bool:
        """Tell whether the header contains `part`; a field is there as "NAME: value"."""

    def in_body(self, part: bytes) -> bool:
        """Tell whether a decoded text part contains `part`; embedded messages count."""

    def sent_date(self) -> date | None:
        """Give the calendar date of the Date field as written there."""


# Words of a fuzzy search that are looked for; what follows is not.
_MAX_WORDS = 50

# Whether some octets are in the place where a key looks.
Place = Callable[[MessageText, bytes], bool]


def in_field(name: str) -> Place:
    label = folded(name)
    return lambda text, part: text.has_field(label, part)


def in_body(text: MessageText, part: bytes) -> bool:
    return text.in_body(part)


def anywhere(text: MessageText, part: bytes) -> bool:
    return text.in_header(part) or text.in_body(part)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A string to look for. `words`: of a fuzzy search, that finds them in any order."""

    part: bytes
    words: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, value: str, *, fuzzy: bool) -> Wanted:
        part = folded(value)
        return cls(part, tuple(part.split(None, _MAX_WORDS)[:_MAX_WORDS]) if fuzzy else ())

    def within(self, text: MessageText, place: Place) -> bool:
        if self.words:
            # RFC 6203 §3: how a fuzzy search matches is up to the server.
            return all(place(text, word) for word in self.words)
        return place(text, self.part)

    def score(self, text: MessageText, place: Place) -> int:
        """RFC 6203 §4: 1 to 100 by how well a message fits; 0 when it does not."""
        if place(text, self.part):
            return 100
        found = sum(place(text, word) for word in self.words)
        return 80 * found // len(self.words) if found else 0
