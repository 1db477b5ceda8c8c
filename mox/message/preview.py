"""The first words of a message, for lists of messages (RFC 8970).

Plain text as it is and HTML as text: without quotations, signature and white space. Reads a
bounded part of the message, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

from mox.message.fields import Data
from mox.message.limits import LIMITS
from mox.message.parts import Part
from mox.message.transfer import part_text

# RFC 8970 §3.1: 200 characters are enough, more than 256 are not allowed.
MAX_CHARS = 200

# Octets of the part that are looked at. Mail in HTML begins with long style sheets.
_PLAIN_LIMITS = replace(LIMITS, text_octets=8 << 10)
_HTML_LIMITS = replace(LIMITS, text_octets=64 << 10)
# Characters of it that are turned to text; outside of quotations fewer are enough.
_HTML_CHARS = 8192
_HTML_SHOWN = 2 * MAX_CHARS
_PIECE_CHARS = 2048
_MAX_LINES = 200
_SIGNATURE_LINES = 5

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)")
# Elements whose content is not shown as text.
_HIDDEN = frozenset(["title", "style", "script", "svg", "math", "template", "dialog", "map"])
_INLINE = frozenset(
    [
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em"),
        *("font", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike"),
        *("strong", "sub", "sup", "tt", "u", "var", "wbr"),
    ]
)
# What a mailer writes above the text that it quotes: "On …, … wrote:".
_WROTE = re.compile(
    r"(?:on|am|le|op|el)\b.{5,200}\b(?:wrote|schrieb|écrit|schreef|escribió).{0,40}:", re.I
)
_DASHES = re.compile(r"--+")
_QUOTED = "[...]"


def preview(data: Data, root: Part, *, wire: bool) -> str:
    """Make the preview text; "" when there is no text to show. Never raises."""
    part = _shown_part(root)
    if part is None:
        return ""
    if part.media_subtype == "HTML":
        lines = html_lines(part_text(data, part, wire=wire, limits=_HTML_LIMITS))
    else:
        lines = part_text(data, part, wire=wire, limits=_PLAIN_LIMITS).split("\n", _MAX_LINES)
    return " ".join(_without_quotes(lines))[:MAX_CHARS].rstrip()


def _shown_part(root: Part) -> Part | None:
    """The first text that is no attachment."""
    stack = [root]
    while stack:
        part = stack.pop()
        if part.is_attachment or part.message is not None:
            continue
        if part.media_type == "TEXT" and part.media_subtype in ("PLAIN", "HTML"):
            return part
        if part.media_type == "MULTIPART" and part.media_subtype == "ENCRYPTED":
            return None
        # RFC 1847 §2.1: what follows the first part of a signed message is the signature.
        shown = part.children[:1] if part.media_subtype == "SIGNED" else part.children
        stack.extend(reversed(shown))
    return None


def _without_quotes(lines: list[str]) -> list[str]:
    found: list[str] = []
    size = 0
    for i, raw in enumerate(lines):
        line = " ".join(raw.split())
        if not line:
            continue
        if line.startswith("--") and _begins_signature(lines, i):
            break
        if line.startswith(">") or _WROTE.fullmatch(line):
            if not found or found[-1] != _QUOTED:
                found.append(_QUOTED)
            continue
        found.append(line)
        size += len(line) + 1
        if size > MAX_CHARS:
            break
    return found


def _begins_signature(lines: list[str], i: int) -> bool:
    """A line of dashes with few lines after it, up to the end."""
    if _DASHES.fullmatch(lines[i].strip()) is None:
        return False
    return sum(1 for line in lines[i + 1 :] if line.strip()) < _SIGNATURE_LINES


def html_lines(html: str) -> list[str]:
    """The text of HTML in lines; those of a block quotation begin with ">"."""
    lines: list[list[str]] = [[]]
    quotes = size = shown = 0
    for kind, text in _tokens(html):
        if kind == "text":
            clean = " ".join(text[:_PIECE_CHARS].split())
            if "&" in clean:
                clean = unescape(clean)
            if not clean:
                lines[-1].append(" ")
                continue
            if quotes and not lines[-1]:
                lines[-1].append("> ")
            lines[-1].append(f" {clean} " if text[0].isspace() or text[-1].isspace() else clean)
            size += len(clean)
            shown += 0 if quotes else len(clean)
            if size > _HTML_CHARS or shown > _HTML_SHOWN:
                break
        elif text not in _INLINE:
            if text == "blockquote":
                quotes = max(quotes + (1 if kind == "begin" else -1), 0)
            if lines[-1]:
                lines.append([])
    return ["".join(line) for line in lines]


def _tokens(html: str) -> Iterator[tuple[str, str]]:
    """Yield ("text", text), ("begin", tag) and ("end", tag), in one pass."""
    pos, size = 0, len(html)
    while pos < size:
        at = html.find("<", pos)
        if at < 0:
            yield "text", html[pos:]
            return
        if at > pos:
            yield "text", html[pos:at]
        tag = _TAG.match(html, at)
        if tag is None and html[at + 1 : at + 2] not in ("!", "?", "/"):
            yield "text", "<"
            pos = at + 1
            continue
        close, name = ("", "!") if tag is None else (tag[1], tag[2].lower())
        end = "-->" if html.startswith("<!--", at) else ">"
        pos = html.find(end, at)
        if pos < 0:
            return
        pos += len(end)
        if tag is None:
            continue
        yield ("end" if close else "begin"), name
        if not close and name in _HIDDEN:
            pos = _end_of(html, name, pos)


def _end_of(html: str, name: str, pos: int) -> int:
    """Where the element ends; what is not closed hides all that follows."""
    while (pos := html.find("</", pos)) >= 0:
        if html[pos + 2 : pos + 2 + len(name)].lower() == name:
            return pos
        pos += 2
    return len(html)
