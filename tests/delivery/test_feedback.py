"""Notifications of other servers: what they are matched with, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.address import Address, parse_address
from mox.address import Path as SMTPPath
from mox.config import Config, load
from mox.delivery.feedback import what_is_told
from mox.delivery.headers import Headers
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.message import dsn
from mox.store import Store, open_store, suppressions
from mox.store.outgoing import Outcome, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueAddress, QueueMessage, RetiredMessage
from mox.store.outgoing_txn import MAX_RESULTS, note_feedback
from tests.queue.site import DYNAMIC, STATIC

NOW = 1_800_000_000.0
THERE = parse_address("postmaster@there.example")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "data").mkdir()
    (tmp_path / "mox.conf").write_text(STATIC.format(static="", port=25))
    (tmp_path / "domains.conf").write_text(DYNAMIC.format(domain="", account="", dynamic=""))
    return load(tmp_path / "mox.conf", check_files=False)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    store = open_store(config.data_dir)
    store.account("mjl")
    yield store
    store.close()


def retire(store: Store, to: str, *, from_id: str = "", envid: str = "") -> None:
    """Let a message of mjl to `to` have been delivered."""
    queue = Outgoing(store)
    localpart = f"mjl+{from_id}" if from_id else "mjl"
    msg = QueueMessage(
        queued=NOW,
        next_attempt=NOW,
        sender_account="mjl",
        sender=QueueAddress(localpart, "example.org", "example.org"),
        from_id=from_id,
        recipient=QueueAddress(to.partition("@")[0], "there.example", "there.example"),
        size=10,
        message_id="<one@example.org>",
        envid=envid,
    )
    with store.spool() as spool:
        spool.write(b"a: b\r\n\r\n")
        [id] = queue.add([msg], queue.content(spool))
    result = AttemptResult(NOW, success=True, code=250)
    queue.record([Outcome(id, result, done=True, keep_until=NOW + 100)])


def notification(
    *to: str,
    action: dsn.Action = dsn.Action.FAILED,
    status: str = "5.1.1",
    reply: tuple[str, ...] = (),
    message_id: str = "one@example.org",
) -> bytes:
    return dsn.compose(
        dsn.Dsn(
            mail_from=THERE,
            mail_to=parse_address("mjl@example.org"),
            subject="failed",
            message_id="x@there.example",
            date=int(NOW),
            reporting_mta=THERE.domain,
            recipients=tuple(
                dsn.Recipient(
                    address=parse_address(address),
                    action=action,
                    status=status,
                    reply=reply,
                )
                for address in to
            ),
            original_header=f"Message-Id: <{message_id}>\r\nSubject: hi\r\n\r\n".encode(),
        )
    )


def arrive(
    store: Store,
    config: Config,
    content: bytes,
    to: str = "mjl@example.org",
    *,
    has_sender: bool = False,
) -> list[RetiredMessage]:
    """Have it arrive; returns the retired messages that are remembered to have heard of it."""
    address: Address = parse_address(to)
    recipient = resolve_incoming(
        config, SMTPPath(address.localpart, address.domain), localserve=False
    )
    assert isinstance(recipient, Recipient)
    with store.spool() as spool:
        spool.write(content)
        headers = Headers(spool.octets())
        [told] = what_is_told(
            store, config, headers, spool, [recipient], NOW + 9, has_sender=has_sender
        )
    for note in told.notes:
        store.write(lambda txn, note=note: note_feedback(txn, note))  # type: ignore[misc]
    return [msg for msg in Outgoing(store).retired() if len(msg.results) > 1]


def suppressed(store: Store, account: str = "mjl") -> list[str]:
    entries = suppressions.of_account(store, store.account(account).id)
    return [entry.original_address for entry in entries]


def test_failure_is_matched_by_unique_id(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    retire(store, "you@there.example", from_id="other")
    # Forwarded from there: the address that failed is another.
    content = notification("you@else.example", reply=("550 5.1.1 who?",), message_id="z@z.example")
    [msg] = arrive(store, config, content, "mjl+secret@example.org")
    assert (msg.from_id, msg.success, msg.last_activity) == ("secret", True, NOW + 9)
    result = msg.results[-1]
    assert (result.success, result.code, result.secode) == (False, 550, "1.1")
    assert result.error == "incoming message"
    assert suppressed(store) == ["you@there.example"]


@pytest.mark.parametrize(
    ("action", "status", "reply", "expected"),
    [
        (dsn.Action.FAILED, "5.4.7", (), (False, 500, "4.7")),
        (dsn.Action.DELAYED, "4.4.1", (), (False, 400, "4.1")),
        (dsn.Action.RELAYED, "2.0.0", (), (True, 0, "0.0")),
        (dsn.Action.DELIVERED, "2.0.0", ("250 2.1.5 fine",), (True, 250, "1.5")),
    ],
)
def test_other_actions_are_remembered(
    store: Store,
    config: Config,
    action: dsn.Action,
    status: str,
    reply: tuple[str, ...],
    expected: tuple[bool, int, str],
) -> None:
    retire(store, "you@there.example", from_id="secret")
    content = notification("you@there.example", action=action, status=status, reply=reply)
    [msg] = arrive(store, config, content, "mjl+secret@example.org")
    result = msg.results[-1]
    assert (result.success, result.code, result.secode) == expected
    assert suppressed(store) == []


def test_what_is_no_sound_notification_is_said(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    to = "mjl+secret@example.org"
    arrive(store, config, b"Subject: thanks\r\n\r\nhi\r\n", to, has_sender=True)
    broken = notification("you@there.example").replace(b"Action: failed", b"Action: exploded")
    arrive(store, config, broken, to)
    [msg] = arrive(store, config, notification("a@a.example", "b@b.example"), to)
    assert [result.error for result in msg.results[1:]] == [
        "incoming message not a dsn",
        "parsing incoming dsn: unknown action in delivery status",
        "incoming dsn has 2 recipients, expecting 1",
    ]
    assert suppressed(store) == []


def test_records_of_notifications_are_bounded(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    for _ in range(MAX_RESULTS + 2):
        [msg] = arrive(store, config, b"Subject: hi\r\n\r\n", "mjl+secret@example.org")
    assert len(msg.results) == MAX_RESULTS


def test_notification_is_matched_by_message_id_and_recipient(store: Store, config: Config) -> None:
    for localpart in ("a", "b", "c"):
        retire(store, f"{localpart}@there.example")
    content = notification("a@there.example", "c@there.example", "x@there.example")
    found = arrive(store, config, content)
    assert [msg.recipient.localpart for msg in found] == ["a", "c"]
    assert suppressed(store) == ["a@there.example", "c@there.example"]


def test_original_recipient_is_as_good_as_the_final_one(store: Store, config: Config) -> None:
    retire(store, "you@there.example")
    content = notification("moved@else.example").replace(
        b"Final-Recipient:", b"Original-Recipient: rfc822;you@there.example\r\nFinal-Recipient:"
    )
    assert len(arrive(store, config, content)) == 1


def test_envelope_id_is_enough(store: Store, config: Config) -> None:
    retire(store, "you@there.example", envid="QQ314159")
    retire(store, "you@there.example", envid="other")
    content = notification("you@there.example", message_id="unknown@x.example").replace(
        b"Reporting-MTA:", b"Original-Envelope-Id: QQ314159\r\nReporting-MTA:"
    )
    [msg] = arrive(store, config, content)
    assert msg.envid == "QQ314159"


def test_forgeries_find_nothing(store: Store, config: Config) -> None:
    retire(store, "you@there.example", from_id="secret")
    content = notification("you@there.example")
    # Told to another account, or with a sender, or with an id that is not known.
    assert arrive(store, config, content, "second@example.org") == []
    assert arrive(store, config, content, "second+secret@example.org") == []
    assert arrive(store, config, content, has_sender=True) == []
    assert arrive(store, config, content, "mjl+guess@example.org", has_sender=True) == []
    assert suppressed(store) == suppressed(store, "second") == []


def test_expired_messages_are_not_found(store: Store, config: Config) -> None:
    retire(store, "you@there.example", envid="e")
    Outgoing(store).expire(NOW + 200)
    assert arrive(store, config, notification("you@there.example")) == []
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.retired_ref)["entries"] == 0
