"""The text that a reader of HTML sees, for the content filter.

Not a parser of HTML: one pass over tags, linear on any input. Text in script, style and svg and
comments are left out, the alternative texts of images are taken in. Elements that begin a line
or a cell part words; those within a line do not (`wor<b>ld</b>` is one word).
"""

from __future__ import annotations

import html
import re

# Elements whose text is not shown, and what ends them.
_HIDDEN = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "svg")}
_INLINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "blink", "cite", "code", "data"),
        *("del", "dfn", "em", "font", "i", "ins", "kbd", "mark", "nobr", "q", "s", "samp", "small"),
        *("span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    }
)
_NAME = re.compile(r"/?[a-zA-Z][^\s/>]{0,40}")
# A name and attributes up to the closing angle bracket, which may stand in quotes before.
_TAG = re.compile(r"""(/?[a-zA-Z][^\s/>"']{0,40}+)[^>"']*+(?:(?:"[^"]*+"|'[^']*+')[^>"']*+)*>""")
_ALT = re.compile(r"""\salt\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
# Bounded, so that no number of thousands of digits is ever read.
_ENTITY = re.compile(
    r"&(?:#\d{1,7}(?!\d)|#[xX][0-9a-fA-F]{1,6}(?![0-9a-fA-F])|[a-zA-Z][a-zA-Z0-9]{1,31});?"
)
_MAX_ALT_TAG = 4096


def visible_text(source: str) -> str:
    """The text of an HTML document; never raises."""
    pieces: list[str] = []
    _Reader(source, pieces).read()
    text = "".join(pieces)
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text


class _Reader:
    """Walks from one `<` to the next."""

    def __init__(self, source: str, pieces: list[str]) -> None:
        self._source = source
        self._pieces = pieces
        self._quotes = True  # until a quote is left open: then quotes are not heeded any more

    def read(self) -> None:
        source, pieces = self._source, self._pieces
        pos = 0
        while (at := source.find("<", pos)) >= 0:
            if at > pos:
                pieces.append(source[pos:at])
            pos = self._markup(at)
        if pos < len(source):
            pieces.append(source[pos:])

    def _markup(self, at: int) -> int:
        """Deal with what a `<` begins; returns where text goes on."""
        source = self._source
        if self._quotes:
            tag = _TAG.match(source, at + 1)
            if tag is not None:
                return self._tag(tag[1].lower(), tag.end(1), tag.end())
        name = _NAME.match(source, at + 1)
        if name is not None:
            self._quotes = False
            end = self._after(source.find(">", name.end()), 1)
            return self._tag(name[0].lower(), name.end(), end)
        if source.startswith("<!--", at):
            return self._after(source.find("-->", at + 4), 3)
        if source.startswith(("<!", "<?", "</"), at):
            return self._after(source.find(">", at), 1)
        self._pieces.append(" ")
        return at + 1

    def _after(self, found: int, length: int) -> int:
        return len(self._source) if found < 0 else found + length

    def _tag(self, name: str, start: int, end: int) -> int:
        """A tag whose attributes go from start to end; returns where text goes on."""
        if name.lstrip("/") in _INLINE:
            return end
        self._pieces.append(" ")
        if name == "img":
            alt = _ALT.search(self._source, start - 1, min(end, start + _MAX_ALT_TAG))
            if alt is not None:
                self._pieces.append(f"{alt[1] or alt[2] or alt[3] or ''} ")
        elif name in _HIDDEN and not self._source.startswith("/", end - 2):
            return self._after_hidden(name, end)
        return end

    def _after_hidden(self, name: str, start: int) -> int:
        close = _HIDDEN[name].search(self._source, start)
        if close is None:
            return len(self._source)
        return self._after(self._source.find(">", close.end()), 1)
