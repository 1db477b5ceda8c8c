"""Header fields made from text: encoding, quoting, folding.

RFC 5322 §2.2.3 and §3.2 for folding and quoting, RFC 2047 for text that is not ASCII, RFC 2231
for parameters, RFC 6532 where SMTPUTF8 allows UTF-8 in headers. Values must be free of controls;
`has_controls` tells.

>>> unstructured("Subject", "wörld cup")
b'Subject: =?utf-8?b?d8O2cmxk?= cup\\r\\n'
>>> from mox.address import parse_address
>>> addresses("To", [("Doe, J.", parse_address("j@example.org"))])
b'To: "Doe, J." <j@example.org>\\r\\n'
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import quote_from_bytes

from mox.address import Address
from mox.message.trace import FoldedField

# RFC 5322 §2.1.1: lines should have no more than 78 characters, RFC 2047 §2: 76 with such words.
MAX_COLUMN: Final = 76
# What cannot be folded is encoded from this length on; lines must not have more than 998.
MAX_TOKEN: Final = 900
# RFC 2047 §2: an encoded word has at most 75 characters.
_MAX_WORD: Final = 75
_WORD_FRAME: Final = len("=?utf-8?q??=")
_MIN_FIRST: Final = 30

# RFC 5322 §3.6.8: ftext
_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
_CONTROL: Final = re.compile(r"[\0-\x1f]")
_TOKENS: Final = re.compile(r"( *)([^ ]+)")
_PRINTABLE: Final = re.compile(r"[ -~]*")
_ATOMS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*+"
)
# RFC 2045 §5.1: token
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+")
# RFC 2047 §5 (3): these stand for themselves everywhere.
_PLAIN_IN_WORD: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
)
# RFC 2231 §3: a long value is split into parts of this many characters.
_SECTION: Final = 50


def has_controls(text: str) -> bool:
    """Say whether there are characters below space, the tab included."""
    return _CONTROL.search(text) is not None


def is_name(name: str) -> bool:
    """Say whether a field can be called so."""
    return _NAME.fullmatch(name) is not None


def unstructured(name: str, value: str, *, utf8: bool = False) -> bytes:
    """Return a field of text. Runs of words that need it are encoded together."""
    value = value.strip(" ")
    if len(name) + 2 + len(value) <= MAX_COLUMN and not _needs_encoding(value, utf8=utf8):
        return f"{name}: {value}\r\n".encode()
    line = [f"{name}:"]
    column = len(name) + 1
    for spaces, word in _words(value, MAX_COLUMN - column - 1, utf8=utf8):
        if column + len(spaces) + len(word) > MAX_COLUMN and len(line) > 1:
            line.append("\r\n")
            column = 0
        line.append(spaces + word)
        column += len(spaces) + len(word)
    return ("".join(line) + "\r\n").encode()


def addresses(name: str, mailboxes: Sequence[tuple[str, Address]], *, utf8: bool = False) -> bytes:
    """Return a field with mailboxes: pairs of display name, "" for none, and address."""
    field = FoldedField(name)
    for index, (shown, address) in enumerate(mailboxes, 1):
        comma = "," if index < len(mailboxes) else ""
        field.add(*_phrase(shown, utf8=utf8), f"<{address.pack(utf8)}>{comma}")
    return bytes(field)


def parameter(name: str, value: str) -> Iterator[str]:
    """Yield a MIME parameter, in several parts when it is long, without semicolons."""
    if _TOKEN.fullmatch(value) and len(value) <= _SECTION:
        yield f"{name}={value}"
    elif _PRINTABLE.fullmatch(value) and len(value) <= _SECTION:
        yield f"{name}={_quoted(value)}"
    else:
        encoded = "utf-8''" + quote_from_bytes(value.encode("utf-8", "replace"), safe="!#$&+^`{}|~")
        sections = list(_sections(encoded))
        if len(sections) == 1:
            yield f"{name}*={encoded}"
        else:
            yield from (f"{name}*{i}*={section}" for i, section in enumerate(sections))


def _sections(encoded: str) -> Iterator[str]:
    """Split a percent-encoded text, never within an encoded octet."""
    start = 0
    while start < len(encoded):
        end = min(start + _SECTION, len(encoded))
        percent = encoded.rfind("%", end - 2, end)
        if end < len(encoded) and percent > start:
            end = percent
        yield encoded[start:end]
        start = end


# ---- words


def _needs_encoding(text: str, *, utf8: bool) -> bool:
    """Say whether a word cannot stand in a header as it is, or would be decoded there."""
    plain = text.isprintable() if utf8 else _PRINTABLE.fullmatch(text) is not None
    return not plain or "=?" in text or len(text) > MAX_TOKEN


def _words(value: str, room: int, *, utf8: bool) -> Iterator[tuple[str, str]]:
    """Yield (spaces before, word) for a text; the spaces of the first are one.

    RFC 2047 §6.2: space between two encoded words is not shown, so it is encoded with them.
    """
    run: list[str] = []
    before = " "
    for spaces, word in _TOKENS.findall(value):
        if _needs_encoding(word, utf8=utf8):
            if run:
                run.append(spaces)
            else:
                before = spaces or " "
            run.append(word)
            continue
        if run:
            yield from _encoded(before, "".join(run), room)
            run, room = [], 0
        yield spaces or " ", word
        room = 0
    if run:
        yield from _encoded(before, "".join(run), room)


def _encoded(before: str, text: str, room: int) -> Iterator[tuple[str, str]]:
    for word in encoded_words(text, room):
        yield before, word
        before = " "


def _phrase(name: str, *, utf8: bool) -> Iterator[str]:
    """Yield a display name as tokens that can be folded between."""
    if not name:
        return
    if _needs_encoding(name, utf8=utf8) or len(name) > _MAX_WORD:
        yield from encoded_words(name, 0)
    elif _ATOMS.fullmatch(name):
        yield name
    else:
        yield _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def encoded_words(text: str, first: int = 0) -> Iterator[str]:
    """Yield RFC 2047 encoded words, whole characters in each.

    The first has at most `first` characters, if that is enough for some text.
    """
    octets = text.encode("utf-8", "replace")
    limit = min(first, _MAX_WORD) if first >= _MIN_FIRST else _MAX_WORD
    plain = sum(octet in _PLAIN_IN_WORD or octet == 0x20 for octet in octets)
    # Whichever is shorter: quoted-printable has three characters for what is not plain.
    if plain + 3 * (len(octets) - plain) <= (len(octets) + 2) // 3 * 4:
        for chunk in _chunks(text, limit - _WORD_FRAME, _MAX_WORD - _WORD_FRAME, _q):
            yield f"=?utf-8?q?{chunk}?="
    else:
        room, rest = ((size - _WORD_FRAME) // 4 * 3 for size in (limit, _MAX_WORD))
        for chunk in _chunks(text, room, rest, _latin1):
            yield f"=?utf-8?b?{base64.b64encode(chunk.encode('latin-1')).decode()}?="


def _q(octets: bytes) -> str:
    return "".join(
        chr(octet) if octet in _PLAIN_IN_WORD else "_" if octet == 0x20 else f"={octet:02X}"
        for octet in octets
    )


def _latin1(octets: bytes) -> str:
    return octets.decode("latin-1")


def _chunks(text: str, room: int, rest: int, form: Callable[[bytes], str]) -> Iterator[str]:
    """Cut the form of a text after whole characters: the first piece `room` long, others `rest`."""
    piece: list[str] = []
    for character in text:
        shown = form(character.encode("utf-8", "replace"))
        if len(shown) > room:
            yield "".join(piece)
            piece, room = [], rest
        piece.append(shown)
        room -= len(shown)
    yield "".join(piece)
