"""Domain names between text and wire form. RFC 1035 §3.1, §5.1."""

from __future__ import annotations

import re
from typing import Final

import dns.exception
import dns.name

_MAX_TEXT: Final = 253
_ORDINARY: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,63}+\.)*+[A-Za-z0-9_-]{1,63}")
# What stands for itself in a label; the rest is written with a backslash.
_PLAIN: Final = re.compile(rb"[!#%&'*+,\-/0-9:<=>?A-Z\[\]^_`a-z{|}~]*")
_SPECIAL: Final = frozenset(b'"().;\\@$')


def name_wire(text: str) -> bytes:
    """Return an absolute name, given without last dot, in wire form. Raises ValueError.

    >>> name_wire("a.example")
    b'\\x01a\\x07example\\x00'
    """
    if len(text) <= _MAX_TEXT and _ORDINARY.fullmatch(text):
        labels = text.encode("ascii").split(b".")
        return b"".join([bytes((len(label),)) + label for label in labels]) + b"\0"
    try:
        return dns.name.from_text(text + ".").to_wire() or b"\0"
    except (dns.exception.DNSException, UnicodeError) as e:
        raise ValueError(f"not a domain name: {e or type(e).__name__}") from e


def name_text(wire: bytes) -> str:
    """Return a whole name in wire form as text without last dot, the root as "."."""
    labels, at = [], 0
    while wire[at]:
        end = at + 1 + wire[at]
        labels.append(_label_text(wire[at + 1 : end]))
        at = end
    return ".".join(labels) or "."


def _label_text(label: bytes) -> str:
    if _PLAIN.fullmatch(label):
        return label.decode("ascii")
    return "".join(
        f"\\{chr(c)}" if c in _SPECIAL else chr(c) if 0x20 < c < 0x7F else f"\\{c:03d}"
        for c in label
    )
