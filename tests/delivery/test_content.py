from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mox.address import parse_address
from mox.config.account import Account as AccountConfig
from mox.config.account import AutomaticJunkFlags, JunkFilter, JunkParams
from mox.delivery import content, passes
from mox.junk.classifier import BAD_TYPE, WordScore
from mox.junk.mailboxflags import Mark
from mox.junk.params import Params
from mox.store import Store, learning, open_store
from mox.store.account import Account
from mox.store.model import Target

FILTER = JunkFilter(
    threshold=0.95,
    params=JunkParams(onegrams=True, max_power=0.01, top_words=10, ignore_words=0.1, rare_words=2),
)
CONFIG = AccountConfig(
    domain="mox.example",
    junk_filter=FILTER,
    automatic_junk_flags=AutomaticJunkFlags(enabled=True, junk_mailbox_regexp="^spam"),
)
PARAMS = Params(rare_words=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def account(store: Store) -> Account:
    return store.account("mjl")


def teach(account: Account, text: str, keyword: str, times: int) -> None:
    for _ in range(times):
        with account.store.spool() as spool:
            spool.write(f"Subject: hi\r\n\r\n{text}\r\n".encode())
            account.store.deliver(
                [Target(account, "INBOX", b"", (1, 0), keywords=(keyword,))], spool
            )


def test_parameters_of_the_configuration() -> None:
    assert content.params(CONFIG) == PARAMS
    assert content.params(AccountConfig(domain="mox.example")) is None


def test_marks_of_the_configuration() -> None:
    assert content.marks(CONFIG).mark("Spam", ()) is Mark.JUNK
    off = AccountConfig(
        domain="mox.example",
        automatic_junk_flags=AutomaticJunkFlags(enabled=False, junk_mailbox_regexp="^spam"),
    )
    assert content.marks(off).mark("Spam", ()) is None


def test_classification_by_what_was_learnt(account: Account) -> None:
    teach(account, "casino winner", "$Junk", 4)
    teach(account, "lunch meeting", "$NotJunk", 4)
    junk = b"Subject: x\n\nCasino winner!\n"
    assert content.classify(account, PARAMS, junk).probability == 0.5
    learning.learn(account.store, lambda _: PARAMS)
    result = content.classify(account, PARAMS, junk)
    assert result.probability > 0.99
    assert not result.significant
    assert result.spam_words == (WordScore("casino", 0.99), WordScore("winner", 0.99))
    assert content.classify(account, PARAMS, b"\nlunch meeting\n").probability < 0.01


def test_large_message_is_classified(account: Account) -> None:
    teach(account, "casino winner", "$Junk", 4)
    learning.learn(account.store, lambda _: PARAMS)
    with account.store.spool() as spool:
        spool.write(b"\r\ncasino winner\r\n" + b"some other text\r\n" * 200_000)
        assert content.classify(account, PARAMS, spool.stored()).probability > 0.9


def test_content_type_that_makes_no_sense_is_junk(account: Account) -> None:
    assert content.classify(account, PARAMS, b"Content-Type: a b/c\n\nhi\n") == BAD_TYPE


def test_subjectpass(account: Account) -> None:
    sender = parse_address("mjl@bücher.example")
    period = timedelta(hours=12)
    offer = passes.offer(account, "me@mox.example", sender, 1_700_000_000.5)
    assert offer.isascii()
    now = 1_700_010_000.0
    args = (f"Re: {offer[-32:]}", now, period)
    assert passes.problem(account, "me@mox.example", sender, *args) == ""
    assert passes.problem(account, "you@mox.example", sender, *args) == "token of another sender"
    other = parse_address("other@bücher.example")
    assert passes.problem(account, "me@mox.example", other, *args) == "token of another sender"
    assert passes.problem(account, "me@mox.example", sender, "hello", now, period) == "no token"
