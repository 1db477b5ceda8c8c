from __future__ import annotations

import pytest

from mox.address import Path, parse_domain
from mox.store import Store, suppressions
from mox.store.outgoing import Outcome, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueAddress, QueueMessage

NOW = 1_800_000_000.0


def path(text: str) -> Path:
    localpart, _, domain = text.rpartition("@")
    return Path(localpart, parse_domain(domain))


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("First.Last+tag@Example.ORG", "firstlast@example.org"),
        ("f.i.r.s.t.last-x+y@example.org", "firstlast@example.org"),
        ("a+b-c@example.org", "a@example.org"),
        ("a-b+c@example.org", "a@example.org"),
        ("-only@x.example", '""@x.example'),
        ("Ünï@bücher.example", "ünï@bücher.example"),
    ],
)
def test_base_address(address: str, base: str) -> None:
    assert suppressions.base_address(path(address)) == base


@pytest.mark.parametrize(
    ("code", "secode", "is_about_address"),
    [
        (550, "", True),
        (550, "1.1", True),
        (521, "", True),
        (551, "1.6", True),
        (553, "", True),
        (556, "1.10", True),
        (554, "7.1", True),
        (554, "2.1", True),
        (554, "1.2", True),
        (554, "", False),
        (552, "2.2", False),
        (450, "1.1", False),
        (421, "", False),
        (554, "7.30", False),
        # About this message, not about the address.
        (550, "6.7", False),
        (550, "3.4", False),
    ],
)
def test_which_failures_are_about_the_address(
    code: int, secode: str, is_about_address: bool
) -> None:
    assert suppressions.is_about_address(code, secode) is is_about_address


def test_list_by_hand(store: Store) -> None:
    id = store.account("me").id
    other = store.account("other").id
    assert suppressions.is_empty(store)
    for address in ("B.b+x@example.org", "a@example.org"):
        suppressions.add(store, id, path(address), NOW, manual=True, reason="asked")
    with pytest.raises(suppressions.AlreadySuppressed, match="bb@example"):
        suppressions.add(store, id, path("bb@example.org"), NOW, manual=True, reason="")
    assert [entry.base_address for entry in suppressions.of_account(store, id)] == [
        "a@example.org",
        "bb@example.org",
    ]
    found = suppressions.lookup(store, id, path("b-b.b@example.org"))
    assert found is None
    found = suppressions.lookup(store, id, path("BB-z@example.org"))
    assert found is not None
    assert (found.id, found.original_address, found.reason) == (1, "B.b+x@example.org", "asked")
    assert suppressions.lookup(store, other, path("bb@example.org")) is None
    assert suppressions.of_account(store, other) == []
    assert suppressions.remove(store, id, path("b.b@example.org"))
    assert not suppressions.remove(store, id, path("b.b@example.org"))


def test_long_addresses_are_told_apart(store: Store) -> None:
    id = store.account("me").id
    domain = ".".join(["ü" * 40] * 5)
    for tld in ("example", "test"):
        suppressions.add(store, id, path(f"a@{domain}.{tld}"), NOW, manual=True, reason="")
    assert len(suppressions.of_account(store, id)) == 2
    found = suppressions.lookup(store, id, path(f"a@{domain}.test"))
    assert found is not None
    assert found.original_address.endswith(".test")


def fail(
    store: Store,
    *,
    code: int = 452,
    secode: str = "2.2",
    account: str = "me",
    to: str = "you",
    success: bool = False,
    keep: bool = True,
    last_attempt: float = NOW,
) -> None:
    """Let a message leave the queue of an account that exists."""
    store.account(account)
    queue = Outgoing(store)
    msg = QueueMessage(
        queued=NOW,
        next_attempt=NOW,
        last_attempt=last_attempt,
        sender_account=account,
        sender=QueueAddress("me", "here.example", "here.example"),
        recipient=QueueAddress(to, "there.example", "there.example"),
        size=10,
    )
    with store.spool() as spool:
        spool.write(b"a: b\r\n\r\n")
        [id] = queue.add([msg], queue.content(spool))
    result = AttemptResult(NOW, success=success, code=code, secode=secode)
    queue.record([Outcome(id, result, done=True, keep_until=NOW + 100 if keep else 0.0)])


def reasons(store: Store, account: str = "me") -> list[str]:
    found = store.find_account(account)
    assert found is not None
    return [entry.reason for entry in suppressions.of_account(store, found.id)]


def test_refused_address_is_listed_at_once_and_once(store: Store) -> None:
    fail(store, code=550, secode="1.1", keep=False)
    fail(store, code=550, secode="1.1", to="y.o.u+x", keep=False)
    assert reasons(store) == ['delivery failure from queue with smtp code 550, enhanced code "1.1"']


def test_third_failure_in_a_row_lists(store: Store) -> None:
    fail(store)
    fail(store)
    fail(store, account="other")
    fail(store, to="another")
    assert reasons(store) == []
    fail(store)
    assert reasons(store) == ["delivery failure from queue and three consecutive failures"]
    assert reasons(store, "other") == []


def test_success_between_failures_counts_by_time_of_its_attempt(store: Store) -> None:
    fail(store, last_attempt=NOW)
    fail(store, last_attempt=NOW + 2)
    fail(store, success=True, code=250, last_attempt=NOW + 1)
    fail(store, last_attempt=NOW + 3)
    assert reasons(store) == []
    fail(store, last_attempt=NOW + 4)
    assert len(reasons(store)) == 1


def test_failures_without_reply_never_count(store: Store) -> None:
    for _ in range(4):
        fail(store, code=0, secode="")
    assert reasons(store) == []


def test_expired_messages_are_forgotten(store: Store) -> None:
    fail(store)
    fail(store)
    Outgoing(store).expire(NOW + 200)
    fail(store)
    assert reasons(store) == []
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.retired_to)["entries"] == 1
