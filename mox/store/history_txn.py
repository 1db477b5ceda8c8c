"""Keeping the history of senders in step with messages: inside the write transaction.

Only messages that the user has judged (exactly one of $Junk and $NotJunk) stand in the index
that questions scan, so unread mail in any number costs them nothing. The entries follow the
message's keywords because every change of a record passes `MailboxTxn.replace` and `remove`.

RFC 9051 §2.3.2 has the keywords; with both or none a message says nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from mox.mailauth.suffixes import organizational_domain
from mox.message import envelopereading
from mox.store import records
from mox.store.model import M_KEYWORDS, M_RECEIVED, MessageTuple
from mox.store.origin import (
    Kind,
    Origin,
    SentTo,
    address_name,
    decode_origin,
    digest,
    encode_origin,
)
from mox.store.records import KEY_ORIGIN, ORIGIN

if TYPE_CHECKING:
    from mox.store.account_txn import AccountTxn, MailboxTxn

# account, mailbox first delivered to (0 for recipients), kind (with VALIDATED), digest of the
# name, time counted down so that the newest comes first, mailbox and uid of the message.
KEY: Final = struct.Struct(">IIB12sIII")
PREFIX: Final = struct.Struct(">IIB12s")
VALIDATED: Final = 0x80
LATEST: Final = 0xFFFFFFFF

# Value of an entry: the verdict, then a digest of the From localpart where one counts them.
JUNK: Final = b"\x01"
NOT_JUNK: Final = b"\x00"
LOCALPART_OCTETS: Final = 8

# Recipients of one sent message that are remembered.
MAX_SENT_TO: Final = 1000
# Signing domains of one message that history is kept for.
MAX_DKIM_DOMAINS: Final = 10


def put(mailbox: MailboxTxn, message: MessageTuple, origin: Origin) -> None:
    """Keep the facts of a message that has its record (with HAS_ORIGIN), and its entries."""
    write = mailbox.account.write
    write.put(write.dbs.file, _origin_key(mailbox, message[0]), encode_origin(origin))
    for entry in _lasting(mailbox, message, origin):
        write.put(write.dbs.history, entry, b"")
    verdict = mailbox.verdict(message[M_KEYWORDS])
    if verdict is not None:
        _put_verdict(mailbox, message, origin, verdict)


def get(mailbox: MailboxTxn, uid: int) -> Origin | None:
    """Return the facts of a message."""
    write = mailbox.account.write
    value = write.get(write.dbs.file, _origin_key(mailbox, uid))
    return None if value is None else decode_origin(value)


def _origin_key(mailbox: MailboxTxn, uid: int) -> bytes:
    return KEY_ORIGIN.pack(mailbox.account.id, mailbox.id, uid, ORIGIN)


def reclassify(mailbox: MailboxTxn, old: MessageTuple, new: MessageTuple) -> None:
    """Follow a change of the verdict. Other changes cost nothing but the comparison."""
    before, after = mailbox.verdict(old[M_KEYWORDS]), mailbox.verdict(new[M_KEYWORDS])
    if before == after:
        return
    origin = get(mailbox, new[0])
    if origin is None:
        return
    if after is None:
        _delete_verdict(mailbox, old, origin)
    else:
        _put_verdict(mailbox, new, origin, after)


def remove(mailbox: MailboxTxn, message: MessageTuple) -> None:
    """Forget a message that leaves the mailbox."""
    origin = get(mailbox, message[0])
    if origin is None:
        return
    write = mailbox.account.write
    write.delete(write.dbs.file, _origin_key(mailbox, message[0]))
    for entry in _lasting(mailbox, message, origin):
        write.delete(write.dbs.history, entry)
    if mailbox.verdict(message[M_KEYWORDS]) is not None:
        _delete_verdict(mailbox, message, origin)


def sent_message(overview: bytes, origin: Origin | None) -> Origin | None:
    """Add whom a message was sent to, as it comes into the Sent mailbox."""
    envelope, _ = records.unpack_overview(overview)
    addresses = envelopereading.recipients(envelope, MAX_SENT_TO)
    if not addresses:
        return origin
    date = envelopereading.sent(envelope)
    sent_to = tuple(
        SentTo(
            address.localpart,
            address.domain.unicode,
            organizational_domain(address.domain).unicode,
        )
        for address in addresses
    )
    return msgspec.structs.replace(origin or Origin(), sent_to=sent_to, sent=date[0] if date else 0)


# ---- entries


def _put_verdict(mailbox: MailboxTxn, message: MessageTuple, origin: Origin, is_junk: bool) -> None:
    write = mailbox.account.write
    value = JUNK if is_junk else NOT_JUNK
    localpart = digest(origin.from_localpart.lower().encode())[:LOCALPART_OCTETS]
    for kind, name in identities(origin):
        key = _key(mailbox, message, origin.mailbox_orig, kind, name)
        counts = kind & ~VALIDATED in (Kind.FROM_DOMAIN, Kind.FROM_ORG_DOMAIN)
        write.put(write.dbs.history, key, value + localpart if counts else value)


def _delete_verdict(mailbox: MailboxTxn, message: MessageTuple, origin: Origin) -> None:
    write = mailbox.account.write
    for kind, name in identities(origin):
        key = _key(mailbox, message, origin.mailbox_orig, kind, name)
        write.delete(write.dbs.history, key)


def identities(origin: Origin) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, name) of everything that a judged message says something about."""
    validated = VALIDATED if origin.from_validated else 0
    if origin.from_domain:
        yield (
            Kind.FROM_ADDRESS | validated,
            address_name(origin.from_localpart, origin.from_domain).encode(),
        )
        yield Kind.FROM_DOMAIN | validated, origin.from_domain.encode()
        yield Kind.FROM_ORG_DOMAIN | validated, origin.from_org_domain.encode()
    for domain in origin.dkim_domains[:MAX_DKIM_DOMAINS]:
        yield Kind.DKIM_DOMAIN, domain.encode()
    if origin.mail_from_validated and origin.mail_from_domain:
        yield (
            Kind.MAIL_FROM_ADDRESS,
            address_name(origin.mail_from_localpart, origin.mail_from_domain).encode(),
        )
        yield Kind.MAIL_FROM_DOMAIN, origin.mail_from_domain.encode()
    if origin.ehlo_validated and origin.ehlo_domain:
        yield Kind.EHLO_DOMAIN, origin.ehlo_domain.encode()
    for network in origin.networks:
        yield Kind.NETWORK, network


