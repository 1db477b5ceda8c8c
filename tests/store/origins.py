"""Origins for tests, and whether the history of senders agrees with the messages."""

from __future__ import annotations

import lmdb

from mox.store import Store
from mox.store.account import Account
from mox.store.env import Databases
from mox.store.history_txn import (
    JUNK,
    KEY,
    LATEST,
    NOT_JUNK,
    identities,
)
from mox.store.model import M_FLAGS, M_KEYWORDS, M_RECEIVED, Delivered, MailboxId, Target
from mox.store.origin import JUNK_KEYWORDS, NOT_JUNK_KEYWORDS, Origin, digest
from mox.store.reading import range_items
from mox.store.records import HAS_ORIGIN, KEY_A, KEY_ORIGIN, ORIGIN
from mox.store.spool import Spool

NOW = 1_700_000_000
NETWORKS = (b"\0" * 16 + b"\x80", b"\0" * 16 + b"\x7a", b"\0" * 16 + b"\x75")


def origin_of(sender: str = "a@x.example", **fields: object) -> Origin:
    localpart, _, domain = sender.partition("@")
    known: dict[str, object] = {
        "remote_ip": "192.0.2.1",
        "networks": NETWORKS,
        "ehlo_domain": domain,
        "mail_from_localpart": localpart,
        "mail_from_domain": domain,
        "mail_from_validated": True,
        "from_localpart": localpart,
        "from_domain": domain,
        "from_org_domain": ".".join(domain.split(".")[-2:]),
        "from_validation": "strict",
        "dkim_domains": (domain,),
        "message_id": "<m@x.example>",
    }
    return Origin(**known | fields)  # type: ignore[arg-type]


def deliver_from(
    store: Store,
    spool: Spool,
    origin: Origin | None,
    *,
    account: str = "mjl",
    mailbox: str = "INBOX",
    destined: str = "",
    keywords: tuple[str, ...] = (),
    when: int = NOW,
    most: int = 0,
    once: bool = False,
) -> Delivered:
    target = Target(
        store.account(account),
        mailbox,
        b"",
        (when, 0),
        keywords=keywords,
        origin=origin,
        destined=destined,
        most=most,
        once=once,
    )
    (result,) = store.deliver([target], spool)
    if not isinstance(result, Delivered):
        raise result
    return result


def verdict_of(words: set[str]) -> bool | None:
    junk, wanted = bool(words & JUNK_KEYWORDS), bool(words & NOT_JUNK_KEYWORDS)
    return None if junk == wanted else junk


def origin_keys(txn: lmdb.Transaction, dbs: Databases, prefix: bytes = b"") -> list[bytes]:
    """Keys of all facts that are kept."""
    items = range_items(txn, dbs.file, prefix)
    return [bytes(key) for key, _ in items if len(key) == KEY_ORIGIN.size]


def check_history(store: Store, account: Account) -> int:
    """Fail where entries about verdicts differ from what messages and facts say; their number."""
    expected: dict[bytes, bytes] = {}
    with store.dbs.env.begin() as txn:
        kept = set(origin_keys(txn, store.dbs, KEY_A.pack(account.id)))
        entries = {
            bytes(key): bytes(value)[:1]
            for key, value in range_items(txn, store.dbs.history, KEY_A.pack(account.id))
            if value
        }
    found = set()
    for mailbox in account.mailboxes():
        for message in account.scan(mailbox.id):
            if not message[M_FLAGS] & HAS_ORIGIN:
                continue
            origin = account.history(None).origin(mailbox.id, message[0])
            assert origin is not None
            found.add(KEY_ORIGIN.pack(account.id, mailbox.id, message[0], ORIGIN))
            words = {
                w.lower() for i, w in enumerate(mailbox.keywords) if message[M_KEYWORDS] >> i & 1
            }
            verdict = verdict_of(words)
            if verdict is None:
                continue
            for kind, name in identities(origin):
                key = KEY.pack(
                    account.id,
                    origin.mailbox_orig,
                    kind,
                    digest(name),
                    LATEST - message[M_RECEIVED],
                    mailbox.id,
                    message[0],
                )
                expected[key] = JUNK if verdict else NOT_JUNK
    assert entries == expected
    assert kept == found, "facts without message"
    return len(entries)


def mailbox_id(account: Account, name: str) -> MailboxId:
    mailbox = account.mailbox(name)
    assert mailbox is not None
    return mailbox.id
