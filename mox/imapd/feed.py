"""What is new in an account, read once for all sessions of this process that follow it.

The store's change log is the truth. Bells are hints: they make waiting sessions look, and each
session looks by itself before it answers a command.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mox.store.errors import HistoryLost
from mox.store.model import Change, MailboxId, MessageTuple

if TYPE_CHECKING:
    from mox.serving.connection import Wake
    from mox.store import Store
    from mox.store.account import Account

# Changes kept in memory. A session that is further behind reads the log itself.
_KEEP_CHANGES = 256
# Rendered lines kept until the next change; bulk changes are not worth keeping.
_KEEP_LINES = 1024
_KEEP_MESSAGES = 64


class Feed:
    """The changes of one account up to `modseq`, and texts that several sessions will send."""

    __slots__ = ("_added", "_floor", "_lines", "_recent", "_wakes", "_watch", "account", "modseq")

    def __init__(self, store: Store, account: Account) -> None:
        self.account = account
        self.modseq = account.modseq()
        self._floor = self.modseq  # changes after this one are all in _recent
        self._recent: deque[Change] = deque()
        self._wakes: set[Wake] = set()
        self._lines: dict[tuple[int, int, int], bytes] = {}
        self._added: dict[tuple[int, int], list[MessageTuple]] = {}
        self._watch = store.watch(account.id, self._ring)

    def join(self, wake: Wake) -> None:
        self._wakes.add(wake)

    def leave(self, wake: Wake) -> bool:
        """Stop waking; true when nobody is left, the feed is then closed."""
        self._wakes.discard(wake)
        if not self._wakes:
            self._watch.cancel()
        return not self._wakes

    def advance(self) -> int:
        """Read what the log has that we have not; returns the modseq reached."""
        now = self.account.modseq()
        if now == self.modseq:
            return now
        try:
            changes = self.account.changes(self.modseq)
        except HistoryLost:
            self._recent.clear()
            self.modseq = self._floor = now
        else:
            self._recent.extend(changes)
            self.modseq = max(now, changes[-1].modseq) if changes else now
            while len(self._recent) > _KEEP_CHANGES:
                self._floor = self._recent.popleft().modseq
        self._lines.clear()
        self._added.clear()
        return self.modseq

    def since(self, modseq: int) -> list[Change]:
        """Changes after `modseq`, oldest first. Raises HistoryLost."""
        if modseq < self._floor:
            return self.account.changes(modseq)
        found: list[Change] = []
        for change in reversed(self._recent):
            if change.modseq <= modseq:
                break
            found.append(change)
        found.reverse()
        return found

    def messages_from(self, mailbox_id: MailboxId, uid: int) -> list[MessageTuple]:
        """The mailbox's messages from `uid` on, as of now."""
        key = (mailbox_id, uid)
        messages = self._added.get(key)
        if messages is None:
            messages = list(self.account.scan(mailbox_id, uid))
            if len(messages) <= _KEEP_MESSAGES:
                self._added[key] = messages
        return messages

    def line(self, mailbox_id: int, uid: int, form: int) -> bytes | None:
        """A text that another session keeps for this message since the last change."""
        return self._lines.get((mailbox_id, uid, form))

    def keep_line(self, mailbox_id: int, uid: int, form: int, text: bytes) -> None:
        if len(self._lines) < _KEEP_LINES:
            self._lines[mailbox_id, uid, form] = text

    def _ring(self) -> None:
        for wake in self._wakes:
            wake.ring()


class Feeds:
    """The feeds of all accounts that have sessions in this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._feeds: dict[int, Feed] = {}

    def join(self, account: Account, wake: Wake) -> Feed:
        """The account's feed; `wake` rings when something may be new, until `leave`."""
        feed = self._feeds.get(account.id)
        if feed is None:
            feed = Feed(self._store, account)
            self._feeds[account.id] = feed
        feed.join(wake)
        return feed

    def leave(self, feed: Feed, wake: Wake) -> None:
        if feed.leave(wake):
            self._feeds.pop(feed.account.id, None)
