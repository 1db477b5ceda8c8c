"""Access control lists: the commands, the rights, and which of them an owner has.

RFC 4314; RFC 8440 (LIST RETURN (MYRIGHTS)). Mailboxes belong to one account, whose user has every
right on them; sharing with others does not exist, so the lists never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

# RFC 4314 §2.1, and the obsolete c and d of §2.1.1 for clients that know only them.
RIGHTS = "lrswipkxtecda"
# RFC 4314 §5: the rights of ours that RFC 2086 did not have.
NEW_RIGHTS = "kxte"


@dataclass(frozen=True, slots=True)
class MyRights:
    name: ClassVar[str] = "MYRIGHTS"
    tag: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class GetAcl:
    name: ClassVar[str] = "GETACL"
    tag: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetAcl:
    """`rights` as written, with "+" or "-" before them for a change."""

    name: ClassVar[str] = "SETACL"
    tag: str
    mailbox: str
    identifier: str
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    name: ClassVar[str] = "DELETEACL"
    tag: str
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class ListRights:
    name: ClassVar[str] = "LISTRIGHTS"
    tag: str
    mailbox: str
    identifier: str


def result_of(rights: str) -> frozenset[str]:
    """What an owner with all rights would have after SETACL with `rights`."""
    if rights.startswith("+"):
        return frozenset(RIGHTS)
    if rights.startswith("-"):
        return frozenset(RIGHTS) - _expanded(rights[1:])
    return _expanded(rights)


def _expanded(rights: str) -> frozenset[str]:
    """RFC 4314 §2.1.1: c stands for k and x, d for e, t and x; and the other way round."""
    found = set(rights)
    if found & set("c"):
        found |= set("kx")
    if found & set("d"):
        found |= set("etx")
    if found & set("kx"):
        found.add("c")
    if found & set("etx"):
        found.add("d")
    return frozenset(found)
