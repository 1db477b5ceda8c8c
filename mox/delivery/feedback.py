"""Notifications of other servers about mail of ours: matched with what was sent, and remembered.

A message to an address with the unique id of an envelope sender is about that message, and the
application that sent it is called. Other notifications name an envelope id or the Message-ID of the
message, and the recipient. Only the account that sent a message can be told about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mox.address import Address, AddressError, Domain, parse_address
from mox.config.lookup import ToAccount
from mox.delivery import webhooks
from mox.delivery.headers import Headers
from mox.message import parse
from mox.message.dsn import Action
from mox.message.dsnreading import DsnError, NotADsn, Report, ReportedRecipient, read_dsn
from mox.message.fields import Data
from mox.message.transfer import part_octets
from mox.store import retired_references
from mox.store.outgoing import Feedback, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueId, RetiredMessage
from mox.webapi.hooks import Event

if TYPE_CHECKING:
    from mox.config import Config
    from mox.delivery.recipients import Recipient
    from mox.store import Store
    from mox.store.spool import Spool

_REPORT: Final = b"multipart/report"
_ARRIVED: Final = (Action.DELIVERED, Action.RELAYED, Action.EXPANDED)
_TOLD: Final = "incoming message"
# Of a reason that goes into a record.
_MAX_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class _Notification:
    """A notification that could be read, and the Message-ID of what it is about."""

    report: Report
    message_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says about messages that one of its recipients sent.

    `is_answer`: it came to the unique address of one, so it is about that and nothing else.
    """

    notes: tuple[Feedback, ...] = ()
    is_answer: bool = False


def what_is_told(
    store: Store,
    config: Config,
    headers: Headers,
    spool: Spool,
    recipients: Sequence[Recipient],
    now: float,
    *,
    has_sender: bool,
) -> list[Told]:
    """Return what a message tells each of `recipients` about messages of theirs."""
    found: list[Told] = []
    outgoing = Outgoing(store)
    is_report = headers.first(b"content-type").strip().lower().startswith(_REPORT)
    notification: _Notification | DsnError | None = None
    for recipient in recipients:
        if not isinstance(recipient.to, ToAccount):
            found.append(Told())
            continue
        account = recipient.to.account
        own = _by_from_id(outgoing, config, recipient, account)
        # RFC 3461 §6.1: notifications have the null reverse-path. (One with a unique id is let
        # off that: nobody else knows the id.)
        if own is None and (has_sender or not is_report):
            found.append(Told())
            continue
        if is_report and notification is None:
            notification = _read(store, spool)
        if own is not None:
            found.append(Told((_answer(config, own, notification, now),), is_answer=True))
        elif isinstance(notification, _Notification):
            found.append(Told(tuple(_notes(outgoing, account, notification, now))))
        else:
            found.append(Told())
    return found


def _by_from_id(
    outgoing: Outgoing, config: Config, recipient: Recipient, account: str
) -> RetiredMessage | None:
    domain = recipient.path.domain
    local = config.lookup.domain(domain) if isinstance(domain, Domain) else None
    if local is None or not local.rules.separators:
        return None
    from_id = recipient.path.localpart.partition(local.rules.separators[0])[2]
    found = outgoing.by_from_id(from_id) if from_id else None
    if isinstance(found, RetiredMessage) and found.sender_account == account:
        return found
    return None


def _read(store: Store, spool: Spool) -> _Notification | DsnError:
    """Return the notification, or why it is none."""
    stored = spool.stored()
    try:
        # Parsing a large one would hold up others.
        return store.pool.apply(_parse, (stored,)) if spool.is_large else _parse(stored)
    except DsnError as e:
        return e


def _parse(stored: Data) -> _Notification:
    root = parse(stored, wire=False)
    report = read_dsn(stored, root, wire=False)
    message_id = ""
    if len(root.children) > 2:
        original = part_octets(stored, root.children[2], wire=False)
        message_id = Headers(original.replace(b"\r\n", b"\n")).message_id
    return _Notification(report, message_id)


def _answer(
    config: Config,
    own: RetiredMessage,
    notification: _Notification | DsnError | None,
    now: float,
) -> Feedback:
    """Return what came back to the unique address of a message."""
    if isinstance(notification, _Notification):
        recipients = notification.report.recipients
        if len(recipients) == 1:
            return _with_call(config, own, recipients[0], now)
        error = f"incoming dsn has {len(recipients)} recipients, expecting 1"
        is_dsn = True
    elif notification is None or isinstance(notification, NotADsn):
        error, is_dsn = "incoming message not a dsn", False
    else:
        error, is_dsn = f"parsing incoming dsn: {notification}"[:_MAX_CHARS], True
    reason = error if is_dsn else ""
    call = webhooks.about_sent(config, own, Event.UNRECOGNIZED, now, error=reason, is_dsn=is_dsn)
    return Feedback(own.id, AttemptResult(now, error=error), hook=call)


def _with_call(
    config: Config, own: RetiredMessage, told: ReportedRecipient, now: float
) -> Feedback:
    note = _note(own.id, told, now)
    call = webhooks.about_sent(
        config,
        own,
        Event(told.action.value),
        now,
        code=note.result.code,
        secode=note.result.secode,
        error="" if note.result.success else told.diagnostic[:_MAX_CHARS],
        is_dsn=True,
    )
    return replace(note, hook=call)


def _notes(
    outgoing: Outgoing, account: str, notification: _Notification, now: float
) -> Iterator[Feedback]:
    for told in notification.report.recipients:
        for id in _named(outgoing, account, notification, told):
            yield _note(id, told, now)


def _note(id: QueueId, told: ReportedRecipient, now: float) -> Feedback:
    has_arrived = told.action in _ARRIVED
    code = 0 if has_arrived and not told.diagnostic else told.code
    secode = told.enhanced_code.partition(".")[2]
    result = AttemptResult(now, success=has_arrived, code=code, secode=secode, error=_TOLD)
    return Feedback(id, result, failed=told.action is Action.FAILED)


def _named(
    outgoing: Outgoing, account: str, notification: _Notification, told: ReportedRecipient
) -> list[QueueId]:
    """Return the account's messages that a notification without unique id can only be about."""
    dbs, ids = outgoing.dbs, list[QueueId]()
    if notification.report.envelope_id:
        ids = retired_references.by_envelope_id(dbs, account, notification.report.envelope_id)
    if not ids and notification.message_id:
        ids = retired_references.by_message_id(dbs, account, notification.message_id)
    addresses = {told.final_recipient, _original(told)}
    return [id for id in ids if _recipient(outgoing, id) in addresses]


def _original(told: ReportedRecipient) -> Address:
    """Return the address that we gave, if the notification has it: there was a forward."""
    try:
        return parse_address(told.original_recipient)
    except AddressError:
        return told.final_recipient


def _recipient(outgoing: Outgoing, id: QueueId) -> Address | None:
    msg = outgoing.get_retired(id)
    return msg.recipient.path().address if msg is not None else None
