"""Accounts on disk: Maildir files beside one LMDB index.

What is answered with OK is durable: file, directory entry and index entry, in this order
(docs/architecture.md, "Durability"). The index is the truth for UIDs, modseqs and flags; the
Maildir is enough to rebuild it. Use::

    store = open_store(Path("/var/lib/mox/data"))
    account = store.account("mjl")
    spool = store.spool()
    spool.write(b"Subject: hello\\r\\n\\r\\nhi\\r\\n")
    store.deliver([Target(account, "INBOX", b"", received=(1700000000, 0))], spool)

Writing calls wait, cooperatively under gevent, until the change is durable; reading calls are
short and run where they are called. Nothing here knows protocols or configuration.
"""

from mox.store.store import Store, open_store

__all__ = ["Store", "open_store"]
