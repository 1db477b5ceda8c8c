"""Mailboxes, files of other programs in them, and what happens at a bad moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from mox.store import Store, sync
from mox.store.account import Account
from mox.store.model import (
    FLAG_MASK,
    M_EMAIL_ID,
    M_FLAGS,
    MailboxId,
    NewMessage,
)
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
NOW = (1_700_000_000, 0)


def root(account: Account) -> Path:
    return account.base / "Maildir"


def drop(account: Account, path: str, content: bytes = b"Subject: dropped\n\nhi\n") -> Path:
    tmp = root(account) / "tmp" / "dropped"
    tmp.write_bytes(content)
    target = root(account) / path
    tmp.rename(target)
    return target


def append(account: Account, inbox: MailboxId, spool: MakeSpool, count: int = 1) -> None:
    account.append(inbox, [NewMessage(spool(), NOW) for _ in range(count)])


def flags(account: Account, inbox: MailboxId, uid: int) -> int:
    message = account.message(inbox, uid)
    assert message is not None
    return message[M_FLAGS] & FLAG_MASK


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        gevent.sleep(0.02)


def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The mailboxes that are compared in full from now on."""
    seen: list[int] = []
    real = sync.compare_all

    def counted(account: Account, mailbox_id: MailboxId, *rest: Any) -> bool:
        seen.append(mailbox_id)
        return real(account, mailbox_id, *rest)

    monkeypatch.setattr(sync, "compare_all", counted)
    return seen


def overview_of(account: Account, mailbox_id: MailboxId, uid: int) -> tuple[bytes, bytes]:
    message = account.message(mailbox_id, uid)
    assert message is not None
    (found,) = account.overviews([message[M_EMAIL_ID]])
    assert found is not None
    return found


def mailbox_id(account: Account, name: str) -> MailboxId:
    mailbox = account.mailbox(name)
    assert mailbox is not None, name
    return mailbox.id


def fill(account: Account, name: str, spool: MakeSpool, count: int = 1) -> MailboxId:
    if account.mailbox(name) is None:
        account.create_mailbox(name)
    target = mailbox_id(account, name)
    account.append(target, [NewMessage(spool(), NOW) for _ in range(count)])
    return target


class Crash(BaseException):
    pass


class BeforeWrite:
    """Runs something just before the nth call of committer.write."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, nth: int = 1) -> None:
        self.real = store.committer.write
        self.calls = 0
        self.nth = nth
        self.action: Callable[[], object] = lambda: None
        monkeypatch.setattr(store.committer, "write", self)

    def __call__(self, fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == self.nth:
            self.action()
        return self.real(fn, files, prepare)
