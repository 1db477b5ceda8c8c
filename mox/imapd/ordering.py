"""Sorting and threading the messages of a mailbox by what the index keeps of them.

RFC 5256, RFC 5957 (names as they are shown), RFC 6203 (relevancy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mox.imap.searchcommands import Algorithm, Criterion, SortBy
from mox.imap.sorting import Column, ordered
from mox.imap.threads import Mail, Node, threads
from mox.message.summary import ID_SIZE
from mox.store.model import M_RECEIVED, M_SIZE

if TYPE_CHECKING:
    from mox.imapd.finding import Finder
    from mox.imapd.pace import Pace
    from mox.message import Summary
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

# Summaries that are read in one go.
_AT_ONCE = 500

_TEXTS: dict[SortBy, Callable[[Summary], str]] = {
    SortBy.CC: lambda summary: summary.cc,
    SortBy.DISPLAYFROM: lambda summary: summary.display_from,
    SortBy.DISPLAYTO: lambda summary: summary.display_to,
    SortBy.FROM: lambda summary: summary.from_,
    SortBy.SUBJECT: lambda summary: summary.subject,
    SortBy.TO: lambda summary: summary.to,
}


def sorted_messages(
    account: Account,
    mailbox_id: MailboxId,
    messages: list[MessageTuple],
    criteria: Sequence[Criterion],
    finder: Finder,
) -> list[MessageTuple]:
    """Sort messages that `finder` found; those of equal keys stay in their order."""
    summaries: list[Summary] = []
    if any(each.by in _TEXTS or each.by is SortBy.DATE for each in criteria):
        summaries = summaries_of(account, mailbox_id, messages, finder.pace)
    columns: list[tuple[Column, bool]] = []
    for each in criteria:
        columns.append((_column(each.by, messages, summaries, finder), each.reverse))
        finder.pace()
    order = ordered(len(messages), columns, finder.pace)
    del columns, summaries
    finder.pace()
    found = [messages[position] for position in order]
    finder.pace()
    return found


def summaries_of(
    account: Account, mailbox_id: MailboxId, messages: Sequence[MessageTuple], pace: Pace
) -> list[Summary]:
    found: list[Summary] = []
    for start in range(0, len(messages), _AT_ONCE):
        found += account.summaries(mailbox_id, messages[start : start + _AT_ONCE], pace)
        pace()
    return found


def _column(
    by: SortBy,
    messages: Sequence[MessageTuple],
    summaries: Sequence[Summary],
    finder: Finder,
) -> Column:
    match by:
        case SortBy.ARRIVAL:
            return [message[M_RECEIVED] for message in messages]
        case SortBy.SIZE:
            return [message[M_SIZE] for message in messages]
        case SortBy.DATE:
            return [
                _sent(message, summary)
                for message, summary in zip(messages, summaries, strict=True)
            ]
        case SortBy.RELEVANCY:
            # RFC 6203 §6: the highest score comes first.
            return [-score for score in finder.relevancies(list(messages))]
        case _:
            text = _TEXTS[by]
            return [text(summary) for summary in summaries]


def _sent(message: MessageTuple, summary: Summary) -> int:
    # RFC 5256 §2.2: without a valid Date field INTERNALDATE counts.
    return message[M_RECEIVED] if summary.sent is None else summary.sent


def conversations(
    account: Account,
    mailbox_id: MailboxId,
    messages: Sequence[MessageTuple],
    numbers: Sequence[int],
    algorithm: Algorithm,
    pace: Pace,
) -> list[Node]:
    """Thread messages, to be shown under `numbers`."""
    mails: list[Mail] = []
    for start in range(0, len(messages), _AT_ONCE):
        some = messages[start : start + _AT_ONCE]
        found = account.summaries(mailbox_id, some, pace)
        shown = numbers[start : start + _AT_ONCE]
        mails += [_mail(*each) for each in zip(shown, some, found, strict=True)]
        pace()
    return threads(mails, algorithm, pace)


def _mail(number: int, message: MessageTuple, summary: Summary) -> Mail:
    return Mail(
        number,
        _sent(message, summary),
        message[M_RECEIVED],
        summary.message_id,
        _split(summary.references),
        summary.subject,
        summary.is_response,
    )


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + ID_SIZE] for at in range(0, len(hashes), ID_SIZE)]
