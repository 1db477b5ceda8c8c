"""The texts of stored messages for SEARCH, and a filter that saves reading most of them.

RFC 9051 §6.4.4: header keys look at the decoded fields, BODY and TEXT at the decoded text parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from mox.imap.searchkeys import And, Body, Header, SearchKey, SentDate, Text, walk
from mox.message.dates import calendar_day
from mox.message.searchable import Searchable
from mox.store.errors import MessageGone
from mox.store.model import M_EMAIL_ID
from mox.store.texts import Unpacker, keep_texts, pack_text, read_searchable, texts

if TYPE_CHECKING:
    from mox.imapd.pace import Pace
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

_GONE = Searchable(b"", b"")
# What was read from files is handed to the text index in pieces of so many messages.
_KEEP_AT_ONCE = 100


class Shelf:
    """Texts of one mailbox's messages: from the text index, else from their files."""

    __slots__ = (
        "_account",
        "_dates",
        "_entries",
        "_is_dated",
        "_mailbox_id",
        "_pace",
        "_read",
        "_seen",
        "_unpack",
    )

    def __init__(self, account: Account, mailbox_id: MailboxId, key: SearchKey, pace: Pace) -> None:
        self._account = account
        self._mailbox_id = mailbox_id
        self._pace = pace
        kinds = {type(each) for each in walk(key)}
        self._is_dated = SentDate in kinds
        self._seen: set[int] | None = set() if kinds & {Header, Body, Text} else None
        self._entries: dict[int, bytes] = {}
        self._dates: dict[int, date | None] = {}
        self._read: dict[int, bytes] = {}
        self._unpack = Unpacker().unpack

    def fetch(self, messages: list[MessageTuple]) -> None:
        """Make ready what is kept of these messages; of copies of earlier ones it is decided."""
        if self._seen is not None:
            news = {message[M_EMAIL_ID] for message in messages} - self._seen
            self._seen |= news
            self._entries = texts(self._account, list(news)) if news else {}
        if self._is_dated:
            self._fetch_dates(messages)

    def _fetch_dates(self, messages: list[MessageTuple]) -> None:
        dates = self._dates
        distinct = {m[M_EMAIL_ID]: m for m in messages if m[M_EMAIL_ID] not in dates}
        if not distinct:
            return
        found = self._account.summaries(self._mailbox_id, list(distinct.values()), self._pace)
        for email_id, summary in zip(distinct, found, strict=True):
            sent = summary.sent
            dates[email_id] = None if sent is None else calendar_day(sent, summary.zone)

    def open(self, message: MessageTuple) -> StoredText:
        return StoredText(self, message)

    def sent_date(self, message: MessageTuple) -> date | None:
        return self._dates[message[M_EMAIL_ID]]

    def texts_of(self, message: MessageTuple) -> Searchable:
        """The texts; a message that is gone has none."""
        self._pace()
        email_id = message[M_EMAIL_ID]
        entry = self._entries.get(email_id)
        if entry is None:
            entry = texts(self._account, [email_id]).get(email_id)
        if entry is not None and (found := self._unpack(entry)) is not None:
            return found
        try:
            found = read_searchable(self._account, self._mailbox_id, message)
        except MessageGone:
            return _GONE
        if entry is None:
            self._read[email_id] = pack_text(found)
            if len(self._read) >= _KEEP_AT_ONCE:
                self.close()
        return found

    def close(self) -> None:
        """Give what was read from files to the text index."""
        if self._read:
            keep_texts(self._account, self._read)
            self._read = {}


class StoredText:
    """One message's texts, made when they are asked for."""

    __slots__ = ("_found", "_message", "_shelf")

    def __init__(self, shelf: Shelf, message: MessageTuple) -> None:
        self._shelf = shelf
        self._message = message
        self._found: Searchable | None = None

    def _texts(self) -> Searchable:
        if self._found is None:
            self._found = self._shelf.texts_of(self._message)
        return self._found

    def has_field(self, name: bytes, part: bytes) -> bool:
        return self._texts().has_field(name, part)

    def in_header(self, part: bytes) -> bool:
        return part in self._texts().header

    def in_body(self, part: bytes) -> bool:
        return part in self._texts().body

    def sent_date(self) -> date | None:
        return self._shelf.sent_date(self._message)


# Fields whose text is in the stored ENVELOPE, split up.
_IN_ENVELOPE = frozenset({"subject", "from", "to", "cc", "bcc"})
# Words with single spaces between them stand together in a display name and in a subject.
_RUN = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")
# Fields in longer ones may be cut short.
_FULL_OVERVIEW = 16 << 10
_SLICE = 500


class OverviewFilter:
    """A quick test that leaves out most messages which a program with header keys cannot match.

    It looks for the letters and digits that the fields must contain in the stored ENVELOPE; once
    for all copies of a message.
    """

    __slots__ = ("_account", "_known", "_needed", "_pace")

    def __init__(self, account: Account, runs: Iterable[bytes], pace: Pace) -> None:
        self._account = account
        # The longest are the rarest.
        self._needed = sorted(runs, key=len, reverse=True)
        self._pace = pace
        self._known: dict[int, bool] = {}

    @classmethod
    def of(cls, account: Account, key: SearchKey, pace: Pace) -> OverviewFilter | None:
        """None when there is no such key that every match must satisfy."""
        runs: set[bytes] = set()
        for each in key.keys if isinstance(key, And) else (key,):
            if isinstance(each, Header) and each.name in _IN_ENVELOPE:
                runs.update(run.encode() for run in _RUN.findall(each.value.lower()))
        return cls(account, runs, pace) if runs else None

    def promising(self, messages: list[MessageTuple]) -> list[MessageTuple]:
        """Those of `messages` that may match."""
        known = self._known
        distinct = sorted({m[M_EMAIL_ID] for m in messages} - known.keys())
        for start in range(0, len(distinct), _SLICE):
            self._look_at(distinct[start : start + _SLICE])
            self._pace()
        return [message for message in messages if known[message[M_EMAIL_ID]]]

    def _look_at(self, some: list[int]) -> None:
        known, needed = self._known, self._needed
        rarest = needed[0]
        found = self._account.packed_overviews(some)
        for email_id, overview in zip(some, found, strict=True):
            known[email_id] = (
                overview is None
                or (rarest in overview.lower() and _has_all(overview, needed))
                or not _is_plain(overview)
            )


def _has_all(overview: bytes, needed: list[bytes]) -> bool:
    lower = overview.lower()
    return all(run in lower for run in needed)


def _is_plain(overview: bytes) -> bool:
    """Whether all text is there as it is: only of such can be told that it lacks something."""
    # Its first four octets are a length.
    text = overview[4:]
    return text.isascii() and b"=?" not in text and len(text) <= _FULL_OVERVIEW
