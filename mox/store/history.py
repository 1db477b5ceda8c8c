"""Questions about earlier mail of an account: who sent what, and what the user thought of it.

Each question is one range scan, newest first, over judged messages only, and ends after `most`
of them: what it costs does not depend on how much mail there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import lmdb

from mox.store import arrivals
from mox.store.arrivals import Rate
from mox.store.env import Databases
from mox.store.history_txn import JUNK, KEY, LATEST, PREFIX, VALIDATED
from mox.store.model import MailboxId
from mox.store.origin import Kind, Origin, decode_origin, digest
from mox.store.reading import lookup
from mox.store.records import KEY_ORIGIN, ORIGIN

_TIME_AT = PREFIX.size
_UID_AT = KEY.size - 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """A message that the user judged. `localpart`: of its From, as a digest to tell them apart."""

    is_junk: bool
    localpart: bytes = b""


# Copies of one message in Rejects: there is one, but for a race.
_MOST_REJECTS = 16


class History:
    """What an account knows, asked for one destination mailbox.

    mailbox_id: only messages first delivered to it count, None when it does not exist yet.
    """

    __slots__ = ("_account_id", "_dbs", "_mailbox_id")

    def __init__(self, dbs: Databases, account_id: int, mailbox_id: MailboxId | None) -> None:
        self._dbs = dbs
        self._account_id = account_id
        self._mailbox_id = mailbox_id

    def verdicts(
        self, kind: Kind, name: bytes, since: int, most: int, *, validated: bool = False
    ) -> list[Verdict]:
        """Judged messages of a sender received since then, newest first, at most `most`."""
        if self._mailbox_id is None:
            return []
        full_kind = kind | VALIDATED if validated else int(kind)
        prefix = PREFIX.pack(self._account_id, self._mailbox_id, full_kind, digest(name))
        found: list[Verdict] = []
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.history) as cursor:
            ok = cursor.set_range(prefix) and cursor.key().startswith(prefix)
            last = _countdown(since) if ok else b""
            while ok and len(found) < most:
                key = bytes(cursor.key())
                if not key.startswith(prefix) or key[_TIME_AT:_UID_AT] > last:
                    break
                value = bytes(cursor.value())
                found.append(Verdict(value[:1] == JUNK, value[1:]))
                ok = cursor.next()
        return found

    def sent_to(self, kind: Kind, name: bytes, since: int) -> bool:
        """Whether a message in the Sent mailbox went there since then."""
        prefix = PREFIX.pack(self._account_id, 0, kind, digest(name))
        found = self._first(prefix)
        return found is not None and found[_TIME_AT:_UID_AT] <= _countdown(since)

    def rate(self, network: bytes, now: int) -> Rate:
        """How much came from a network for any mailbox."""
        with self._dbs.env.begin() as txn:
            return arrivals.rate(
                lambda key: lookup(txn, self._dbs.arrivals, key), self._account_id, network, now
            )

    def rejects(self, mailbox_id: MailboxId, message_id: str) -> list[int]:
        """Uids of messages with this Message-ID that are kept as rejects in a mailbox."""
        name = digest(message_id.encode())
        prefix = PREFIX.pack(self._account_id, mailbox_id, Kind.REJECTED_ID, name)
        found: list[int] = []
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.history) as cursor:
            ok = cursor.set_range(prefix)
            while ok and len(found) < _MOST_REJECTS and bytes(cursor.key()).startswith(prefix):
                found.append(int.from_bytes(bytes(cursor.key())[-4:], "big"))
                ok = cursor.next()
        return sorted(found)

    def origin(self, mailbox_id: MailboxId, uid: int) -> Origin | None:
        """Where a message came from; None when that is not known."""
        with self._dbs.env.begin() as txn:
            key = KEY_ORIGIN.pack(self._account_id, mailbox_id, uid, ORIGIN)
            value = lookup(txn, self._dbs.file, key)
        return None if value is None else decode_origin(value)

    def _first(self, prefix: bytes) -> bytes | None:
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.history) as cursor:
            if not cursor.set_range(prefix):
                return None
            key = bytes(cursor.key())
        return key if key.startswith(prefix) else None


def is_known_reject(
    txn: lmdb.Transaction, dbs: Databases, account_id: int, mailbox_id: int, origin: Origin
) -> bool:
    """Whether a copy of a rejected message, or of another with its Message-ID, is kept already."""
    names = [(Kind.REJECTED_CONTENT, origin.content_hash)]
    if origin.message_id:
        names.append((Kind.REJECTED_ID, origin.message_id.encode()))
    with txn.cursor(db=dbs.history) as cursor:
        for kind, name in names:
            prefix = PREFIX.pack(account_id, mailbox_id, kind, digest(name))
            if cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix):
                return True
    return False


def _countdown(when: int) -> bytes:
    return (LATEST - min(max(when, 0), LATEST)).to_bytes(4, "big")
