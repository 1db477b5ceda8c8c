"""The one LMDB environment: its databases and how it is opened.

Key parts are big-endian: a = account u32, m = mailbox u32, u = uid u32, q = modseq u64,
e = email id u64.
Opened after fork and once per process (LMDB allows neither otherwise).
"""

from __future__ import annotations

import os
from pathlib import Path

import lmdb

from mox.store.durable import space_error
from mox.store.errors import ErrorKind, StoreError

# One large constant: growing it later, while others hold the old size, is what LMDB is bad at.
# The file is sparse and takes only what is used.
MAP_SIZE = 64 << 30
MAX_READERS = 1024
_CACHE_LINE = 64
SCHEMA_VERSION = b"5"

# name: what a key looks like → what the value is
DATABASES = {
    "meta": "text → bytes",
    "account": "a → records.AccountRecord",
    "account_name": "name → a",
    "tls_key": "fingerprint → tlskeys.TlsKey",
    "credentials": "a → credentials record",
    "mailbox": "a m → records.MailboxRecord",
    "mailbox_name": "a name → m",
    "state": "see records.KEY_LOG → changes, and counters, of an account and its mailboxes",
    "subscription": "a name → empty",
    "message": "a m → one fixed-size duplicate per message, sorted by uid",
    "file": "a m u → path below the mailbox directory; records.KEY_ORIGIN → where it came from",
    "base": "a m base-name → u, or u and 'x' for an expunged one whose file may still be there",
    "content": "see records.KEY_CONTENT → what is the same for all copies of a message",
    "mirror": "a m u → lines of letters: flags that the file's name does not show yet",
    "history": "see history_txn.KEY → verdict of a user about a message",
    "arrivals": "a, day u32, network → arrivals.COUNTERS",
    "expunged": "a m u → records.ExpungedRecord, kept a while for sessions that still show it",
    "annotation": "a m entry → annotations.Annotation; m 0 for those of the whole account",
    "vanished": "a m q → uid ranges",
    "removal": "a m q → empty: a removal of messages whose files may still be there",
    "touched": "u64 → accounts changed by that commit",
    "journal": "seq → content of a message whose file may not be durable yet, see journal",
    "intent": "a m → records.Intent: a directory operation that a crash may have cut short",
    "place": "a e m u → empty: messages with this email id that did not get it there",
    "queue": "message id u64 → outgoing record",
    "queue_due": "hash of a flow, next attempt u64, id → id of the submission u64, flow",
    "queue_file": "name of a content, id → empty",
    "queue_content": "name → octets of a submission in stored form; larger ones are files",
    "queue_from_id": "unique id in an envelope sender → id",
    "hold_rule": "id u64 → hold_rules.HoldRule",
    "hook": "webhook id u64 → hook_records.Hook",
    "hook_body": "id → body of the call, of live and retired webhooks",
    "hook_due": "hash of a URL, next attempt u64, id → empty",
    "hook_msg": "id of a message in `queue` → id of the live webhook about it",
    "hook_retired": "id → hook_records.RetiredHook",
    "hook_until": "time u64, id → empty: how long retired webhooks are kept",
    "retired": "id → outgoing record",
    "retired_ref": "see retired_references → empty",
    "retired_to": "see retired_recipients → whether the message arrived",
    "retired_until": "time u64, id → empty",
    "text": "a e → texts.pack_text: what SEARCH looks at, of all copies of a message",
    "text_mark": "a m → uid up to which the mailbox's messages are in `text`",
    "thread": "a, hash of a message id and a base subject → thread id u64",
    "sent_log": "a, time u64, n → recipient",
    "sent_to": "a, recipient → time u64 of the first message",
    "junk_state": "a → words.JunkState: totals of the content filter",
    "word": "a token → ham u32, spam u32: trained messages with that token",
    "trained": "a m u → words.Trained: as what a message was trained, and its tokens",
    "training": "a m u → empty: messages whose trained state may differ from the wanted one",
    "subjectpass": "a address → key of subjectpass tokens for that recipient",
    "suppression": "a, base address → suppressions.Suppression",
    "sts_policy": "domain → tlspolicy.stscache.CachedPolicy",
    "tls_result": "day, hash of policy domain and recipient domain → tls_results.TLSResultRecord",
    "dmarc_evaluation": "hash of policy domain → evaluations.Head; hash, time u64, … → evaluation",
    "idempotency": "a, hash of a client's key → idempotency.Answer",
    "idempotency_until": "time u64, key of `idempotency` → empty",
    "recipient_tls": "a domain → recipient_tls.RecipientTLS",
}


