"""A cursor over one assembled command, with the rules that all commands share.

RFC 9051 §9: atom, astring, string, number, nstring, and the literals as values. The framing
reader joins the lines of a command and puts a NUL octet, which no command text may hold, where
each literal stood: so a quoted string cannot run over a literal, and nothing is looked at twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from mox.errors import MoxError
from mox.imap.limits import LIMITS, Limits

T = TypeVar("T")

MAX_NUMBER = 2**32 - 1
MAX_NUMBER64 = 2**63 - 1

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
ATOM = re.compile(rb"[!#-$&'+-\[^-z|}~]++")
# ASTRING-CHAR = ATOM-CHAR / resp-specials
ASTRING_ATOM = re.compile(rb"[!#-$&'+-\[\]^-z|}~]++")
# list-char = ATOM-CHAR / list-wildcards / resp-specials
LIST_ATOM = re.compile(rb"[!#-'*-\[\]^-z|}~]++")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE. Octets above 0x7f are looked at by whoever decodes.
QUOTED = re.compile(rb'"((?:[^"\\\x00\r\n]++|\\["\\])*+)"')
NUMBER = re.compile(rb"[0-9]++")
NZ_NUMBER = re.compile(rb"[1-9][0-9]*+")
WORD = re.compile(rb"[A-Za-z0-9.\-+]++")
_ESCAPED = re.compile(rb'\\(["\\])')

LITERAL_MARK = 0
_SPACE = 0x20


class SyntaxFailure(MoxError):
    """The command does not follow the grammar: BAD, with `code` when there is a response code."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class CharsetFailure(MoxError):
    """SEARCH named a charset other than US-ASCII and UTF-8."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal's octets; `binary` for literal8, which alone may hold NUL."""

    data: bytes
    binary: bool = False


@dataclass(slots=True)
class Cursor:
    """Reads left to right; every failure is a SyntaxFailure.

    `utf8` says how mailbox names are encoded: plain UTF-8 once UTF8=ACCEPT or IMAP4rev2 is
    enabled, modified UTF-7 before. With `pedantic` what clients do against the grammar is
    refused, for those who test theirs.
    """

    text: bytes
    literals: Sequence[Literal] = ()
    utf8: bool = False
    limits: Limits = LIMITS
    at: int = 0
    pedantic: bool = False
    _next_literal: int = field(default=0, repr=False)

    def fail(self, text: str) -> NoReturn:
        raise SyntaxFailure(text)

    def peek(self) -> bytes:
        """Give the next octet, b"" at the end, b"\\0" at a literal."""
        return self.text[self.at : self.at + 1]

    def maybe(self, octets: bytes) -> bool:
        """Step over `octets` if they come next."""
        if self.text.startswith(octets, self.at):
            self.at += len(octets)
            return True
        return False

    def take(self, octets: bytes) -> None:
        if not self.maybe(octets):
            self.fail(f"expected {octets.decode('ascii')!r}")

    def space(self) -> None:
        # RFC 9051 §9, note 3 to the grammar: exactly one space between elements.
        if self.text[self.at : self.at + 1] != b" ":
            self.fail("expected a space")
        self.at += 1

    def at_end(self) -> bool:
        """Tell whether only spaces are left.

        Deviation from RFC 9051 §9: trailing spaces are let through, several old clients send them.
        """
        while self.at < len(self.text) and self.text[self.at] == _SPACE:
            self.at += 1
        return self.at == len(self.text)

    def more(self) -> bool:
        """Tell whether another element follows, and step over the space before it."""
        start = self.at
        if self.at_end():
            if self.at != start:
                self.tolerate("spaces at the end")
            return False
        if self.at != start + 1:
            self.fail("expected a space")
        return True

    def tolerate(self, text: str) -> None:
        """Note that something is let through which the grammar does not have."""
        if self.pedantic:
            self.fail(text)

    def end(self) -> None:
        if self.at < len(self.text) and self.at_end():
            self.tolerate("spaces at the end")
        if not self.at_end():
            self.fail("unexpected text at the end")

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail(f"expected {what}")
        self.at = found.end()
        return found.group()

    def word(self, what: str) -> str:
        """Read a keyword of the grammar; upper case."""
        return self.match(WORD, what).decode("ascii").upper()

    def atom(self, what: str = "an atom") -> str:
        return self.match(ATOM, what).decode("ascii")

    def number(self, largest: int = MAX_NUMBER) -> int:
        return self._bounded(self.match(NUMBER, "a number"), largest)

    def nz_number(self, largest: int = MAX_NUMBER) -> int:
        return self._bounded(self.match(NZ_NUMBER, "a non-zero number"), largest)

    def _bounded(self, digits: bytes, largest: int) -> int:
        if len(digits) > 20 or int(digits) > largest:
            self.fail("number too large")
        return int(digits)

    def string(self, what: str = "a string") -> bytes:
        """Read a quoted string or literal."""
        if self.peek() == b"\0":
            return self._literal()
        found = QUOTED.match(self.text, self.at)
        if found is None:
            self.fail(f"expected {what}")
        self.at = found.end()
        content = found.group(1)
        return _ESCAPED.sub(rb"\1", content) if b"\\" in content else content

    def maybe_literal(self) -> Literal | None:
        """Step over a literal or literal8 if one comes next, whatever its octets."""
        if self.peek() != b"\0":
            return None
        literal = self.literals[self._next_literal]
        self.at += 1
        self._next_literal += 1
        if 0 in literal.data and not literal.binary:
            self.fail("NUL in a literal")
        return literal

    def _literal(self) -> bytes:
        literal = self.maybe_literal()
        assert literal is not None, "looked at by the caller"
        # RFC 9051 §9: CHAR8 is any octet but NUL; nothing here wants one in a literal8 either.
        if 0 in literal.data:
            self.fail("NUL in a literal")
        return literal.data

    def astring(self, what: str = "a string", pattern: re.Pattern[bytes] = ASTRING_ATOM) -> bytes:
        if self.peek() in (b'"', b"\0"):
            return self.string(what)
        return self.match(pattern, what)

    def nstring(self) -> bytes | None:
        if self.text[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string("a string or NIL")

    def unicode(self, raw: bytes, what: str) -> str:
        """Decode the UTF-8 of a user name, search string and so on."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.fail(f"{what} is not UTF-8")

    def parenthesised(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """Read "(" items with a space between ")"."""
        self.take(b"(")
        items: list[T] = []
        if empty and self.maybe(b")"):
            return items
        items.append(item())
        while not self.maybe(b")"):
            self.space()
            items.append(item())
        return items


def unique(items: Sequence[T]) -> tuple[T, ...]:
    """Drop repeats, keep the order."""
    return tuple(dict.fromkeys(items))
