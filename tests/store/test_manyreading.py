"""Reading many messages: what is cached at once, the rest on a thread, and what is not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

import pytest

from mox.store import Store, manyreading
from mox.store.account import Account
from mox.store.model import MailboxId, MessageTuple, NewMessage, StoredMessage
from mox.store.pool import BlockingPool
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
CONTENTS = [
    b"Subject: small\r\n\r\n",
    b"Subject: with text\r\n\r\n" + b"line\r\n" * 3000,
    b"X-Long: " + b"x" * 10_000 + b"\r\n\r\ntext\r\n",
    b"Subject: large\r\n\r\n" + b"line\r\n" * 100_000,
    b"no header end",
]


@pytest.fixture
def filled(store: Store, spool: MakeSpool) -> tuple[Account, MailboxId]:
    account = store.account("mjl")
    inbox = account.mailbox_id("INBOX")
    assert inbox is not None
    account.append(inbox, [NewMessage(spool(each), (0, 0)) for each in CONTENTS])
    return account, inbox


def messages_of(account: Account, mailbox_id: MailboxId) -> list[MessageTuple]:
    return list(account.scan(mailbox_id))


def wire(stored: StoredMessage | None) -> bytes | None:
    if stored is None:
        return None
    return stored.data if stored.wire else stored.data.replace(b"\n", b"\r\n")


def test_messages_are_read_whole_in_order(filled: tuple[Account, MailboxId]) -> None:
    account, inbox = filled
    found = [wire(each) for each in account.read_many(inbox, messages_of(account, inbox))]
    assert found == [*CONTENTS[:3], None, CONTENTS[4]]  # large ones are for Account.read


def test_heads_have_the_header_section_at_least(filled: tuple[Account, MailboxId]) -> None:
    account, inbox = filled
    found = list(account.read_many(inbox, messages_of(account, inbox), head=True))
    for stored, content in zip(found[:2], CONTENTS[:2], strict=True):
        octets = wire(stored)
        assert octets is not None
        assert content.startswith(octets)
        assert b"\r\n\r\n" in octets
    assert found[2] is None
    assert found[3] is not None
    assert len(found[3].data) < 10_000
    assert found[4] is None


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_what_is_not_cached_is_read_on_a_thread(
    filled: tuple[Account, MailboxId], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    account, inbox = filled
    hops = []
    apply = BlockingPool.apply

    def refuse(fd: int, buffers: Sequence[bytearray], offset: int, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    def counted(*args: object) -> object:
        hops.append(args)
        return apply(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(manyreading.os, "preadv", refuse)
    monkeypatch.setattr(BlockingPool, "apply", counted)
    found = [wire(each) for each in account.read_many(inbox, messages_of(account, inbox))]
    assert found == [*CONTENTS[:3], None, CONTENTS[4]]
    assert len(hops) == 1


def test_what_is_cached_in_part_is_read_on_a_thread(
    filled: tuple[Account, MailboxId], monkeypatch: pytest.MonkeyPatch
) -> None:
    account, inbox = filled

    def part(fd: int, buffers: Sequence[bytearray], offset: int, flags: int) -> int:
        data = os.pread(fd, 10, offset)
        buffers[0][: len(data)] = data
        return len(data)

    monkeypatch.setattr(manyreading.os, "preadv", part)
    found = [wire(each) for each in account.read_many(inbox, messages_of(account, inbox))]
    assert found == [*CONTENTS[:3], None, CONTENTS[4]]


def test_files_that_are_not_as_recorded_are_left_to_read(
    filled: tuple[Account, MailboxId],
) -> None:
    account, inbox = filled
    messages = messages_of(account, inbox)
    directory = account.directory(inbox)
    first, second = (f"{directory}/{account.path(inbox, uid)}" for uid in (1, 2))
    os.unlink(first)
    with open(second, "ab") as file:
        file.write(b"more\n")
    found = [wire(each) for each in account.read_many(inbox, messages)]
    assert found == [None, None, CONTENTS[2], None, CONTENTS[4]]
    assert account.read(inbox, 2).data.endswith(b"more\n")


def test_a_mailbox_that_is_gone_has_nothing(filled: tuple[Account, MailboxId]) -> None:
    account, inbox = filled
    messages = messages_of(account, inbox)
    other = account.create_mailbox("Other")[0].id
    account.delete_mailbox(other)
    assert list(account.read_many(other, messages)) == [None] * len(messages)
