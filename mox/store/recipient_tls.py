"""What an account knows of the domains that it writes to: whether their servers take TLS.

For whoever composes a message: with REQUIRETLS it would not be delivered to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from mox.store.reading import lookup
from mox.store.records import KEY_A

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store


class RecipientTLS(msgspec.Struct, frozen=True, array_like=True):
    """As of the last delivery to a domain. `updated` is seconds since the epoch."""

    updated: float
    starttls: bool
    requiretls: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(RecipientTLS).decode


def get(store: Store, account_id: int, domain: str) -> RecipientTLS | None:
    """Return what is known about a domain (A-labels); None: nothing was delivered there yet."""
    with store.dbs.env.begin() as txn:
        value = lookup(txn, store.dbs.recipient_tls, KEY_A.pack(account_id) + domain.encode())
    return None if value is None else _decode(value)


def put(txn: WriteTxn, account_id: int, domain: str, known: RecipientTLS) -> None:
    key = KEY_A.pack(account_id) + domain.encode()
    txn.put(txn.dbs.recipient_tls, key, _encode(known))
