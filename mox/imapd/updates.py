"""Untagged responses for what others did to the selected mailbox.

RFC 9051 §5.2 and §7.5.1, RFC 3501 §5.2: the client is told of new, changed and removed messages
at the end of commands and while it idles; removals not during commands that use sequence numbers.
A session does not hear of its own flag changes again (`View.own`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.sequence import Range, merge_ranges, ranges_of, slices_in, uids_at
from mox.imapd.feed import Arrival
from mox.imapd.flagtext import KEYWORD_SHIFT, RECENT, all_flags
from mox.store.errors import HistoryLost
from mox.store.model import (
    FLAG_MASK,
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    M_UID,
    MAX_UID,
    Change,
    ChangeKind,
    MessageTuple,
)

if TYPE_CHECKING:
    from mox.imap.state import Session
    from mox.imapd.feed import Feed
    from mox.imapd.view import View

# Form of a kept line: whether it shows MODSEQ and \Recent, and is for UIDONLY.
_WITH_MODSEQ = 1
_WITH_RECENT = 2
_UIDONLY = 4


@dataclass(slots=True)
class News:
    """What happened to one mailbox since a view was last brought up to date."""

    changed: list[Range] = field(default_factory=list)  # flags, as uids
    expunged: list[Range] = field(default_factory=list)
    quiet: list[Range] = field(default_factory=list)  # new by this session's own doing
    added: bool = False
    keywords: bool = False
    gone: bool = False


def updates(
    view: View,
    feed: Feed,
    state: Session,
    *,
    expunge: bool,
    flags: bool = True,
    new: bool = True,
) -> list[bytes]:
    """Bring `view` up to date; returns the responses that tell the client.

    `expunge` false: removals wait in view.held for the next time. `flags`, `new`: tell of
    changed flags, and more of new messages than that there are some.
    """
    feed.advance()
    return known_updates(view, feed, state, expunge=expunge, flags=flags, new=new)


def known_updates(
    view: View,
    feed: Feed,
    state: Session,
    *,
    expunge: bool,
    flags: bool = True,
    new: bool = True,
) -> list[bytes]:
    """The same up to what the feed has read, without looking whether there is more."""
    reached = feed.modseq
    if reached == view.modseq and not (expunge and view.held):
        return []
    since = view.modseq
    try:
        news = _digest(view, feed.since(since))
    except HistoryLost:
        news = _compare(view, feed)
    view.modseq = reached
    view.own = ()
    lines: list[bytes] = []
    if news.keywords:
        lines += keyword_lines(view, feed)
    _hold(view, news)
    if expunge:
        lines += expunge_lines(view, vanished=state.qresync or state.uidonly)
    if news.gone:
        return lines
    told = _changed(view, feed, news.changed, since) if flags else []
    added = _add(view, feed, lines, rev2=state.rev2) if news.added else []
    if new:
        told += [message for message in added if _is_news(news, message[M_UID])]
    lines += _flag_lines(view, feed, told, state)
    return lines


def idler_text(view: View, feed: Feed, state: Session) -> bytes:
    """The same for a client that idles, joined.

    Where all that came are new messages, sessions that know as much of the mailbox share it.
    """
    if view.held or view.own or view.recent_from > view.uidnext:
        return b"".join(known_updates(view, feed, state, expunge=True))
    since, exists = view.modseq, len(view.uids)
    if since == feed.modseq:
        return b""
    known = (view.mailbox_id, since, view.uidnext, exists, view.recent, state.on)
    arrival = feed.arrival(known)
    if arrival is None:
        text = b"".join(known_updates(view, feed, state, expunge=True))
        if _only_arrivals(view, feed, since):
            feed.keep_arrival(known, Arrival(text, view.uids[exists:]))
        return text
    view.append(arrival.uids)
    view.modseq = feed.modseq
    return arrival.text


def _only_arrivals(view: View, feed: Feed, since: int) -> bool:
    try:
        changes = feed.since(since)
    except HistoryLost:
        return False
    here = view.mailbox_id
    return all(each.kind is ChangeKind.ADDED for each in changes if each.mailbox_id == here)


def keyword_lines(view: View, feed: Feed) -> list[bytes]:
    """Take over the mailbox's keywords; tells the client when they are others than before."""
    mailbox = feed.account.mailbox_by_id(view.mailbox_id)
    if mailbox is None or mailbox.keywords == view.keywords:
        return []
    view.keywords = mailbox.keywords
    return flags_lines(view)


def flags_lines(view: View) -> list[bytes]:
    """The FLAGS and PERMANENTFLAGS responses for the mailbox's present keywords."""
    names = all_flags(view.keywords)
    # RFC 9051 §7.1, PERMANENTFLAGS: none in a mailbox that is open for reading only.
    permanent = () if view.read_only else (*names, "\\*")
    return [
        responses.flags(names),
        responses.untagged("OK", "flags that are kept", codes.permanentflags(permanent)),
    ]