def _lasting(mailbox: MailboxTxn, message: MessageTuple, origin: Origin) -> Iterator[bytes]:
    """Yield the keys that do not depend on a verdict: of rejects, and of recipients."""
    if origin.is_reject:
        if origin.message_id:
            yield _key(mailbox, message, mailbox.id, Kind.REJECTED_ID, origin.message_id.encode())
        yield _key(mailbox, message, mailbox.id, Kind.REJECTED_CONTENT, origin.content_hash)
    when = origin.sent or message[M_RECEIVED]
    names: set[tuple[Kind, str]] = set()
    for to in origin.sent_to:
        names.add((Kind.SENT_ADDRESS, address_name(to.localpart, to.domain)))
        names.add((Kind.SENT_DOMAIN, to.domain))
        names.add((Kind.SENT_ORG_DOMAIN, to.org_domain))
    for kind, name in names:
        yield _key(mailbox, message, 0, kind, name.encode(), when)


def _key(
    mailbox: MailboxTxn,
    message: MessageTuple,
    mailbox_orig: int,
    kind: int,
    name: bytes,
    when: int | None = None,
) -> bytes:
    when = message[M_RECEIVED] if when is None else when
    account: AccountTxn = mailbox.account
    down = LATEST - min(max(when, 0), LATEST)
    return KEY.pack(account.id, mailbox_orig, kind, digest(name), down, mailbox.id, message[0])
