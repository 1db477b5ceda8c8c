"""Results that are kept up to date: RETURN (UPDATE) of SEARCH and SORT (RFC 5267 §4.3).

A context remembers which messages it has told of. Before removals are told, and after all else,
it compares that with the mailbox and tells the differences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.searchcommands import Criterion
from mox.imap.searchkeys import Numbers, SearchKey, Uids, replaced
from mox.imap.sequence import SequenceSet, format_set, merge_ranges, ranges_of, slices_in, uids_at
from mox.imapd.answer import Done, Refusal, bad
from mox.imapd.finding import Finder
from mox.imapd.ordering import sorted_messages
from mox.imapd.selected import account_of, view_of
from mox.store.errors import HistoryLost
from mox.store.model import M_UID, ChangeKind

if TYPE_CHECKING:
    from mox.imap.fetchatt import FetchAttribute
    from mox.imap.searchcommands import CancelUpdate
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import Change

# RFC 5267 §4.3.1: a server may limit them, to one at least.
MAX_CONTEXTS = 8


@dataclass(slots=True)
class Context:
    """One search or sort whose results the client follows."""

    tag: str
    key: SearchKey  # without sequence numbers
    uid: bool
    criteria: tuple[Criterion, ...]  # () for SEARCH: mailbox order
    modseq: int  # changes up to it have been looked at
    fetch: tuple[FetchAttribute, ...] = ()  # what to tell of new messages among the results
    uids: list[int] = field(default_factory=list)  # results as told, in their order


def check_tag(view: View, tag: str) -> None:
    """RFC 5267 §4.3: the tag tells to which search an update belongs."""
    if any(each.tag == tag for each in view.contexts):
        raise bad("tag is in use for another search that is kept up to date")


def keep_updated(
    session: Session,
    tag: str,
    key: SearchKey,
    *,
    uid: bool,
    criteria: tuple[Criterion, ...] = (),
    fetch: tuple[FetchAttribute, ...] = (),
) -> None:
    """Follow the results of the command `tag` from now on, or tell that they are not."""
    view = view_of(session)
    if len(view.contexts) >= MAX_CONTEXTS:
        text = "too many searches are kept up to date"
        session.write(responses.untagged("NO", text, codes.noupdate(tag)))
        return
    context = Context(tag, _frozen(key, view), uid, criteria, view.modseq, fetch)
    context.uids = _results(session, view, context)
    view.contexts = (*view.contexts, context)


def cmd_cancelupdate(session: Session, command: CancelUpdate) -> Done:
    view = view_of(session)
    known = {context.tag for context in view.contexts}
    if not known.issuperset(command.tags):
        raise Refusal("no such search is kept up to date")
    view.contexts = tuple(each for each in view.contexts if each.tag not in command.tags)
    return Done("no further updates")


def _frozen(key: SearchKey, view: View) -> SearchKey:
    """RFC 5267 §4.3: sequence numbers, and "$", mean the messages that have them now."""

    def by_uid(each: SearchKey) -> SearchKey:
        if isinstance(each, Numbers) or (isinstance(each, Uids) and each.uids.saved):
            chosen = each.numbers if isinstance(each, Numbers) else each.uids
            if chosen.saved:
                ranges = ranges_of(view.saved)
            else:
                slices = chosen.slices_of_numbers(view.exists)
                ranges = [(view.uids[start], view.uids[stop - 1]) for start, stop in slices]
            return Uids(SequenceSet(tuple(ranges)))
        return each

    return replaced(key, by_uid)


def _finder(session: Session, view: View, context: Context) -> Finder:
    return Finder(account_of(session), view, context.key, rev2=session.state.rev2)


def _results(session: Session, view: View, context: Context) -> list[int]:
    finder = _finder(session, view, context)
    messages = finder.messages()
    if context.criteria:
        messages = sorted_messages(
            account_of(session), view.mailbox_id, messages, context.criteria, finder
        )
    return [message[M_UID] for message in messages]


# ---- telling


def removals(session: Session, view: View) -> list[bytes]:
    """Messages that are gone from the mailbox: to be told while they still have numbers."""
    if not view.contexts:
        return []
    gone = set(view.held).union(_gone(session, view))
    lines: list[bytes] = []
    for context in view.contexts:
        lost = [uid for uid in context.uids if uid in gone]
        if lost:
            lines.append(_removed(view, context, lost))
    return lines


def _gone(session: Session, view: View) -> Iterable[int]:
    found = _changes(session, view, min(context.modseq for context in view.contexts))
    if found is None:
        present = set(account_of(session).uids(view.mailbox_id))
        return [uid for uid in view.uids if uid not in present]
    expunged = [change.uids for change in found if change.kind is ChangeKind.EXPUNGED]
    ranges = merge_ranges(pair for pairs in expunged for pair in pairs)
    return uids_at(slices_in(ranges, view.uids), view.uids)


def changes(
    session: Session, view: View, arrived: Collection[int]
) -> tuple[list[bytes], list[tuple[Context, list[int]]]]:
    """What else has changed in the results; to be told after the messages' own changes.

    arrived: uids of new messages. The second result: which of them match a context that asks for
    more about such messages.
    """
    lines: list[bytes] = []
    matching: list[tuple[Context, list[int]]] = []
    for context in view.contexts:
        if context.modseq == view.modseq:
            continue
        touched = _touched(session, view, context.modseq)
        context.modseq = view.modseq
        if touched is not None and not touched:
            continue
        lines += _compare(session, view, context, touched)
        if context.fetch and arrived:
            among = set(context.uids)
            matching.append((context, [uid for uid in arrived if uid in among]))
    return lines, matching


def _changes(session: Session, view: View, since: int) -> list[Change] | None:
    """What happened to the mailbox; None: more than is remembered."""
    assert session.feed is not None, "logged in"
    try:
        found = session.feed.since(since)
    except HistoryLost:
        return None
    return [change for change in found if change.mailbox_id == view.mailbox_id]


def _touched(session: Session, view: View, since: int) -> list[int] | None:
    """Uids of the view that are new or have other flags since; None: any may."""
    found = _changes(session, view, since)
    if found is None:
        return None
    kinds = (ChangeKind.ADDED, ChangeKind.FLAGS)
    ranges = [pair for change in found if change.kind in kinds for pair in change.uids]
    return list(uids_at(slices_in(merge_ranges(ranges), view.uids), view.uids))


def _compare(
    session: Session, view: View, context: Context, touched: list[int] | None
) -> list[bytes]:
    """Look at messages that changed, all if None; tell how the results did."""
    account = account_of(session)
    before = set(context.uids)
    if touched is None:
        matching = set(_results(session, view, context))
        touched = list(before | matching)
    else:
        messages = account.select(view.mailbox_id, touched)
        found = _finder(session, view, context).matching(messages)
        matching = {message[M_UID] for message in found}
    lines: list[bytes] = []
    lost = [uid for uid in touched if uid in before and uid not in matching]
    if lost:
        lines.append(_removed(view, context, lost))
    new = [uid for uid in touched if uid in matching and uid not in before]
    if new:
        lines.append(_added(session, view, context, new))
    return lines


def _removed(view: View, context: Context, lost: Iterable[int]) -> bytes:
    uids = set(lost)
    if not context.criteria:
        context.uids = [uid for uid in context.uids if uid not in uids]
        # RFC 5267 §4.3.4: 0 for mailbox order.
        pairs = [(0, format_set(_shown(view, context, sorted(uids))))]
        return responses.context_change(context.tag, "REMOVEFROM", pairs, uid=context.uid)
    places = [place for place, uid in enumerate(context.uids) if uid in uids]
    # From the last on, so that each place is still the one it was.
    pairs = [
        (place + 1, b"%d" % _shown(view, context, [context.uids[place]])[0])
        for place in reversed(places)
    ]
    context.uids = [uid for uid in context.uids if uid not in uids]
    return responses.context_change(context.tag, "REMOVEFROM", pairs, uid=context.uid)


def _added(session: Session, view: View, context: Context, new: Iterable[int]) -> bytes:
    uids = sorted(new)
    if not context.criteria:
        context.uids = sorted([*context.uids, *uids])
        pairs = [(0, format_set(_shown(view, context, uids)))]
        return responses.context_change(context.tag, "ADDTO", pairs, uid=context.uid)
    account = account_of(session)
    messages = account.select(view.mailbox_id, sorted([*context.uids, *uids]))
    finder = _finder(session, view, context)
    ordered = sorted_messages(account, view.mailbox_id, messages, context.criteria, finder)
    there = set(context.uids).union(uids)
    context.uids = [message[M_UID] for message in ordered if message[M_UID] in there]
    fresh = set(uids)
    pairs = [
        (place, b"%d" % _shown(view, context, [uid])[0])
        for place, uid in enumerate(context.uids, 1)
        if uid in fresh
    ]
    return responses.context_change(context.tag, "ADDTO", pairs, uid=context.uid)


def _shown(view: View, context: Context, uids: Sequence[int]) -> Sequence[int]:
    """Ascending uids as the client numbers them."""
    return uids if context.uid else [view.sequence_of(uid) for uid in uids]
