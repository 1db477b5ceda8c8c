"""Telling senders that their message is late or will not arrive (RFC 3464).

Notifications go straight into a mailbox: nothing about them can fail on the way. Those about
messages without sender, or of an account that is gone, are for the postmaster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from mox import logfmt
from mox.address import (
    NULL_PATH,
    Address,
    AddressError,
    Domain,
    Path,
    parse_address,
    parse_domain,
)
from mox.delivery.bounce import MAX_RETURNED_OCTETS, queue_notification
from mox.delivery.headers import Headers
from mox.message import dsn
from mox.message.dsn import Action
from mox.message.ids import message_id, parse_message_id
from mox.message.trace import delivered_to, return_path
from mox.queue.verdict import Verdict
from mox.smtp.dsnparameters import DELAY, FAILURE, SUCCESS
from mox.store.errors import StoreError
from mox.store.model import Flag, Target
from mox.store.outgoing_records import QueueMessage

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store
    from mox.store.outgoing import Outgoing

log = logfmt.logger("queue")

FAILED: Final = "mail delivery failed"
COPY: Final = "mail delivery failed (copy)"
DELAYED: Final = "mail delivery delayed"
DELIVERED: Final = "mail delivered"
RELAYED: Final = "mail passed on"
_SUBJECTS: Final = {
    Action.FAILED: FAILED,
    Action.DELAYED: DELAYED,
    Action.DELIVERED: DELIVERED,
    Action.RELAYED: RELAYED,
}
INBOX: Final = "INBOX"
DMARC_REPORTS: Final = "dmarc"


class Office(Protocol):
    """What it takes to tell somebody something."""

    @property
    def store(self) -> Store: ...

    @property
    def outgoing(self) -> Outgoing: ...

    @property
    def config(self) -> Config: ...

    @property
    def hostname(self) -> Domain: ...


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a notification goes, and to whom it is addressed."""

    account: str
    mailbox: str
    to: Path
    flags: Flag = Flag.NONE


def tell_failure(office: Office, msg: QueueMessage, verdict: Verdict, now: float) -> None:
    """Tell that a message was given up, unless that is not wanted. Raises StoreError."""
    # RFC 3461 §4.1: by default failures are told.
    if not msg.notify or FAILURE in msg.notify:
        _tell(office, msg, verdict, now, Action.FAILED)
        _copy(office, msg, verdict, now)


def tell_delay(
    office: Office, msg: QueueMessage, verdict: Verdict, now: float, attempts: list[float]
) -> None:
    """Tell that a message is late and will be tried again at these times. Raises StoreError."""
    if not msg.is_dmarc_report and (not msg.notify or DELAY in msg.notify):
        _tell(office, msg, verdict, now, Action.DELAYED, tuple(int(when) for when in attempts))


def tell_success(office: Office, msg: QueueMessage, verdict: Verdict, now: float) -> None:
    """Tell that a message has arrived, or was passed on, if that is wanted. Raises StoreError."""
    # RFC 3461 §5.2.2, §5.2.3: a server that knows of the request tells it itself.
    if SUCCESS in msg.notify and not verdict.passed_requests and not msg.sender.is_null:
        action = Action.RELAYED if verdict.host else Action.DELIVERED
        _tell(office, msg, verdict, now, action)


def _tell(
    office: Office,
    msg: QueueMessage,
    verdict: Verdict,
    now: float,
    action: Action,
    next_attempts: tuple[int, ...] = (),
) -> None:
    box = _box(office.config, office.hostname, msg)
    notification = _compose(office, msg, verdict, now, action, next_attempts, box.to)
    target = Target(
        account=office.store.account(box.account),
        mailbox=box.mailbox,
        # RFC 5321 §6.1: a notification has the null reverse-path.
        prefix=return_path(NULL_PATH) + delivered_to(box.to),
        received=(int(now), 0),
        flags=box.flags,
    )
    with office.store.spool() as spool:
        spool.write(dsn.compose(notification, utf8=msg.smtputf8))
        [result] = office.store.deliver([target], spool)
    if isinstance(result, StoreError):
        raise result