class Databases:
    """Handles of all named databases of an open environment."""

    __slots__ = ("env", "handles", *DATABASES)

    account: lmdb._Database
    annotation: lmdb._Database
    account_name: lmdb._Database
    arrivals: lmdb._Database
    base: lmdb._Database
    content: lmdb._Database
    credentials: lmdb._Database
    dmarc_evaluation: lmdb._Database
    expunged: lmdb._Database
    file: lmdb._Database
    history: lmdb._Database
    hold_rule: lmdb._Database
    hook: lmdb._Database
    hook_body: lmdb._Database
    hook_due: lmdb._Database
    hook_msg: lmdb._Database
    hook_retired: lmdb._Database
    hook_until: lmdb._Database
    idempotency: lmdb._Database
    idempotency_until: lmdb._Database
    intent: lmdb._Database
    journal: lmdb._Database
    junk_state: lmdb._Database
    mailbox: lmdb._Database
    mailbox_name: lmdb._Database
    message: lmdb._Database
    meta: lmdb._Database
    mirror: lmdb._Database
    place: lmdb._Database
    queue: lmdb._Database
    queue_content: lmdb._Database
    queue_due: lmdb._Database
    queue_file: lmdb._Database
    queue_from_id: lmdb._Database
    recipient_tls: lmdb._Database
    removal: lmdb._Database
    retired: lmdb._Database
    retired_ref: lmdb._Database
    retired_to: lmdb._Database
    retired_until: lmdb._Database
    sent_log: lmdb._Database
    sent_to: lmdb._Database
    state: lmdb._Database
    subjectpass: lmdb._Database
    sts_policy: lmdb._Database
    subscription: lmdb._Database
    suppression: lmdb._Database
    tls_result: lmdb._Database
    text: lmdb._Database
    text_mark: lmdb._Database
    thread: lmdb._Database
    tls_key: lmdb._Database
    touched: lmdb._Database
    trained: lmdb._Database
    training: lmdb._Database
    vanished: lmdb._Database
    word: lmdb._Database

    def __init__(self, env: lmdb.Environment) -> None:
        self.env = env
        for name in DATABASES:
            fixed = name == "message"
            setattr(self, name, env.open_db(name.encode(), dupsort=fixed, dupfixed=fixed))


def open_environment(index_dir: Path, *, lazy: bool = False) -> Databases:
    """Open (create) the environment in `index_dir`.

    `lazy`: a commit of this process may be undone by a crash of the machine until the next commit
    of any process, or until `env.sync(True)`; the index stays whole (LMDB's MDB_NOMETASYNC). It
    waits for the disk once instead of twice.

    Raises StoreError when it cannot be used, with what to do in its detail. May block: another
    process that creates it at the same moment holds the write lock for a few milliseconds.
    """
    try:
        index_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        reserve_lock_file(index_dir)
    except OSError as e:
        raise space_error(e, os.fspath(index_dir)) from e
    try:
        env = lmdb.open(
            os.fspath(index_dir),
            map_size=MAP_SIZE,
            max_dbs=len(DATABASES) + 8,
            max_readers=MAX_READERS,
            mode=0o600,
            metasync=not lazy,
        )
        databases = Databases(env)
        _check_version(databases)
    except lmdb.Error as e:
        advice = "check owner, free space and the file system of the index directory"
        raise StoreError(ErrorKind.INTERNAL, f"cannot open {index_dir}: {e}", advice) from e
    return databases


def reserve_lock_file(directory: Path) -> None:
    """Give the file that LMDB's processes share in memory all its blocks now.

    A reader that needs a new page of it on a full disk would be killed by SIGBUS.
    """
    fd = os.open(directory / "lock.mdb", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # A header of at most two cache lines, and one line for each reader.
        os.posix_fallocate(fd, 0, (MAX_READERS + 2) * _CACHE_LINE)
    finally:
        os.close(fd)


def check_format(index_dir: Path) -> None:
    """See whether this program can use the index, if there is one. Blocks; changes no file.

    Raises StoreError when another version of mox made it.
    """
    if not (index_dir / "data.mdb").exists():
        return
    try:
        # Without lock, as that would make files that belong to whoever asks. A server that runs
        # may write what we read, but this key does not change.
        env = lmdb.open(os.fspath(index_dir), max_dbs=1, readonly=True, lock=False)
    except lmdb.Error as e:
        advice = "check owner and mode of the index directory"
        raise StoreError(ErrorKind.INTERNAL, f"cannot open {index_dir}: {e}", advice) from e
    try:
        meta = env.open_db(b"meta", create=False)
        with env.begin() as txn:
            _refuse_other(txn.get(b"version", db=meta))
    except lmdb.NotFoundError:
        return  # made, and nothing written yet
    finally:
        env.close()


def _check_version(dbs: Databases) -> None:
    with dbs.env.begin() as txn:
        version = txn.get(b"version", db=dbs.meta)
    if version is not None:
        _refuse_other(version)
        return
    with dbs.env.begin(write=True) as txn:
        txn.put(b"version", SCHEMA_VERSION, db=dbs.meta, overwrite=False)


def _refuse_other(version: bytes | None) -> None:
    if version not in (None, SCHEMA_VERSION):
        text = f"index has format {version!r}, this program reads {SCHEMA_VERSION!r}"
        raise StoreError(ErrorKind.INTERNAL, text, "use the matching version of mox")
