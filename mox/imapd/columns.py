"""FETCH items that come from the index, for many messages at once.

A response line is a format string made from the items asked for; a block of messages becomes
columns of values, and the lines are the format applied to each row. Nothing is built per message
but its line. RFC 8474 (object ids), RFC 8514 (SAVEDATE), RFC 8970 (PREVIEW).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mox.imap.fetchatt import Plain
from mox.imap.fetchresponse import internaldate, preview, savedate
from mox.imapd.objectids import email_prefix, thread_prefix
from mox.store.model import (
    M_EMAIL_ID,
    M_MODSEQ,
    M_RECEIVED,
    M_SAVED,
    M_SIZE,
    M_THREAD_ID,
    M_UID,
    M_ZONE,
)

if TYPE_CHECKING:
    from mox.imapd.flagtext import FlagTexts
    from mox.imapd.pace import Pace
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

Column = Sequence[int] | Sequence[bytes]

# Different dates kept while a command runs.
_KEEP_DATES = 4096

_FORMATS = {
    Plain.UID: b"UID %d",
    Plain.FLAGS: b"FLAGS %b",
    Plain.MODSEQ: b"MODSEQ (%d)",
    Plain.SIZE: b"RFC822.SIZE %d",
    Plain.INTERNALDATE: b"%b",
    Plain.ENVELOPE: b"ENVELOPE %b",
    Plain.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
    Plain.SAVEDATE: b"%b",
    Plain.PREVIEW: b"%b",
}
_OVERVIEW = frozenset({Plain.ENVELOPE, Plain.BODYSTRUCTURE})
_LARGE = _OVERVIEW | {Plain.PREVIEW}


class _Dates(dict[tuple[int, int], bytes]):
    """INTERNALDATE items by time and zone: copied mail has few different ones."""

    def __missing__(self, key: tuple[int, int]) -> bytes:
        if len(self) >= _KEEP_DATES:
            self.clear()
        text = self[key] = internaldate(*key)
        return text


class Columns:
    """The lines of a FETCH for messages of one mailbox, as far as the index has the items.

    `end` closes each line; b"" when more items follow. `verb` is UIDFETCH where the numbers are
    uids (RFC 9586 §3.3).
    """

    __slots__ = (
        "_account",
        "_dates",
        "_flags",
        "_format",
        "_items",
        "_mailbox_id",
        "_pace",
        "_recent_from",
        "_utf8",
        "is_large",
        "needs_overview",
    )

    def __init__(
        self,
        account: Account,
        mailbox_id: MailboxId,
        items: Sequence[Plain],
        *,
        flags: FlagTexts,
        recent_from: int,
        end: bytes,
        utf8: bool,
        pace: Pace,
        verb: bytes = b"FETCH",
    ) -> None:
        self._account = account
        self._mailbox_id = mailbox_id
        self._items = items
        self._flags = flags
        self._recent_from = recent_from
        self._dates = _Dates()
        self._utf8 = utf8
        self._pace = pace
        self._format = (
            b"* %d " + verb + b" (" + b" ".join([self._item(item) for item in items]) + end
        )
        self.needs_overview = not _OVERVIEW.isdisjoint(items)
        self.is_large = not _LARGE.isdisjoint(items)

    def rows(
        self, numbers: Sequence[int], messages: list[MessageTuple]
    ) -> tuple[list[MessageTuple], list[bytes]]:
        """The messages that are still there, and a line for each; `numbers` are theirs."""
        envelopes: Sequence[bytes] = ()
        structures: Sequence[bytes] = ()
        if self.needs_overview:
            numbers, messages, envelopes, structures = self._overviews(numbers, messages)
        columns: list[Column] = [numbers]
        for item in self._items:
            if item is Plain.ENVELOPE:
                columns.append(envelopes)
            elif item is Plain.BODYSTRUCTURE:
                columns.append(structures)
            else:
                columns.append(self._column(item, messages))
        line = self._format
        return messages, [line % row for row in zip(*columns, strict=True)]

    def _item(self, item: Plain) -> bytes:
        """The format of an item."""
        if item is Plain.EMAILID:
            return b"EMAILID (" + email_prefix(self._account) + b"%x)"
        if item is Plain.THREADID:
            return b"THREADID (" + thread_prefix(self._account) + b"%x)"
        return _FORMATS[item]

    def _column(self, item: Plain, messages: list[MessageTuple]) -> Column:
        match item:
            case Plain.FLAGS:
                return self._flags.column(messages, self._recent_from)
            case Plain.INTERNALDATE:
                dates = self._dates
                return [dates[m[M_RECEIVED], m[M_ZONE]] for m in messages]
            case Plain.SAVEDATE:
                return [savedate(message[M_SAVED]) for message in messages]
            case Plain.PREVIEW:
                found = self._account.summaries(self._mailbox_id, messages, self._pace)
                return [preview(summary.preview, utf8=self._utf8) for summary in found]
            case _:
                at = _NUMBERS[item]
                return [message[at] for message in messages]

    def _overviews(
        self, numbers: Sequence[int], messages: list[MessageTuple]
    ) -> tuple[Sequence[int], list[MessageTuple], Sequence[bytes], Sequence[bytes]]:
        """ENVELOPE and BODYSTRUCTURE; messages that went away since are left out."""
        found = self._account.overviews([m[M_EMAIL_ID] for m in messages])
        if None in found:
            rows = [
                (number, message, overview)
                for number, message, overview in zip(numbers, messages, found, strict=True)
                if overview is not None
            ]
            numbers = [number for number, _, _ in rows]
            messages = [message for _, message, _ in rows]
            found = [overview for _, _, overview in rows]
        present = [overview for overview in found if overview is not None]
        return numbers, messages, [each[0] for each in present], [each[1] for each in present]


_NUMBERS = {
    Plain.UID: M_UID,
    Plain.MODSEQ: M_MODSEQ,
    Plain.SIZE: M_SIZE,
    Plain.EMAILID: M_EMAIL_ID,
    Plain.THREADID: M_THREAD_ID,
}
