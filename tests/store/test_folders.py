"""Mailboxes that are renamed, deleted and made again."""

from __future__ import annotations

import pytest

from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import (
    MailboxId,
    NewMessage,
)
from tests.store.mailboxes import (
    NOW,
    MakeSpool,
    append,
    root,
)


def test_rename_takes_children_along_and_keeps_uids(account: Account, spool: MakeSpool) -> None:
    account.create_mailbox("A/B")
    before = account.mailbox("A/B")
    assert before is not None
    account.append(before.id, [NewMessage(spool(), NOW)])
    account.rename_mailbox(account.mailbox("A").id, "X/Y")  # type: ignore[union-attr]
    after = account.mailbox("X/Y/B")
    assert after is not None
    assert (after.id, after.uidvalidity, after.messages) == (before.id, before.uidvalidity, 1)
    assert account.read(after.id, 1).data
    assert (root(account) / ".X.Y.B").is_dir()
    assert not (root(account) / ".A").exists()


def test_rename_below_itself(account: Account, spool: MakeSpool) -> None:
    account.create_mailbox("A")
    account.append(account.mailbox("A").id, [NewMessage(spool(), NOW)])  # type: ignore[union-attr]
    account.rename_mailbox(account.mailbox("A").id, "A/B/C")  # type: ignore[union-attr]
    assert account.mailbox("A/B/C").messages == 1  # type: ignore[union-attr]
    assert account.mailbox("A").messages == 0  # type: ignore[union-attr]


def test_renaming_inbox_moves_its_messages(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool, 2)
    account.rename_mailbox(inbox, "Old")
    assert list(account.uids(inbox)) == []
    assert account.mailbox("Old").messages == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("INBOX", ErrorKind.BAD_NAME), ("A", ErrorKind.HAS_CHILDREN)],
)
def test_mailboxes_that_cannot_be_deleted(account: Account, name: str, kind: ErrorKind) -> None:
    account.create_mailbox("A/B")
    with pytest.raises(StoreError) as caught:
        account.delete_mailbox(account.mailbox(name).id)  # type: ignore[union-attr]
    assert caught.value.kind is kind


def test_a_mailbox_made_again_has_another_uidvalidity(account: Account, spool: MakeSpool) -> None:
    (first,) = account.create_mailbox("A")
    account.append(first.id, [NewMessage(spool(), NOW)])
    account.delete_mailbox(first.id)
    assert account.mailbox("A") is None
    assert account.usage().messages == 0
    assert not (root(account) / ".A").exists()
    (second,) = account.create_mailbox("A")
    assert second.uidvalidity > first.uidvalidity
    assert second.messages == 0
