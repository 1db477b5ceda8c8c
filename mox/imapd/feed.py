"""What is new in an account, read once for all sessions of this process that follow it.

The store's change log is the truth. Bells are hints: they make those sessions look that tell their
clients at once (see `Feed.follow`); each session looks by itself before it answers a command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import gevent

from mox import logfmt, metrics
from mox.imapd.pace import Courtesy, Pace
from mox.store.errors import HistoryLost
from mox.store.model import Change, MailboxId, MessageTuple, ModSeq

if TYPE_CHECKING:
    from array import array

    from mox.store import Store
    from mox.store.account import Account
    from mox.store.notify import Watch

# Changes kept in memory. A session that is further behind reads the log itself.
_KEEP_CHANGES = 256
# Rendered lines kept until the next change; bulk changes are not worth keeping.
_KEEP_LINES = 1024
_KEEP_MESSAGES = 64


class Follower(Protocol):
    """A session that has something to do when there may be something new."""

    def announce(self) -> None:
        """Look at the feed, which has just advanced; must not wait."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What sessions that know the same of a mailbox are told of new messages, and know then."""

    text: bytes
    uids: array[int]


class Feed:
    """The changes of one account up to `modseq`, and texts that several sessions will send.

    Nothing is watched and nothing read while nobody follows.
    """

    __slots__ = (
        "_added",
        "_announcing",
        "_arrivals",
        "_floor",
        "_followers",
        "_lines",
        "_recent",
        "_rung",
        "_store",
        "_users",
        "_watch",
        "account",
        "modseq",
    )

    def __init__(self, store: Store, account: Account) -> None:
        self.account = account
        self._store = store
        self._users = 0  # sessions, whether they follow or not
        self._watch: Watch | None = None
        self.modseq = account.modseq()
        self._floor = self.modseq  # changes after this one are all in _recent
        self._recent: deque[Change] = deque()
        self._followers: dict[Follower, None] = {}
        self._rung = False
        self._announcing = False
        self._lines: dict[tuple[int, int, int], bytes] = {}
        self._added: dict[tuple[int, int], list[MessageTuple]] = {}
        self._arrivals: dict[Hashable, Arrival] = {}

    def join(self) -> None:
        """One session more uses the feed."""
        self._users += 1

    def leave(self, session: Follower) -> bool:
        """The session does no longer; true when it was the last."""
        self.unfollow(session)
        self._users -= 1
        return not self._users

    def follow(self, follower: Follower) -> None:
        """Announce to it from now on; what was committed before it reads after this."""
        self._followers[follower] = None
        if self._watch is None:
            self._watch = self._store.watch(self.account.id, self._ring)

    def unfollow(self, follower: Follower) -> None:
        self._followers.pop(follower, None)
        if self._watch is not None and not self._followers:
            self._watch.cancel()
            self._watch = None

    def advance(self) -> int:
        """Read what the log has that we have not; returns the modseq reached."""
        now = self.account.modseq()
        if now == self.modseq:
            return now
        if now - self.modseq > _KEEP_CHANGES:
            # At least one change for each modseq: the first would not be kept.
            self._recent.clear()
            self.modseq = self._floor = ModSeq(now - _KEEP_CHANGES)
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
        self._arrivals.clear()
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

    def arrival(self, known: Hashable) -> Arrival | None:
        """What another session that knew the same has been told since the last change."""
        return self._arrivals.get(known)

    def keep_arrival(self, known: Hashable, arrival: Arrival) -> None:
        if len(self._arrivals) < _KEEP_LINES:
            self._arrivals[known] = arrival

    def _ring(self) -> None:
        self._rung = True
        if not self._announcing:
            self._announcing = True
            gevent.spawn_raw(self._announce)

    def _announce(self) -> None:
        """Tell all followers, one after the other: one greenlet for all costs a third."""
        pace = Pace()
        try:
            while self._rung:
                self._rung = False
                self.advance()
                courtesy = Courtesy()
                for follower in list(self._followers):
                    if follower in self._followers:
                        _announce_to(follower)
                        courtesy()
                    pace()
        finally:
            self._announcing = False


def _announce_to(follower: Follower) -> None:
    try:
        follower.announce()
    except Exception as e:
        # The others are told nevertheless.
        logfmt.logger("imapserver").exception("announcing changes failed", err=e)
        metrics.PANICS.labels("imapserver").inc()


class Feeds:
    """The feeds of all accounts that have sessions in this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._feeds: dict[int, Feed] = {}

    def join(self, account: Account) -> Feed:
        """The account's feed, for one session more."""
        feed = self._feeds.get(account.id)
        if feed is None:
            feed = Feed(self._store, account)
            self._feeds[account.id] = feed
        feed.join()
        return feed

    def leave(self, feed: Feed, session: Follower) -> None:
        if feed.leave(session):
            self._feeds.pop(feed.account.id, None)
