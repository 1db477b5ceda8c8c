"""Annotations of mailboxes and of the server: entry names, commands, and which entries are meant.

RFC 5464; RFC 9590 (LIST RETURN (METADATA …)). Entries begin with /private or /shared and are kept
in lower case. As an account has one user, both are that user's alone.

>>> normal_entry("/Shared/Comment")
'/shared/comment'
>>> Entries(("/private",), Depth.INFINITY).chosen(["/private/comment", "/shared/comment"])
['/private/comment']
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from mox.errors import MoxError

MAX_ENTRY = 255  # octets of a name
MAX_VALUE = 64 * 1024  # octets
# Entries that one command may name.
MAX_NAMED = 100

# RFC 5464 §3: printable ASCII without wildcards, no empty component.
_ENTRY = re.compile(r"(?:/[ -$&-)+-.0-~]+)+")
_ROOTS = ("/private", "/shared")


class EntryError(MoxError):
    """A name that no entry can have; the text says why."""


class Depth(Enum):
    """How far below a named entry GETMETADATA looks."""

    NONE = "0"
    ONE = "1"
    INFINITY = "INFINITY"


@dataclass(frozen=True, slots=True)
class Value:
    """What an entry holds; `binary` when it was sent as literal8."""

    octets: bytes
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries asked for, names as normal_pattern() gives them; `max_size` of values, in octets."""

    names: tuple[str, ...]
    depth: Depth = Depth.NONE
    max_size: int | None = None

    def chosen(self, existing: Iterable[str]) -> list[str]:
        """Those of `existing` that are meant, sorted."""
        return sorted(
            name for name in existing if any(self._covers(each, name) for each in self.names)
        )

    def _covers(self, asked: str, name: str) -> bool:
        if name == asked:
            return True
        if self.depth is Depth.NONE or not name.startswith(asked + "/"):
            return False
        return self.depth is Depth.INFINITY or "/" not in name[len(asked) + 1 :]


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """`mailbox` "" stands for the server."""

    name: ClassVar[str] = "GETMETADATA"
    tag: str
    mailbox: str
    entries: Entries


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """`values`: entries as written, with their new values; None removes."""

    name: ClassVar[str] = "SETMETADATA"
    tag: str
    mailbox: str
    values: tuple[tuple[str, Value | None], ...]


def normal_entry(name: str) -> str:
    """The name under which an entry is kept. Raises EntryError when it cannot be one."""
    name = _checked(name)
    if not name.startswith(("/private/", "/shared/")):
        raise EntryError("entries begin with /private/ or /shared/")
    # RFC 5464 §6.2: /private/vendor/<vendor>/<name> at least
    if name.split("/")[2] == "vendor" and name.count("/") < 4:
        raise EntryError("a vendor entry has a vendor and a name")
    return name


def normal_pattern(name: str) -> str:
    """A name to look below: an entry, a part of one, or "" for "/". Raises EntryError."""
    if name in ("", "/"):
        return ""
    name = _checked(name)
    if not any(name == root or name.startswith(root + "/") for root in _ROOTS):
        raise EntryError("entries begin with /private or /shared")
    return name


def _checked(name: str) -> str:
    if len(name) > MAX_ENTRY:
        raise EntryError("entry name is too long")
    if not _ENTRY.fullmatch(name):
        raise EntryError("malformed entry name")
    # RFC 5464 §3: names are compared without regard to case.
    return name.lower()