def _copy(office: Office, msg: QueueMessage, verdict: Verdict, now: float) -> None:
    """Queue a copy for the administrator who wants one. Never raises StoreError."""
    config = office.config
    # What nobody sent, and reports, the postmaster is told of anyway. So copies make no copies.
    if not config.static.failure_copies_to or msg.sender.is_null or msg.is_report:
        return
    address = parse_address(config.static.failure_copies_to)
    to = Path(address.localpart, address.domain)
    told = _compose(office, msg, verdict, now, Action.FAILED, (), to)
    # Only its sender gets the whole message back.
    copy = replace(told, subject=COPY, original=b"", copy_for=msg.sender.path())
    try:
        queue_notification(office.store, config, copy, utf8=msg.smtputf8, now=now)
    except StoreError as e:
        log.error("queueing copy of notification", err=e, id=msg.id)


def _box(config: Config, hostname: Domain, msg: QueueMessage) -> _Box:
    postmaster = config.static.postmaster
    address = Path("postmaster", hostname)
    if msg.is_dmarc_report:
        mailbox = f"{postmaster.mailbox}/{DMARC_REPORTS}"
        return _Box(postmaster.account, mailbox, msg.sender.path(), Flag.SEEN)
    # RFC 5321 §6.1: nobody sent it, so nobody else is to be told.
    if msg.sender.is_null:
        return _Box(postmaster.account, postmaster.mailbox, address)
    if msg.sender_account not in config.dynamic.accounts:
        return _Box(postmaster.account, postmaster.mailbox, msg.sender.path())
    return _Box(msg.sender_account, INBOX, msg.sender.path())


def _compose(
    office: Office,
    msg: QueueMessage,
    verdict: Verdict,
    now: float,
    action: Action,
    next_attempts: tuple[int, ...],
    to: Path,
) -> dsn.Dsn:
    hostname = office.hostname
    header = _header(office, msg)
    reply = verdict.reply
    recipient = dsn.Recipient(
        address=msg.recipient.path(),
        action=action,
        original=msg.orcpt,
        status=verdict.status,
        error=verdict.error,
        remote_mta=_remote_mta(verdict) if reply else None,
        remote_ip=verdict.ip if reply and verdict.host else None,
        reply=_reply_lines(verdict),
        last_attempt=int(msg.last_attempt) or None,
        will_retry_until=next_attempts[-1] if next_attempts else None,
        next_attempts=next_attempts,
    )
    return dsn.Dsn(
        mail_from=Address("postmaster", hostname),
        mail_to=to,
        subject=_SUBJECTS[action],
        message_id=message_id(hostname),
        date=int(now),
        references=parse_message_id(msg.message_id.encode()),
        reporting_mta=hostname,
        arrival=int(msg.queued),
        future_release=msg.future_release,
        recipients=(recipient,),
        original_header=header,
        original=_returned(office, msg) if action is Action.FAILED else b"",
        envelope_id=msg.envid,
    )


def _reply_lines(verdict: Verdict) -> tuple[str, ...]:
    """Return the lines of the server's reply as they came."""
    reply = verdict.reply
    if reply is None:
        return ()
    lead = f"{reply.code} {reply.enhanced} " if reply.enhanced else f"{reply.code} "
    return tuple(f"{lead}{line}".rstrip() for line in reply.lines)


def _remote_mta(verdict: Verdict) -> Domain | None:
    try:
        return parse_domain(verdict.host)
    except AddressError:
        return None  # an address literal, or our own mailboxes


def _returned(office: Office, msg: QueueMessage) -> bytes:
    """Return the whole message if the sender wants it back (RFC 3461 §4.3) and it can be read."""
    if msg.ret != "FULL" or msg.size > MAX_RETURNED_OCTETS:
        return b""
    try:
        return office.outgoing.wire(msg)
    except StoreError:
        return b""


def _header(office: Office, msg: QueueMessage) -> bytes:
    """Return the header section of the message, as far as its first piece has it."""
    try:
        start = next(office.outgoing.chunks(msg), b"")
    except StoreError:
        # The file is what cannot be read: the sender must hear of the failure all the same.
        start = msg.prefix
    return Headers(start.replace(b"\r\n", b"\n")).section.replace(b"\n", b"\r\n")