def _digest(view: View, changes: Iterable[Change]) -> News:
    news = News()
    for change in changes:
        if change.mailbox_id != view.mailbox_id:
            continue
        match change.kind:
            case ChangeKind.ADDED:
                news.added |= any(last >= view.uidnext for _, last in change.uids)
                if change.modseq in view.own:
                    news.quiet += change.uids
            case ChangeKind.FLAGS:
                if change.modseq not in view.own:
                    news.changed += change.uids
            case ChangeKind.EXPUNGED:
                news.expunged += change.uids
            case ChangeKind.KEYWORDS:
                news.keywords = True
            case ChangeKind.MAILBOX_DELETED:
                news.gone = True
            case ChangeKind.MAILBOX_RENAMED:
                view.name = change.name
    return news


def _compare(view: View, feed: Feed) -> News:
    """The same from the present state, when the change log does not reach back far enough."""
    mailbox = feed.account.mailbox_by_id(view.mailbox_id)
    if mailbox is None:
        return News(gone=True)
    view.name = mailbox.name
    present = set(feed.account.uids(view.mailbox_id))
    missing = [(uid, uid) for uid in view.uids if uid not in present]
    everything = [(1, MAX_UID)]
    return News(changed=everything, expunged=missing, added=True, keywords=True)


def _hold(view: View, news: News) -> None:
    """Note what is gone; the client still has to be told."""
    if news.gone:
        view.gone = True
        view.hold(view.uids)
    if news.expunged:
        gone = slices_in(merge_ranges(news.expunged), view.uids)
        view.hold(uids_at(gone, view.uids))


def expunge_lines(view: View, *, vanished: bool) -> list[bytes]:
    """Tell what is gone, and take it out of the view."""
    if not view.held:
        return []
    gone = sorted(view.held)
    numbers = view.remove(gone)
    view.held = ()
    if vanished:
        # RFC 7162 §3.2.10, RFC 9586 §3.5: VANISHED replaces EXPUNGE.
        return [responses.vanished(ranges_of(gone))]
    return responses.expunge(numbers)


def _add(view: View, feed: Feed, lines: list[bytes], *, rev2: bool) -> list[MessageTuple]:
    added = feed.messages_from(view.mailbox_id, view.uidnext)
    if added:
        view.append(message[M_UID] for message in added)
        lines.append(responses.exists(view.exists))
        if not rev2:
            # RFC 3501 §7.3.2; RFC 9051 has no \Recent.
            lines.append(responses.recent(view.recent))
    return added


def _changed(view: View, feed: Feed, ranges: list[Range], since: int) -> list[MessageTuple]:
    """The messages within `ranges` that the view had before and that changed after `since`."""
    found: list[MessageTuple] = []
    for start, stop in slices_in(merge_ranges(ranges), view.uids):
        messages = feed.account.scan(view.mailbox_id, view.uids[start], view.uids[stop - 1])
        found += [message for message in messages if message[M_MODSEQ] > since]
    return found


def _flag_lines(
    view: View, feed: Feed, messages: list[MessageTuple], state: Session
) -> list[bytes]:
    lines: list[bytes] = []
    for message in messages:
        number = view.sequence_of(message[M_UID])
        if number and message[M_UID] not in view.held:
            recent = not state.rev2 and message[M_UID] >= view.recent_from
            form = (_WITH_MODSEQ if state.condstore else 0) | (_WITH_RECENT if recent else 0)
            if state.uidonly:
                form, number = form | _UIDONLY, message[M_UID]
            lines.append(b"* %d %b" % (number, _flag_line(view, feed, message, form)))
    return lines


def _flag_line(view: View, feed: Feed, message: MessageTuple, form: int) -> bytes:
    uid = message[M_UID]
    line = feed.line(view.mailbox_id, uid, form)
    if line is None:
        key = message[M_FLAGS] & FLAG_MASK | message[M_KEYWORDS] << KEYWORD_SHIFT
        flags = view.flag_texts[key | (RECENT if form & _WITH_RECENT else 0)]
        # RFC 7162 §3.2: once CONDSTORE is enabled every FETCH that tells of flags has MODSEQ.
        modseq = b" MODSEQ (%d)" % message[M_MODSEQ] if form & _WITH_MODSEQ else b""
        if form & _UIDONLY:
            line = b"UIDFETCH (FLAGS %b%b)\r\n" % (flags, modseq)
        else:
            line = b"FETCH (UID %d FLAGS %b%b)\r\n" % (uid, flags, modseq)
        feed.keep_line(view.mailbox_id, uid, form, line)
    return line


def _is_news(news: News, uid: int) -> bool:
    """Whether a new message's flags are to be told: not what the session itself put there."""
    return not _within(news.quiet, uid) or _within(news.changed, uid)


def _within(ranges: list[Range], uid: int) -> bool:
    return any(first <= uid <= last for first, last in ranges)
