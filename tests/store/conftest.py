"""A store in a directory of its own, in the test's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mox.store import Store, open_store
from mox.store.account import Account
from mox.store.model import MailboxId
from mox.store.spool import Spool


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def spool(store: Store) -> Callable[..., Spool]:
    """Make a spool of a message in wire form."""

    def make(content: bytes = b"Subject: hello\r\n\r\nbody\r\n") -> Spool:
        result = store.spool()
        result.write(content)
        return result

    return make


@pytest.fixture
def account(store: Store) -> Account:
    return store.account("mjl")


@pytest.fixture
def inbox(account: Account) -> MailboxId:
    mailbox = account.mailbox("INBOX")
    assert mailbox is not None
    return mailbox.id
