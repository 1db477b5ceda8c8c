"""What it teaches the content filter that a message enters a mailbox.

A message put into Junk is junk, one filed in an archive is wanted; the user's own marks are
replaced, because the move is the newer statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from mox.patterns import matches

JUNK_KEYWORD = "$Junk"
NOT_JUNK_KEYWORD = "$NotJunk"
_JUNK_USE = "\\junk"


class Mark(Enum):
    """What a message is for the content filter."""

    JUNK = "junk"
    HAM = "ham"
    NONE = "none"


def wanted_mark(*, junk: bool, not_junk: bool) -> Mark:
    """What a message with these flags has to be trained as: nothing when they contradict."""
    if junk == not_junk:
        return Mark.NONE
    return Mark.JUNK if junk else Mark.HAM


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxFlags:
    """The rules of one account: RE2 patterns for the lower-cased mailbox name; "" is no pattern.

    `mark` raises ValueError for a bad pattern.
    """

    junk: str = ""
    neutral: str = ""
    not_junk: str = ""

    def mark(self, mailbox: str, special_use: Sequence[str]) -> Mark | None:
        """What a message that enters the mailbox is marked as; None leaves its flags alone."""
        return _mark(self, mailbox, tuple(special_use))


# Asked for each message of a copy or move, with the same answer.
@lru_cache(maxsize=1024)
def _mark(rules: MailboxFlags, mailbox: str, special_use: tuple[str, ...]) -> Mark | None:
    if any(use.lower() == _JUNK_USE for use in special_use):
        return Mark.JUNK
    name = mailbox.lower()
    marks = {Mark.JUNK: rules.junk, Mark.NONE: rules.neutral, Mark.HAM: rules.not_junk}
    for mark, pattern in marks.items():
        if pattern and matches(pattern, name):
            return mark
    missing = [mark for mark, pattern in marks.items() if not pattern]
    # Where exactly two are given, the rest is what the third would be for.
    return missing[0] if len(missing) == 1 else None
