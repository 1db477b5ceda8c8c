"""A selected mailbox as one client knows it: its sequence numbers and what it has been told.

RFC 9051 §5.5, RFC 3501 §7.4.1: a message keeps its sequence number until the client is told of an
EXPUNGE, and that may not happen during FETCH, STORE or SEARCH. So each session has its own list of
uids, which changes only when the change is written to the client.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from mox.imapd.flagtext import FlagTexts
from mox.store.model import FlagColumn, MailboxId

if TYPE_CHECKING:
    from mox.imapd.contexts import Context

# Removals that are made one by one.
_FEW = 16
# Of views without a saved result: shared, and never changed.
_NOTHING_SAVED: array[int] = array("I")


class Cancellable(Protocol):
    """Something that runs until it is cancelled."""

    def cancel(self) -> None: ...


class View:
    """The state of a selected mailbox in one session.

    uids: ascending; index + 1 is the sequence number.
    uidnext: above every uid that the client has heard of.
    modseq: of the account; changes up to it have been told, or are in `held`.
    held: uids gone from the mailbox that the client still numbers; () for none.
    own: modseqs of this session's own changes, which it does not hear of again.
    saved: uids of the last SEARCH RETURN (SAVE).
    contexts: searches whose results are kept up to date.
    flag_column: flags as a search has read them.
    """

    __slots__ = (
        "contexts",
        "flag_column",
        "gone",
        "held",
        "keywords",
        "mailbox_id",
        "modseq",
        "name",
        "own",
        "read_only",
        "recent_claimed",
        "recent_from",
        "saved",
        "texts",
        "uidnext",
        "uids",
        "uidvalidity",
        "watch",
    )

    def __init__(
        self, mailbox_id: MailboxId, name: str, uidvalidity: int, *, read_only: bool
    ) -> None:
        self.mailbox_id = mailbox_id
        self.name = name
        self.uidvalidity = uidvalidity
        self.read_only = read_only
        self.uids: array[int] = array("I")
        self.uidnext = 1
        self.modseq = 0
        self.keywords: tuple[str, ...] = ()
        self.recent_from = 0
        self.recent_claimed = 0  # uids below it no other session will see as \Recent
        self.held: Collection[int] = ()
        self.own: tuple[int, ...] = ()
        self.saved = _NOTHING_SAVED
        self.contexts: Sequence[Context] = ()
        self.flag_column: FlagColumn | None = None
        self.gone = False  # the mailbox was deleted
        self.texts: FlagTexts | None = None
        self.watch: Cancellable | None = None  # of the mailbox's directory, for other programs

    def close(self) -> None:
        """Stop watching."""
        if self.watch is not None:
            self.watch.cancel()
            self.watch = None

    @property
    def flag_texts(self) -> FlagTexts:
        """Texts of flag lists for the present keywords."""
        if self.texts is None or self.texts.keywords != self.keywords:
            self.texts = FlagTexts(self.keywords)
        return self.texts

    def note_own(self, modseq: int) -> None:
        """This session has just made the change `modseq` itself."""
        self.own = (*self.own, modseq)

    def forget_saved(self) -> None:
        """Nothing is saved any more."""
        self.saved = _NOTHING_SAVED

    def hold(self, uids: Iterable[int]) -> None:
        """Note messages as gone; the client is told later."""
        more = set(uids)
        if more:
            self.held = more.union(self.held)

    @property
    def exists(self) -> int:
        return len(self.uids)

    @property
    def recent(self) -> int:
        return len(self.uids) - bisect_left(self.uids, self.recent_from)

    def sequence_of(self, uid: int) -> int:
        """The sequence number of `uid`, 0 when the client does not know it."""
        index = bisect_left(self.uids, uid)
        if index < len(self.uids) and self.uids[index] == uid:
            return index + 1
        return 0

    def uid_slice(self, first: int, last: int) -> range:
        """Indexes of the uids from `first` to `last`, both included."""
        return range(bisect_left(self.uids, first), bisect_right(self.uids, last))

    def append(self, uids: Iterable[int]) -> None:
        """New messages: the client is told of the new count."""
        self.uids.extend(uids)
        if self.uids:
            self.uidnext = max(self.uidnext, self.uids[-1] + 1)

    def remove(self, uids: Collection[int]) -> list[int]:
        """Take out messages; returns their sequence numbers, highest first, each as it was.

        Sent as EXPUNGE in this order they need no correction for one another.
        """
        gone = set(uids)
        if len(gone) <= _FEW:
            indexes = sorted(number - 1 for number in map(self.sequence_of, gone) if number)
            for index in reversed(indexes):
                del self.uids[index]
        else:
            # One walk, so that 10,000 removals do not move the rest 10,000 times.
            indexes = [index for index, uid in enumerate(self.uids) if uid in gone]
            self.uids = array("I", [uid for uid in self.uids if uid not in gone])
        if self.saved:
            # RFC 9051 §6.4.4.1: an expunged message leaves the saved result too.
            self.saved = array("I", [uid for uid in self.saved if uid not in gone])
        return [index + 1 for index in reversed(indexes)]

    def shrink(self) -> None:
        """Drop what can be made again: the session is going to idle."""
        self.texts = None
        self.flag_column = None
