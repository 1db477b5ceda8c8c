"""The texts of stored messages for SEARCH, and a filter that saves reading most of them.

RFC 9051 §6.4.4: header keys look at the decoded fields, BODY and TEXT at the decoded text parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING

from mox import message as mime
from mox.imap.searchkeys import And, Header, SearchKey
from mox.imap.searchtext import header_forms
from mox.message.dates import calendar_day, parse_date
from mox.message.transfer import decode_header_section
from mox.store.errors import MessageGone
from mox.store.model import M_UID, StoredMessage

if TYPE_CHECKING:
    from mox.imapd.pace import Pace
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

_GONE = StoredMessage(b"", wire=True)


class StoredText:
    """A message's texts, each made when it is asked for. A message that is gone has none."""

    __slots__ = ("_account", "_mailbox_id", "_stored", "_uid")

    def __init__(self, account: Account, mailbox_id: MailboxId, uid: int) -> None:
        self._account = account
        self._mailbox_id = mailbox_id
        self._uid = uid
        self._stored: StoredMessage | None = None

    def _read(self) -> StoredMessage:
        if self._stored is None:
            try:
                self._stored = self._account.read(self._mailbox_id, self._uid)
            except MessageGone:
                self._stored = _GONE
        return self._stored

    def _header_section(self) -> bytes:
        stored = self._read()
        return mime.header_section(stored.data, wire=stored.wire)

    def header(self, name: str) -> Iterable[str]:
        values = mime.field_values(self._header_section(), name, wire=self._read().wire)
        return header_forms(values, mime.decode_header)

    def header_text(self) -> Iterable[str]:
        section = self._header_section()
        raw = section.decode("utf-8", "replace")
        decoded = decode_header_section(section)
        return (raw,) if raw == decoded else (raw, decoded)

    def body_text(self) -> Iterable[str]:
        stored = self._read()
        part = mime.parse(stored.data, wire=stored.wire)
        return mime.text_of(stored.data, part, wire=stored.wire)

    def sent_date(self) -> date | None:
        values = mime.field_values(self._header_section(), "Date", wire=self._read().wire)
        moment = parse_date(values[0]) if values else None
        return None if moment is None else calendar_day(*moment)


# Fields whose text is in the stored ENVELOPE, split up.
_IN_ENVELOPE = frozenset({"subject", "from", "to", "cc", "bcc"})
# Words with single spaces between them stand together in a display name and in a subject.
_RUN = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")
# Longer ones may be cut short.
_FULL_ENVELOPE = 16 << 10
_SLICE = 500

Filter = Callable[["Account", "MailboxId", "list[MessageTuple]", "Pace"], "list[MessageTuple]"]


def overview_filter(key: SearchKey) -> Filter | None:
    """A quick test that leaves out most messages which a program with header keys cannot match.

    It looks for the letters and digits that the fields must contain in the stored ENVELOPE. None
    when the program has no such key that every match must satisfy.
    """
    runs: set[bytes] = set()
    for each in key.keys if isinstance(key, And) else (key,):
        if isinstance(each, Header) and each.name in _IN_ENVELOPE:
            runs.update(run.encode() for run in _RUN.findall(each.value.lower()))
    if not runs:
        return None
    # The longest are the rarest.
    needed = sorted(runs, key=len, reverse=True)

    def promising(
        account: Account, mailbox_id: MailboxId, messages: list[MessageTuple], pace: Pace
    ) -> list[MessageTuple]:
        found: list[MessageTuple] = []
        for start in range(0, len(messages), _SLICE):
            part = messages[start : start + _SLICE]
            overviews = account.overviews(mailbox_id, [message[M_UID] for message in part])
            found += [
                message
                for message, overview in zip(part, overviews, strict=True)
                if overview is not None and _may_match(overview[0], needed)
            ]
            pace()
        return found

    return promising


def _may_match(envelope: bytes, needed: list[bytes]) -> bool:
    lower = envelope.lower()
    for run in needed:
        if run not in lower:
            # Only plain text can be told to lack something.
            plain = envelope.isascii() and b"=?" not in envelope
            return not plain or len(envelope) > _FULL_ENVELOPE
    return True
