"""FETCH attributes as values.

RFC 9051 §6.4.5, RFC 3501 §6.4.5 (RFC822 forms), RFC 3516 and RFC 9051 (BINARY), RFC 7162
(MODSEQ), RFC 8474 (EMAILID, THREADID), RFC 8514 (SAVEDATE), RFC 8970 (PREVIEW). Attributes
without parameters are members of `Plain`; those that name a part of the message carry `label`, the
name under which the answer must give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# <offset.count> of a partial fetch; both in octets, count at least 1.
Partial = tuple[int, int]


class Plain(Enum):
    """Attributes that need no parameters; the value is the name on the wire."""

    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    EMAILID = "EMAILID"
    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    MODSEQ = "MODSEQ"
    PREVIEW = "PREVIEW"
    SAVEDATE = "SAVEDATE"
    SIZE = "RFC822.SIZE"
    THREADID = "THREADID"
    UID = "UID"


@dataclass(frozen=True, slots=True)
class Section:
    """Which octets of the message: a part by its numbers, then what of that part.

    `what` is "", HEADER, TEXT, MIME, HEADER.FIELDS or HEADER.FIELDS.NOT.
    """

    part: tuple[int, ...] = ()
    what: str = ""
    fields: tuple[str, ...] = ()  # as the client wrote them


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[…], BODY.PEEK[…], and RFC822, RFC822.HEADER, RFC822.TEXT under their own labels."""

    section: Section
    peek: bool
    partial: Partial | None
    label: bytes  # b"BODY[1.TEXT]<0>", ready for the answer


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[…] or BINARY.PEEK[…]: the part with its transfer encoding undone."""

    part: tuple[int, ...]
    peek: bool
    partial: Partial | None
    label: bytes


@dataclass(frozen=True, slots=True)
class BinarySize:
    part: tuple[int, ...]
    label: bytes


FetchAttribute = Plain | BodySection | BinarySection | BinarySize

# RFC 9051 §6.4.5: macros stand alone and mean these.
FAST = (Plain.FLAGS, Plain.INTERNALDATE, Plain.SIZE)
ALL = (*FAST, Plain.ENVELOPE)
FULL = (*ALL, Plain.BODY)
