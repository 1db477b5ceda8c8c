"""Mailboxes with files of other programs, for the tests of what is done about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from mox.store import sync
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
