from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.address import NULL_PATH, parse_domain
from mox.address import Path as SMTPPath
from mox.delivery.submit import Recipient, Submission, submit
from mox.store import Store, open_store
from mox.store.outgoing import FromIdTaken, Outgoing
from mox.store.sent_log import SendLimitReached, SendLimits
from mox.store.spool import Spool

THERE = parse_domain("there.example")
BODY = b"Subject: hi\r\n\r\nhello\r\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def spool(store: Store) -> Iterator[Spool]:
    with store.spool() as spool:
        spool.write(BODY)
        yield spool


def _submission(spool: Spool, *recipients: Recipient, **changes: object) -> Submission:
    fields: dict[str, object] = {
        "account": "me",
        "recipients": recipients,
        "spool": spool,
        "prefix": b"Received: x\r\n",
        "message_id": "<1@x>",
        "subject": "hi",
        "has_8bit": False,
        "smtputf8": False,
    }
    return Submission(**{**fields, **changes})  # type: ignore[arg-type]


def _to(localpart: str, from_id: str = "") -> Recipient:
    return Recipient(SMTPPath(localpart, THERE), NULL_PATH, from_id)


def test_all_recipients_are_queued_with_all_facts(store: Store, spool: Spool) -> None:
    ids = submit(
        store,
        _submission(
            spool,
            _to("a"),
            _to("b"),
            require_tls=True,
            extra={"k": "v"},
            max_attempts=5,
            is_tls_report=True,
            transport="relay",
            dsn_utf8=b"x",
        ),
    )
    queue = Outgoing(store)
    messages = queue.messages()
    assert [m.id for m in messages] == ids
    for msg, localpart in zip(messages, "ab", strict=True):
        assert msg.recipient.path() == SMTPPath(localpart, THERE)
        assert msg.sender.path() == NULL_PATH
        assert queue.wire(msg) == b"Received: x\r\n" + BODY
        assert msg.size == len(queue.wire(msg))
        assert (msg.require_tls, msg.extra, msg.max_attempts) == (True, {"k": "v"}, 5)
        assert (msg.is_tls_report, msg.transport, msg.dsn_utf8) == (True, "relay", b"x")
        assert msg.next_attempt == msg.queued


def test_limits_refuse_all_recipients(store: Store, spool: Spool) -> None:
    limits = SendLimits(messages=1, first_time=10)
    with pytest.raises(SendLimitReached):
        submit(store, _submission(spool, _to("a"), _to("b"), limits=limits))
    assert Outgoing(store).messages() == []
    assert list(Outgoing(store).directory.iterdir()) == []
    assert submit(store, _submission(spool, _to("a"), limits=limits)) == [1]


def test_used_from_id_refuses_all_recipients_and_counts_nothing(store: Store, spool: Spool) -> None:
    limits = SendLimits(messages=2, first_time=10)
    submit(store, _submission(spool, _to("a", "id"), limits=limits))
    with pytest.raises(FromIdTaken):
        submit(store, _submission(spool, _to("a", "id"), limits=limits))
    submit(store, _submission(spool, _to("a", "other"), limits=limits))


def test_future_release_is_never_in_the_past(store: Store, spool: Spool) -> None:
    submit(store, _submission(spool, _to("a"), not_before=1.0))
    submit(store, _submission(spool, _to("a"), not_before=4e9))
    early, late = Outgoing(store).messages()
    assert early.next_attempt == early.queued
    assert late.next_attempt == 4e9
