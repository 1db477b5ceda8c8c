"""Addresses that an account does not send to any more, because mail to them failed for good.

An address counts in its base form: without what comes after `+` or `-` in the localpart, without
dots, in lower case. Who went on sending there would soon be taken for a spammer.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from mox.address import Path
from mox.errors import UserError
from mox.store.outgoing_records import QueueAddress
from mox.store.records import KEY_A

if TYPE_CHECKING:
    from mox.store import Store
    from mox.store.committer import WriteTxn

FROM_QUEUE: Final = "queue"
FROM_DSN: Final = "DSN"

_ID: Final = struct.Struct(">Q")
_LAST_ID_KEY: Final = b"suppression_id"
# LMDB's keys have at most 511 octets: of longer addresses the end is hashed.
_KEY_OCTETS: Final = 480

# RFC 5321 §4.2.2: no such mailbox, not here, does not take mail (521, 556: RFC 7504).
_CODES: Final = frozenset((521, 550, 551, 553, 556))
# RFC 3463 §3.2, §3.3, §3.8: bad mailbox or domain, moved, disabled, not authorized.
_SECODES: Final = frozenset(("1.1", "1.2", "1.3", "1.6", "2.1", "7.1"))
# RFC 3463 §3.4, §3.7: 550 about a message's size or content says nothing about the address.
_ABOUT_CONTENT: Final = ("6.", "3.4")


class Suppression(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One address of an account's list. `created` is seconds since the epoch."""

    id: int = 0
    created: float
    base_address: str
    original_address: str
    manual: bool
    reason: str


class AlreadySuppressed(UserError):
    """The list has the base address."""


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Suppression).decode


def base_address(path: Path) -> str:
    """Return the form in which addresses are compared, with the domain in Unicode."""
    base = path.localpart.partition("+")[0].partition("-")[0].replace(".", "").lower()
    return str(Path(base, path.domain)) if base else f'""@{str(Path("x", path.domain))[2:]}'


def is_about_address(code: int, secode: str) -> bool:
    """Say whether a failure means that the address takes no mail."""
    if code in _CODES:
        return not secode.startswith(_ABOUT_CONTENT)
    return 500 <= code <= 599 and secode in _SECODES


# ---- looking


def of_account(store: Store, account_id: int) -> list[Suppression]:
    """Return an account's list in the order of base addresses."""
    prefix = KEY_A.pack(account_id)
    found = []
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.suppression) as cursor:
        there = cursor.set_range(prefix)
        while there and bytes(cursor.key()).startswith(prefix):
            found.append(_decode(cursor.value()))
            there = cursor.next()
    return found


def lookup(store: Store, account_id: int, path: Path) -> Suppression | None:
    """Return the entry for an address, found by its base form."""
    with store.dbs.env.begin() as txn:
        value = txn.get(_key(account_id, base_address(path)), db=store.dbs.suppression)
    return None if value is None else _decode(value)


def is_empty(store: Store) -> bool:
    """Say whether no account has a list."""
    with store.dbs.env.begin() as txn:
        entries: int = txn.stat(store.dbs.suppression)["entries"]
    return entries == 0


# ---- changing


def add(
    store: Store, account_id: int, path: Path, now: float, *, manual: bool, reason: str
) -> None:
    """Add an address. Raises AlreadySuppressed."""
    entry = _entry(path, now, manual=manual, reason=reason)
    if not store.write(lambda txn: _put(txn, account_id, entry)):
        raise AlreadySuppressed(f"{entry.base_address} is on the suppression list already")


def remove(store: Store, account_id: int, path: Path) -> bool:
    """Remove an address; false when its base form is not on the list."""
    key = _key(account_id, base_address(path))

    def run(txn: WriteTxn) -> bool:
        found = txn.get(txn.dbs.suppression, key) is not None
        if found:
            txn.delete(txn.dbs.suppression, key)
        return found

    return store.write(run)


def note_failure(
    txn: WriteTxn,
    account_name: str,
    recipient: QueueAddress,
    *,
    code: int,
    secode: str,
    source: str,
    now: float,
    in_a_row: bool,
) -> bool:
    """Take an address on after a failure that other servers told us of, if it is to be.

    `in_a_row`: the two messages before failed, too. Returns whether it is on the list only now.
    """
    account_key = txn.get(txn.dbs.account_name, account_name.encode())
    if code == 0 or account_key is None:
        return False
    if is_about_address(code, secode):
        details = f'smtp code {code}, enhanced code "{secode}"'
        reason = f"delivery failure from {source} with {details}"
    elif in_a_row:
        reason = f"delivery failure from {source} and three consecutive failures"
    else:
        return False
    entry = _entry(recipient.path(), now, manual=False, reason=reason)
    return _put(txn, KEY_A.unpack(account_key)[0], entry)


def _entry(path: Path, now: float, *, manual: bool, reason: str) -> Suppression:
    return Suppression(
        created=now,
        base_address=base_address(path),
        original_address=str(path),
        manual=manual,
        reason=reason,
    )


def _put(txn: WriteTxn, account_id: int, entry: Suppression) -> bool:
    key = _key(account_id, entry.base_address)
    if txn.get(txn.dbs.suppression, key) is not None:
        return False
    last = txn.get(txn.dbs.meta, _LAST_ID_KEY)
    id = (_ID.unpack(last)[0] if last else 0) + 1
    txn.put(txn.dbs.suppression, key, _encode(structs.replace(entry, id=id)))
    txn.put(txn.dbs.meta, _LAST_ID_KEY, _ID.pack(id))
    return True


def _key(account_id: int, base: str) -> bytes:
    octets = base.encode()
    if len(octets) > _KEY_OCTETS:
        digest = hashlib.blake2b(octets, digest_size=16).digest()
        octets = octets[: _KEY_OCTETS - len(digest)] + digest
    return KEY_A.pack(account_id) + octets
