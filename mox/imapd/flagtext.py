"""Flags and keywords of messages as the bytes that FETCH responses carry.

A mailbox of 50,000 messages has a handful of different flag lists: each is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, M_UID, Flag, MessageTuple

# RFC 9051 §2.3.2: the system flags, and $Forwarded, which Maildir has a letter for.
FLAG_NAMES: tuple[tuple[Flag, bytes], ...] = (
    (Flag.ANSWERED, b"\\Answered"),
    (Flag.FLAGGED, b"\\Flagged"),
    (Flag.DELETED, b"\\Deleted"),
    (Flag.SEEN, b"\\Seen"),
    (Flag.DRAFT, b"\\Draft"),
    (Flag.FORWARDED, b"$Forwarded"),
)
FLAG_BY_NAME: dict[str, Flag] = {name.decode().lower(): flag for flag, name in FLAG_NAMES}

# Stands for \Recent in a key of FlagTexts; FLAG_MASK keeps it free.
RECENT = 0x8000
# Bits of a key below the keywords.
KEYWORD_SHIFT = 16
# Different flag lists kept; more means that each message has its own keywords.
_KEEP = 4096


class FlagTexts(dict[int, bytes]):
    """Maps `flags | keywords << KEYWORD_SHIFT` to the parenthesised flag list.

    `keywords` is the mailbox's table: a keyword's bit never changes its meaning, the table only
    grows, and then a new FlagTexts takes over.
    """

    __slots__ = ("keywords",)

    def __init__(self, keywords: Sequence[str]) -> None:
        self.keywords = tuple(keywords)

    def __missing__(self, key: int) -> bytes:
        if len(self) >= _KEEP:
            self.clear()
        words = [name for flag, name in FLAG_NAMES if key & flag]
        if key & RECENT:
            words.append(b"\\Recent")
        bits = key >> KEYWORD_SHIFT
        words += [word.encode() for i, word in enumerate(self.keywords) if bits >> i & 1]
        text = self[key] = b"(" + b" ".join(words) + b")"
        return text

    def column(self, messages: Iterable[MessageTuple], recent_from: int) -> list[bytes]:
        """The flag lists of messages; those from uid `recent_from` on are \\Recent."""
        return [
            self[
                message[M_FLAGS] & FLAG_MASK
                | message[M_KEYWORDS] << KEYWORD_SHIFT
                | (RECENT if message[M_UID] >= recent_from else 0)
            ]
            for message in messages
        ]


def all_flags(keywords: Iterable[str]) -> tuple[str, ...]:
    """The flags of a mailbox with these keywords, for FLAGS and PERMANENTFLAGS."""
    return (*(name.decode() for _, name in FLAG_NAMES), *keywords)


def split_flags(names: Iterable[str]) -> tuple[Flag, tuple[str, ...]]:
    """Flags and keywords of a client's flag list."""
    flags, keywords = Flag.NONE, []
    for name in names:
        flag = FLAG_BY_NAME.get(name.lower())
        if flag is None:
            keywords.append(name)
        else:
            flags |= flag
    return flags, tuple(keywords)
