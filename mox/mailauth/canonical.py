"""Canonical forms of header fields and bodies (RFC 6376 §3.4), in one pass and linear time.

Input is stored form, where a line ends in LF that stands for CRLF, or wire form, where a bare LF
counts as CRLF, too. Bodies may be given in pieces, split anywhere.

>>> body = BodyCanonicalizer(Canonicalization.RELAXED)
>>> b"".join([*body.feed(b" C \\nD \\t E\\n\\n"), *body.finish()])
b' C\\r\\nD E\\r\\n'
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final


class Canonicalization(StrEnum):
    """The words of the c= tag."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


_TAB_TO_SPACE: Final = bytes.maketrans(b"\t", b" ")
# Replaced by one blank until none is left: from long to short, so that a run of any length within
# a piece takes a few passes.
_RUNS: Final = (b" " * 64, b" " * 8, b"  ")
# Empty lines that turn out to be amid the body are given back in pieces of this many.
_LINES: Final = 1 << 14


class BodyCanonicalizer:
    """Takes a body in pieces and gives its canonical form in pieces, always in wire form."""

    __slots__ = ("_any", "_lines", "_relaxed", "_tail", "_wire")

    def __init__(self, algorithm: Canonicalization, *, wire: bool = False) -> None:
        self._relaxed = algorithm is Canonicalization.RELAXED
        self._wire = wire
        self._tail = b""  # what the next piece decides about: a CR, blanks as one
        self._lines = 0  # line ends that were not given out: the body may end here
        self._any = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take the next piece; the iterator must be used up before the next call."""
        data = self._tail + piece
        self._tail = b""
        if self._wire:
            if data.endswith(b"\r"):
                data, self._tail = data[:-1], b"\r"
            data = data.replace(b"\r\n", b"\n")
        if self._relaxed:
            # RFC 6376 §3.4.4: runs of WSP become one space, those at the end of a line nothing.
            data = _reduce(data).replace(b" \n", b"\n")
            if data.endswith(b" "):
                data, self._tail = data[:-1], b" " + self._tail
        yield from self._lines_of(data)

    def finish(self) -> Iterator[bytes]:
        """Take the end of the body. Use it up, too."""
        tail, self._tail = self._tail, b""
        # A CR at the very end ends nothing. Blanks before the end are at the end of a line.
        yield from self._lines_of(tail.lstrip(b" ") if self._relaxed else tail)
        # RFC 6376 §3.4.3: a body without final CRLF gets one, and so does the empty body.
        # RFC 6376 §3.4.4: here only a body that is not empty.
        if self._any or not self._relaxed:
            yield b"\r\n"

    def _lines_of(self, data: bytes) -> Iterator[bytes]:
        """Give out all but the line ends at the end of what has come."""
        # RFC 6376 §3.4.3, §3.4.4: empty lines at the end of the body are ignored.
        text = data.rstrip(b"\n")
        if text:
            while self._lines:
                count = min(self._lines, _LINES)
                self._lines -= count
                yield b"\r\n" * count
            self._any = True
            yield text.replace(b"\n", b"\r\n")
        self._lines += len(data) - len(text)


def _reduce(data: bytes) -> bytes:
    """Make one space of each run of WSP."""
    # Replacements by the interpreter's own search: ten times as fast as an expression, and
    # without its quadratic time where blanks are many.
    data = data.translate(_TAB_TO_SPACE)
    for run in _RUNS:
        while run in data:
            data = data.replace(run, b" ")
    return data


def canonical_field(field: bytes, algorithm: Canonicalization) -> bytes:
    """Return a whole header field, folded and without its last line end, in canonical form.

    The result has no line end at the end either; its inner ones are CRLF.
    """
    if algorithm is Canonicalization.SIMPLE:
        # RFC 6376 §3.4.1: nothing changes, so that stored form becomes wire form is all.
        return field.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    name, _, value = field.partition(b":")
    # RFC 6376 §3.4.2: name in lower case, unfolded, WSP as one space, none around colon and end.
    unfolded = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return name.rstrip(b" \t").lower() + b":" + _reduce(unfolded).strip(b" ")
