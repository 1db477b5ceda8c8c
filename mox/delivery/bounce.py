"""The notification to a sender of another server: what we took for some recipients only (RFC 3464).

Also of success, where it wants to hear of that (RFC 3461).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.address import NULL_PATH, Address, Domain, Path, parse_domain
from mox.delivery.arrival import Arrival, Outcome
from mox.delivery.headers import Headers
from mox.delivery.signing import Signed, signed
from mox.delivery.submit import Recipient, Submission, submit
from mox.mailauth.content import SignedContent
from mox.message import dsn
from mox.message.ids import message_id, parse_message_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mox.config import Config
    from mox.store import Store

FAILED = "mail delivery failure"
DELIVERED = "mail delivered"
# RFC 3461 §6.2: a message that is returned with RET=FULL; of larger ones only the header is.
MAX_RETURNED_OCTETS = 1 << 20


def tell_sender(
    store: Store, config: Config, arrival: Arrival, outcomes: Sequence[Outcome]
) -> None:
    """Queue one DSN about these recipients. Raises StoreError.

    The caller sees to it that the reverse path is not null (RFC 5321 §6.1: no DSN for a DSN).
    """
    notification = _notification(config, arrival, outcomes)
    queue_notification(store, config, notification, utf8=arrival.received.smtputf8)


def queue_notification(
    store: Store,
    config: Config,
    notification: dsn.Dsn,
    *,
    utf8: bool,
    now: float | None = None,
) -> None:
    """Queue a DSN; `utf8`: with a form for servers that take that. Raises StoreError."""
    octets = dsn.compose(notification)
    signatures = _signatures(config, notification, octets)
    dsn_utf8 = b""
    if utf8:
        dsn_utf8 = dsn.compose(notification, utf8=True)
        dsn_utf8 = _signatures(config, notification, dsn_utf8).fields + dsn_utf8
    to = notification.mail_to
    path = to if isinstance(to, Path) else Path(to.localpart, to.domain)
    with store.spool() as spool:
        spool.write(octets)
        submit(
            store,
            Submission(
                account=config.static.postmaster.account,
                recipients=[Recipient(path, NULL_PATH)],
                spool=spool,
                prefix=signatures.fields,
                message_id=f"<{notification.message_id}>",
                subject=notification.subject,
                has_8bit=not octets.isascii(),
                smtputf8=False,
                dsn_utf8=dsn_utf8,
                signed_with=signatures.kinds,
            ),
            now,
        )


def _signatures(config: Config, notification: dsn.Dsn, octets: bytes) -> Signed:
    return signed(config, SignedContent(octets, wire=True), notification.mail_from)


def _notification(config: Config, arrival: Arrival, outcomes: Sequence[Outcome]) -> dsn.Dsn:
    hostname = parse_domain(config.static.hostname)
    headers = Headers(arrival.spool.octets())
    facts = arrival.received
    first = outcomes[0].recipient.path.domain
    has_failed = any(outcome.reply is not None for outcome in outcomes)
    helo = facts.helo if isinstance(facts.helo, Domain) else facts.remote_ip
    return dsn.Dsn(
        mail_from=Address("postmaster", first if isinstance(first, Domain) else hostname),
        mail_to=arrival.reverse_path,
        subject=FAILED if has_failed else DELIVERED,
        message_id=message_id(hostname),
        date=facts.when,
        references=parse_message_id(headers.first(b"message-id")),
        reporting_mta=hostname,
        received_from=helo,
        received_from_ip=facts.remote_ip,
        arrival=facts.when,
        recipients=tuple(_recipient(outcome) for outcome in outcomes),
        original_header=headers.section.replace(b"\n", b"\r\n"),
        original=_returned(arrival) if has_failed else b"",
        envelope_id=arrival.envid,
    )


def _returned(arrival: Arrival) -> bytes:
    """Return the whole message if the sender wants it back (RFC 3461 §4.3)."""
    if arrival.ret != "FULL" or arrival.spool.size > MAX_RETURNED_OCTETS:
        return b""
    return bytes(arrival.spool.stored()).replace(b"\n", b"\r\n")


def _recipient(outcome: Outcome) -> dsn.Recipient:
    reply, recipient = outcome.reply, outcome.recipient
    if reply is None:
        return dsn.Recipient(
            address=recipient.path,
            action=dsn.Action.DELIVERED,
            status="2.0.0",
            original=recipient.request.orcpt,
        )
    return dsn.Recipient(
        address=recipient.path,
        action=dsn.Action.FAILED,
        original=recipient.request.orcpt,
        status=reply.enhanced or f"{reply.code // 100}.0.0",
        error=" ".join(reply.lines),
    )
