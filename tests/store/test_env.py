"""How records are laid out over the pages of the index, which is what a commit writes."""

from __future__ import annotations

from collections.abc import Callable

from mox.store import Store
from mox.store.account import Account
from mox.store.model import NewMessage
from mox.store.reading import mailbox_states
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]


def test_the_names_of_all_databases_fit_in_one_page(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    inbox = account.mailbox_id("INBOX")
    assert inbox is not None
    account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])
    with store.dbs.env.begin() as txn:
        # Every commit writes the page that has them; with a second one it would write three.
        assert txn.stat()["depth"] == 1


def test_counters_of_accounts_are_told_apart_from_their_logs(
    store: Store, spool: MakeSpool
) -> None:
    def fill(name: str, messages: int) -> Account:
        account = store.account(name)
        inbox = account.mailbox_id("INBOX")
        assert inbox is not None
        for _ in range(messages):
            account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])
        return account

    accounts = {fill("a", 3): 3, fill("b", 200): 200, fill("c", 1): 1}
    for account, messages in accounts.items():
        with store.dbs.env.begin() as txn:
            states = dict(mailbox_states(txn, store.dbs, account.id))
        assert set(states) == {mailbox.id for mailbox in account.mailboxes()}
        assert sum(state.messages for state in states.values()) == messages
        assert account.usage().messages == messages
        changes = account.changes(1)  # a new account is at 1
        assert [change.modseq for change in changes] == sorted(c.modseq for c in changes)
        assert changes[-1].modseq == account.modseq()
