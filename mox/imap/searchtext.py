"""Texts of a message as SEARCH compares them: substring, whatever the case or compatibility form.

RFC 9051 §6.4.4: strings match case-insensitively as substrings; encoded words and transfer
encodings are undone first. Getting at the texts is the shell's affair, and lazy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Protocol
from unicodedata import normalize


class MessageText(Protocol):
    """What text keys may ask of one message; each is called at most once per message and name."""

    def header(self, name: str) -> Iterable[str]:
        """Give every form, raw and decoded, of each header field called `name` (lower case)."""

    def header_text(self) -> Iterable[str]:
        """Give the whole header, raw and decoded; in pieces of at least a field."""

    def body_text(self) -> Iterable[str]:
        """Give the decoded text parts, and those of embedded messages."""

    def sent_date(self) -> date | None:
        """Give the calendar date of the Date field as written there."""


def header_forms(values: Iterable[bytes], decode: Callable[[bytes], str]) -> Iterator[str]:
    """Give raw field values and, where different, what `decode` makes of them."""
    for value in values:
        raw = value.decode("utf-8", "replace")
        yield raw
        decoded = decode(value)
        if decoded != raw:
            yield decoded


def fold(text: str) -> str:
    """Bring to the form that is compared: casefold within NFKC."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())


class FoldedText:
    """Folded texts of one message, kept while its keys are evaluated."""

    __slots__ = ("_body", "_header_text", "_headers", "_message")

    def __init__(self, message: MessageText) -> None:
        self._message = message
        self._headers: dict[str, list[str]] = {}
        self._header_text: list[str] | None = None
        self._body: list[str] | None = None

    def header(self, name: str) -> list[str]:
        found = self._headers.get(name)
        if found is None:
            found = self._headers[name] = [fold(text) for text in self._message.header(name)]
        return found

    def header_text(self) -> list[str]:
        if self._header_text is None:
            self._header_text = [fold(text) for text in self._message.header_text()]
        return self._header_text

    def body(self) -> list[str]:
        if self._body is None:
            self._body = [fold(text) for text in self._message.body_text()]
        return self._body

    def sent_date(self) -> date | None:
        return self._message.sent_date()
