"""Keys of subjectpass tokens: one for each recipient address of an account."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from mox.junk.subjectpass import KEY_ALPHABET, KEY_OCTETS
from mox.store.reading import lookup
from mox.store.records import KEY_A

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn

# LMDB's keys have 511 octets at most; an address that is longer is hashed.
_MAX_ADDRESS = 500


def passkey(account: Account, address: str) -> bytes:
    """The key for a canonical address; made and durable at first use.

    Raises StoreError when it has to be made and cannot be.
    """
    name = address.encode("utf-8", "replace")
    if len(name) > _MAX_ADDRESS:
        name = hashlib.sha256(name).digest()
    index_key = KEY_A.pack(account.id) + name
    dbs = account.store.dbs
    with dbs.env.begin() as txn:
        found = lookup(txn, dbs.subjectpass, index_key)
    if found is not None:
        return found
    fresh = "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_OCTETS)).encode()

    def change(write: WriteTxn) -> bytes:
        known = write.get(write.dbs.subjectpass, index_key)
        if known is None:
            write.put(write.dbs.subjectpass, index_key, fresh)
        return known or fresh

    return account.store.write(change)
