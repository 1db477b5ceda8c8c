from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from mox.address import NULL_PATH, parse_domain
from mox.address import Path as SMTPPath
from mox.store import open_store
from mox.store.committer import WriteTxn
from mox.store.errors import ErrorKind, StoreError
from mox.store.outgoing import (
    INDEX_OCTETS,
    Bundle,
    Feedback,
    FromIdTaken,
    Outcome,
    Outgoing,
    Start,
)
from mox.store.outgoing_due import MAX_BUNDLE, micros
from mox.store.outgoing_records import (
    DELIVERING,
    AttemptResult,
    QueueAddress,
    QueueId,
    QueueMessage,
)
from mox.store.outgoing_txn import QUEUE_BELL, note_feedback
from mox.store.store import Store

NOW = 1_800_000_000.0
SENDER = QueueAddress("me", "here.example", "here.example")
BODY = b"Subject: hi\r\n\r\nhello\r\n"
# Too large for the index.
LARGE = BODY + (b"z" * 998 + b"\r\n") * 50

Add = Callable[..., list[QueueId]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def queue(store: Store) -> Outgoing:
    return Outgoing(store)


@pytest.fixture
def add(store: Store, queue: Outgoing) -> Add:
    def add(*messages: QueueMessage, body: bytes = BODY) -> list[QueueId]:
        with store.spool() as spool:
            spool.write(body)
            return queue.add(messages, queue.content(spool))

    return add


def message(to: str = "you@there.example", **changes: object) -> QueueMessage:
    localpart, _, domain = to.partition("@")
    fields: dict[str, object] = {
        "queued": NOW,
        "next_attempt": NOW,
        "sender_account": "me",
        "sender": SENDER,
        "recipient": QueueAddress(localpart, domain, domain),
        "size": len(BODY),
    }
    return QueueMessage(**{**fields, **changes})  # type: ignore[arg-type]


def files(queue: Outgoing) -> list[str]:
    queue._store.finish_background()
    return sorted(os.listdir(queue.directory))


def contents(queue: Outgoing) -> list[str]:
    """Names of all contents, in the index and as files."""
    with queue.dbs.env.begin() as txn, txn.cursor(db=queue.dbs.queue_content) as cursor:
        return [key.decode() for key in cursor.iternext(values=False)] + files(queue)


def done(id: QueueId, *, success: bool = True, keep_until: float = 0.0) -> Outcome:
    return Outcome(id, AttemptResult(NOW, 1.0, success, 250, "1.0"), True, keep_until=keep_until)


def due(queue: Outgoing, now: float = NOW) -> list[str]:
    """Localparts of all that is due, flow by flow in the order of time."""
    bundles = [b for head in queue.flows() for b in queue.due(head.key, now, 100)]
    ids = [id for bundle in sorted(bundles, key=lambda b: b.when) for id in bundle.ids]
    found = [queue.get(id) for id in ids]
    return [msg.recipient.localpart for msg in found if msg is not None]


def begin(msg: QueueMessage, next_attempt: float = NOW + 1) -> Start:
    return Start(msg.id, micros(msg.next_attempt), next_attempt)


def test_added_message_is_due_and_complete(queue: Outgoing, add: Add) -> None:
    [id] = add(message(prefix=b"X: 1\r\n"))
    [head] = queue.flows()
    [bundle] = queue.due(head.key, NOW, 10)
    assert bundle == Bundle(micros(NOW), (id,))
    assert id == 1
    found = queue.get(id)
    assert found is not None
    assert head.flow == found.flow
    assert found.base_id == 0
    assert queue.wire(found) == b"X: 1\r\n" + BODY
    assert queue.read(found) == BODY.replace(b"\r\n", b"\n")
    assert queue.count() == 1


@pytest.mark.parametrize("body", [BODY, LARGE])
def test_recipients_share_content_until_the_last_is_done(
    queue: Outgoing, add: Add, body: bytes
) -> None:
    ids = add(message("a@one.example"), message("b@two.example"), body=body)
    assert [m.base_id for m in queue.messages()] == [ids[0], ids[0]]
    assert len(contents(queue)) == 1
    assert len(files(queue)) == (body is LARGE)
    queue.record([done(ids[0])])
    assert len(contents(queue)) == 1
    queue.record([done(ids[1])])
    assert contents(queue) == []
    assert queue.count() == 0


def test_ids_are_never_used_again(queue: Outgoing, add: Add) -> None:
    [first] = add(message())
    queue.record([done(first)])
    [second] = add(message())
    assert second == first + 1


def test_large_message_is_stored(queue: Outgoing, add: Add) -> None:
    body = BODY + b"x" * 998 + b"\r\n"
    big = BODY + (b"y" * 998 + b"\r\n") * 2000
    add(message(), body=big)
    add(message(), body=body)
    assert [queue.wire(m) for m in queue.messages()] == [big, body]
    assert not [name for name in files(queue) if name.endswith(".tmp")]


@pytest.mark.parametrize("body", [BODY, LARGE])
def test_last_line_is_ended_on_the_wire(queue: Outgoing, add: Add, body: bytes) -> None:
    add(message(), body=body + b"no line end")
    [msg] = queue.messages()
    assert queue.wire(msg) == body + b"no line end\r\n"


@pytest.mark.parametrize("octets", [INDEX_OCTETS, INDEX_OCTETS + 1])
def test_the_largest_in_the_index_and_the_smallest_file(
    queue: Outgoing, add: Add, octets: int
) -> None:
    stored = b"\n" * octets
    add(message(prefix=b"X: 1\r\n"), body=stored.replace(b"\n", b"\r\n"))
    [msg] = queue.messages()
    assert len(files(queue)) == octets - INDEX_OCTETS
    assert queue.read(msg) == stored
    assert queue.wire(msg) == b"X: 1\r\n" + b"\r\n" * octets


@pytest.mark.parametrize("body", [BODY, LARGE])
def test_refused_submission_leaves_nothing(store: Store, queue: Outgoing, body: bytes) -> None:
    def refuse(txn: WriteTxn) -> None:
        txn.put(txn.dbs.meta, b"x", b"y")
        raise StoreError(ErrorKind.LIMIT, "no")

    with store.spool() as spool, pytest.raises(StoreError, match="no"):
        spool.write(body)
        queue.add([message(), message()], queue.content(spool), refuse)
    assert queue.count() == 0
    assert contents(queue) == []


def test_due_is_given_by_flow_in_order_of_time(queue: Outgoing, add: Add) -> None:
    add(message("a@one.example", next_attempt=NOW - 1))
    add(message("b@one.example", next_attempt=NOW - 5))
    add(message("c@two.example", next_attempt=NOW - 3))
    add(message("d@three.example", next_attempt=NOW + 1))
    add(message("e@four.example", hold=True))
    heads = {head.flow.recipient_domain: head for head in queue.flows()}
    assert {domain: head.when for domain, head in heads.items()} == {
        "one.example": NOW - 5,
        "two.example": NOW - 3,
        "three.example": NOW + 1,
    }
    one = heads["one.example"].key
    assert [b.ids for b in queue.due(one, NOW, 10)] == [(2,), (1,)]
    assert [b.ids for b in queue.due(one, NOW, 1)] == [(2,)]
    assert [b.ids for b in queue.due(one, NOW, 10, {2})] == [(1,)]
    assert queue.due(heads["three.example"].key, NOW, 10) == []


def test_flows_come_in_slices(queue: Outgoing, add: Add) -> None:
    for number in range(7):
        add(message(f"a@d{number}.example"))
    seen: list[bytes] = []
    while heads := queue.flows(seen[-1] if seen else b"", 3):
        assert len(heads) <= 3
        seen += [head.key for head in heads]
    assert len(seen) == 7
    assert seen == sorted(seen)


def test_flows_differ_by_what_decides_the_way(queue: Outgoing, add: Add) -> None:
    add(message())
    add(message(sender_account="other"))
    add(message(sender=QueueAddress("me", "else.example", "else.example")))
    add(message(transport="relay"))
    add(message(require_tls=True))
    add(message(require_tls=False))
    add(message(attempts=1))
    add(message("you@other.example"))
    add(message(sender=QueueAddress("you", "here.example", "here.example")))
    assert len(queue.flows()) == 8


def test_attempt_is_recorded_before_and_after(queue: Outgoing, add: Add) -> None:
    [id] = add(message())
    [found] = queue.messages()
    [started] = queue.record(starts=[begin(found, NOW + 450)], now=NOW)
    assert (started.attempts, started.last_attempt) == (1, NOW)
    assert started.results[-1].error == DELIVERING
    assert due(queue) == []
    failure = AttemptResult(NOW, 2.0, False, 450, "7.0", "later")
    queue.record([Outcome(id, failure, False, NOW + 900, dialed_ips={"mx": ("192.0.2.1",)})])
    msg = queue.get(id)
    assert msg is not None
    assert msg.results == (failure,)
    assert msg.next_attempt == NOW + 900
    assert msg.dialed_ips == {"mx": ("192.0.2.1",)}
    assert msg.attempts_left == 7


def test_one_step_ends_attempts_and_begins_others(queue: Outgoing, add: Add) -> None:
    first, second = add(message("a@x.example")) + add(message("b@x.example"))
    one, two = queue.messages()
    queue.record(starts=[begin(one)], now=NOW)
    [started] = queue.record([done(first)], [begin(two)], NOW)
    assert started.id == second
    assert [(m.id, m.attempts) for m in queue.messages()] == [(second, 1)]


def test_start_leaves_changed_messages_alone(queue: Outgoing, add: Add) -> None:
    ids = add(*(message(f"{name}@x.example") for name in "abcd"))
    seen = queue.messages()
    queue.update(ids[:1], lambda m: structs.replace(m, hold=True))
    queue.record([done(ids[1])])
    queue.update(ids[2:3], lambda m: structs.replace(m, next_attempt=NOW - 1))
    assert [m.id for m in queue.record(starts=map_begin(seen), now=NOW)] == [ids[3]]


def map_begin(messages: list[QueueMessage]) -> list[Start]:
    return [begin(msg) for msg in messages]


def bundles(queue: Outgoing) -> list[tuple[QueueId, ...]]:
    return [b.ids for head in queue.flows() for b in queue.due(head.key, NOW, 100)]


def test_recipients_of_one_submission_are_bundled(queue: Outgoing, add: Add) -> None:
    ids = add(message("a@x.example"), message("b@x.example"), message("c@x.example"))
    [alone] = add(message("d@x.example"))
    assert bundles(queue) == [tuple(ids), (alone,)]
    queue.record([done(ids[1])])
    assert bundles(queue) == [(ids[0], ids[2]), (alone,)]
    queue.update(ids[:1], lambda m: structs.replace(m, next_attempt=NOW - 1))
    assert bundles(queue) == [(ids[0],), (ids[2],), (alone,)]


def test_bundles_are_bounded(queue: Outgoing, add: Add) -> None:
    add(*(message(f"u{number}@x.example") for number in range(MAX_BUNDLE + 1)))
    assert [len(ids) for ids in bundles(queue)] == [MAX_BUNDLE, 1]


def test_recipients_with_own_senders_are_no_siblings(queue: Outgoing, add: Add) -> None:
    other = QueueAddress("me+x", "here.example", "here.example")
    add(message("a@x.example"), message("b@x.example", sender=other))
    assert [m.base_id for m in queue.messages()] == [0, 0]


def test_update_moves_messages_in_time_and_out_of_hold(queue: Outgoing, add: Add) -> None:
    [id] = add(message(hold=True))
    assert queue.flows() == []
    changed = queue.update([id, QueueId(99)], lambda m: structs.replace(m, hold=False))
    assert [m.id for m in changed] == [id]
    assert [head.when for head in queue.flows()] == [NOW]
    queue.update([id], lambda m: structs.replace(m, next_attempt=NOW + 9))
    assert [head.when for head in queue.flows()] == [NOW + 9]
    assert queue.update([id], lambda m: m) == []


def test_only_new_work_rings_the_bell(store: Store, queue: Outgoing, add: Add) -> None:
    rings: list[int] = []
    store.watch(QUEUE_BELL, lambda: rings.append(1))

    def rung(change: Callable[[], object]) -> int:
        rings.clear()
        change()
        store.notifier.look()
        return len(rings)

    assert rung(lambda: add(message()))
    [msg] = queue.messages()
    assert not rung(lambda: queue.record(starts=[begin(msg)], now=NOW))
    failure = Outcome(msg.id, AttemptResult(NOW), False, NOW + 9)
    assert not rung(lambda: queue.record([failure]))
    assert rung(lambda: queue.update([msg.id], lambda m: structs.replace(m, next_attempt=NOW)))
    assert not rung(lambda: queue.record([done(msg.id)]))


def test_lists_end_after_the_last_message(queue: Outgoing, add: Add) -> None:
    ids = add(message("a@x.example"), message("b@x.example"), message("c@x.example"))
    assert [m.id for m in queue.messages(after=0, limit=2)] == ids[:2]
    assert [m.id for m in queue.messages(after=ids[1], limit=2)] == ids[2:]
    assert queue.messages(after=ids[2]) == []


def test_large_file_comes_in_pieces(queue: Outgoing, add: Add) -> None:
    body = BODY + b"x" * 998 + b"\r\n"
    big = BODY + (b"y" * 998 + b"\r\n") * 700
    add(message(prefix=b"X: 1\r\n"), body=big)
    add(message(), body=body)
    large, small = queue.messages()
    pieces = list(queue.chunks(large))
    assert len(pieces) > 2
    assert b"".join(pieces) == b"X: 1\r\n" + big
    assert list(queue.chunks(small)) == [body]


def test_retired_record_is_kept_and_expires(queue: Outgoing, add: Add) -> None:
    [id] = add(message(from_id="abc", extra={"k": "v"}))
    assert isinstance(queue.by_from_id("abc"), QueueMessage)
    queue.record([done(id, keep_until=NOW + 60)])
    retired = queue.get_retired(id)
    assert retired is not None
    assert (retired.success, retired.extra, retired.recipient.localpart) == (
        True,
        {"k": "v"},
        "you",
    )
    assert queue.by_from_id("abc") == retired
    told = Feedback(id, AttemptResult(NOW, 0, False, 550, "1.1", "dsn"))
    queue._store.write(lambda txn: note_feedback(txn, told))
    assert [r.results[-1].error for r in queue.retired()] == ["dsn"]
    assert queue.expire(NOW + 59) == 0
    assert queue.expire(NOW + 60) == 1
    assert queue.retired() == []
    assert queue.by_from_id("abc") is None
    queue._store.write(lambda txn: note_feedback(txn, told))
    assert queue.get_retired(id) is None


def test_from_id_can_be_used_once(queue: Outgoing, add: Add) -> None:
    [id] = add(message(from_id="abc"))
    with pytest.raises(FromIdTaken):
        add(message(from_id="abc"))
    assert len(contents(queue)) == 1
    queue.record([done(id)])
    assert add(message(from_id="abc")) == [id + 1]


def test_outcome_of_a_dropped_message_is_ignored(queue: Outgoing, add: Add) -> None:
    [id] = add(message())
    queue.record([done(id)])
    queue.record([done(id)])
    assert queue.count() == 0


def test_sweep_removes_only_old_files_without_record(queue: Outgoing, add: Add) -> None:
    add(message(), body=LARGE)
    orphan = queue.path("orphan")
    orphan.write_bytes(b"x")
    fresh = queue.path("fresh.tmp")
    fresh.write_bytes(b"x")
    for path in [*map(queue.path, files(queue))]:
        when = NOW + 7 * 3600 if path == fresh else NOW
        os.utime(path, (when, when))
    assert queue.sweep(NOW + 7 * 3600) == 1
    queue._store.finish_background()
    assert not orphan.exists()
    assert fresh.exists()
    assert queue.read(queue.messages()[0])


def test_queue_survives_reopening(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    with first.spool() as spool:
        spool.write(BODY)
        Outgoing(first).add([message()], Outgoing(first).content(spool))
    first.close()
    second = open_store(tmp_path)
    try:
        queue = Outgoing(second)
        assert due(queue) == ["you"]
        assert [queue.wire(m) for m in queue.messages()] == [BODY]
    finally:
        second.close()


def test_missing_file_is_a_store_error(queue: Outgoing, add: Add) -> None:
    add(message(), body=LARGE)
    [msg] = queue.messages()
    queue.path(msg.file).unlink()
    with pytest.raises(StoreError, match="cannot read queued message"):
        queue.read(msg)
    with pytest.raises(StoreError, match="cannot read queued message"):
        next(queue.chunks(msg))


def test_addresses_come_back_as_paths() -> None:
    domain = parse_domain("bücher.example")
    for path in (SMTPPath("a b", domain), NULL_PATH):
        assert QueueAddress.from_path(path).path() == path
    assert QueueAddress.from_path(SMTPPath("x", domain)).domain == "bücher.example"
    assert QueueAddress("x", ip="192.0.2.1").domain == "[192.0.2.1]"
