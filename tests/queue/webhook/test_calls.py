"""Webhooks as the queue process makes them: to receivers of all kinds, at their times."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import gevent
import pytest
from msgspec import structs

from mox.queue.webhook import caller, desk
from mox.queue.webhook.connection import Receiver
from mox.store import hooks_txn
from mox.store.errors import ErrorKind, StoreError
from mox.store.hook_records import Hook, HookId, HookResult
from mox.store.hooks import Hooks
from mox.store.hooks_txn import OutgoingHook
from mox.store.outgoing_records import DELIVERING
from mox.webapi.hooks import Outgoing
from tests.queue.site import Clock, Site
from tests.support.hookreceiver import OK, Close, Drip, HookReceiver, Stall, status
from tests.tlsio.identities import authority, identity

MakeSite = Callable[..., Site]
MakeReceiver = Callable[..., HookReceiver]


@pytest.fixture
def receive() -> Iterator[MakeReceiver]:
    """Start a receiver; it is stopped at the end."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(HookReceiver(*args, **options))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(make_site: MakeSite, clock: Clock) -> Site:
    return make_site(account="\t\tKeepRetiredWebhookPeriod: 1h0m0s\n", clock=clock)


def add(site: Site, *urls: str, msg_id: int = 0, authorization: str = "") -> list[HookId]:
    now = site.clock()

    def new(number: int, url: str) -> OutgoingHook:
        hook = Hook(
            queue_msg_id=msg_id,
            account="mjl",
            url=url,
            authorization=authorization,
            event="delivered",
            submitted=now,
            next_attempt=now,
        )
        when = datetime.fromtimestamp(now, UTC)
        payload = Outgoing(event="delivered", subject=str(number), webhook_queued=when)
        return OutgoingHook(hook, payload, now + 3600)

    made = [new(number, url) for number, url in enumerate(urls)]
    return site.ctx.store.write(
        lambda txn: [hooks_txn.add_outgoing(txn, one, suppressing=False) for one in made]
    )


def hooks(site: Site) -> Hooks:
    return site.services.hooks


def until_ended(site: Site, id: HookId, attempts: int = 1) -> Hook:
    """Wait until a call that stays has ended so many attempts."""

    def has_ended() -> bool:
        hook = hooks(site).get(id)
        return hook is not None and hook.attempts == attempts and not _is_made(hook)

    site.until(has_ended)
    hook = hooks(site).get(id)
    assert hook is not None
    return hook


def _is_made(hook: Hook) -> bool:
    return bool(hook.results) and hook.results[-1].error == DELIVERING


def last(site: Site, id: HookId) -> HookResult:
    return until_ended(site, id).results[-1]


def look(site: Site) -> None:
    """Have the queue look for calls that are due, as after a step of the clock."""
    site.ctx.store.write(lambda txn: txn.touched.add(hooks_txn.HOOKS))


def test_call_arrives_and_is_remembered(site: Site, receive: MakeReceiver) -> None:
    receiver = receive()
    site.start()
    [id] = add(site, receiver.url("/a?b=c"), authorization="Bearer s3cret")
    site.until(lambda: not hooks(site).count())
    [call] = receiver.calls
    assert (call.method, call.target) == ("POST", "/a?b=c")
    assert (call.id, call.attempt) == (id, 1)
    assert call.header("authorization") == "Bearer s3cret"
    assert call.header("content-type") == "application/json; charset=utf-8"
    assert call.body == hooks(site).body(id)
    [retired] = hooks(site).retired()
    assert (retired.success, retired.attempts, retired.has_authorization) == (True, 1, True)
    [result] = retired.results
    assert (result.code, result.response, result.error) == (200, "thanks\n", "")
    assert result.url == receiver.url("/a?b=c")


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (
            status("500 Internal Server Error", body=b"oops"),
            500,
            'http status "500 Internal Server Error", expected 200 ok',
        ),
        (status("204 No Content"), 204, 'http status "204 No Content", expected 200 ok'),
        (status("410 Gone"), 410, 'http status "410 Gone", expected 200 ok'),
        (b"220 smtp.example ESMTP\r\n\r\n", 0, "http transact: POST"),
        (Close(), 0, "connection closed without an answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\nx",
            0,
            "http transact",
        ),
    ],
)
def test_failure_is_tried_again_with_the_same_body(
    site: Site, receive: MakeReceiver, clock: Clock, answer: object, code: int, error: str
) -> None:
    receiver = receive(answer)
    site.start()
    [id] = add(site, receiver.url())
    result = last(site, id)
    assert (result.success, result.code) == (False, code)
    assert error in result.error
    receiver.answer = OK
    clock.now += 61
    look(site)
    site.until(lambda: not hooks(site).count())
    first, second = receiver.calls
    assert (first.id, first.attempt, second.id, second.attempt) == (id, 1, id, 2)
    assert first.body == second.body


def test_redirects_are_not_followed(site: Site, receive: MakeReceiver) -> None:
    other = receive()
    receiver = receive(status("302 Found", head=f"Location: {other.url()}\r\n"))
    site.start()
    [id] = add(site, receiver.url(), authorization="secret")
    assert last(site, id).error == 'http status "302 Found", expected 200 ok'
    assert other.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        Stall(),
        Drip(b"HTTP/1.1 200 OK\r\nX-A: b\r\n" + b"X-More: y\r\n" * 100, for_ever=True),
        Drip(b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.03),
        Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500, pause_s=0.05),
    ],
)
def test_receiver_that_takes_too_long_is_given_up(
    site: Site,
    receive: MakeReceiver,
    monkeypatch: pytest.MonkeyPatch,
    answer: object,
) -> None:
    shorten(monkeypatch, 0.5)
    receiver = receive(answer)
    quick = receive()
    site.start()
    [id, _] = add(site, receiver.url(), quick.url())
    site.until(lambda: len(quick.calls) == 1)
    result = last(site, id)
    assert (result.success, result.code) == (False, 0)
    assert "http transact: POST" in result.error


def shorten(monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
    """Give receivers this long instead of a minute."""
    monkeypatch.setattr(caller, "Receiver", partial(Receiver, timeout_s=timeout_s))


def test_receiver_that_reads_nothing_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 0.3)
    # The kernel takes the connection; nobody ever reads from it.
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        when = datetime.now(UTC)
        payload = Outgoing(event="failed", error="x" * (16 << 20), webhook_queued=when)
        hook = Hook(account="mjl", url=url, submitted=0.0, next_attempt=0.0)
        new = OutgoingHook(hook, payload)
        id = site.ctx.store.write(lambda txn: hooks_txn.add_outgoing(txn, new, suppressing=False))
        site.start()
        # The limit of the call, or that of sending, where both have passed before the loop looks.
        assert re.search("(no answer within|nothing taken for) 0.3 s", last(site, id).error)


def test_endless_answer_counts_once_enough_of_it_has_come(
    site: Site, receive: MakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 0.5)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 600

    class Slow:
        def __call__(self, call: object) -> bytes:
            return head

    receiver = receive(Slow())
    site.start()
    [id] = add(site, receiver.url())
    site.until(lambda: not hooks(site).count())
    retired = hooks(site).get_retired(id)
    assert retired is not None
    assert (retired.success, len(retired.results[-1].response)) == (True, 512)


def test_twelve_attempts_then_it_is_over(site: Site, receive: MakeReceiver, clock: Clock) -> None:
    receiver = receive(status("503 Service Unavailable"))
    site.start()
    [id] = add(site, receiver.url())
    begun = clock.now
    for attempt in range(1, 12):
        hook = until_ended(site, id, attempt)
        clock.now = hook.next_attempt - 0.5
        look(site)
        gevent.sleep(0.01)
        assert len(receiver.calls) == attempt
        clock.now = hook.next_attempt + 0.001
        look(site)
    site.until(lambda: not hooks(site).count())
    assert [call.attempt for call in receiver.calls] == list(range(1, 13))
    assert len({call.body for call in receiver.calls}) == 1
    assert 31.5 * 3600 < clock.now - begun < 32.5 * 3600
    [retired] = hooks(site).retired()
    assert (retired.success, retired.attempts, len(retired.results)) == (False, 12, 12)
    assert retired.keep_until == clock.now + 3600


def test_calls_of_one_url_go_one_by_one_over_one_connection(
    site: Site, receive: MakeReceiver
) -> None:
    receiver = receive()
    add(site, *[receiver.url()] * 300)
    site.start()
    site.until(lambda: not hooks(site).count())
    assert [call.json["Subject"] for call in receiver.calls] == [str(n) for n in range(300)]
    assert (receiver.connections, receiver.most_at_once) == (1, 1)


def test_connection_that_was_closed_while_idle_is_made_anew(
    site: Site, receive: MakeReceiver
) -> None:
    receiver = receive(status("200 OK", body=b"x"))
    site.start()
    add(site, receiver.url())
    site.until(lambda: len(receiver.calls) == 1)
    for sock in list(receiver._open):
        sock.shutdown(2)
    add(site, receiver.url())
    site.until(lambda: not hooks(site).count())
    assert [call.attempt for call in receiver.calls] == [1, 1]
    assert receiver.connections == 2


def test_no_more_than_ten_at_a_time(site: Site, receive: MakeReceiver) -> None:
    go = threading.Event()

    def answer(call: object) -> bytes:
        go.wait(10)
        return OK

    receiver = receive(answer)
    add(site, *(receiver.url(f"/{n}") for n in range(25)))
    site.start()
    site.until(lambda: len(receiver.calls) == desk.MAX_CALLERS)
    gevent.sleep(0.05)
    assert len(receiver.calls) == receiver.most_at_once == 10
    go.set()
    site.until(lambda: not hooks(site).count())
    assert receiver.most_at_once == 10
    assert len(receiver.calls) == 25


def test_receivers_that_stall_leave_room_for_others(
    site: Site, receive: MakeReceiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, 0.3)
    stalling = receive(Stall())
    ids = add(site, *(stalling.url(f"/{n}") for n in range(20)))
    site.start()
    for id in ids:
        until_ended(site, id)
    shorten(monkeypatch, 60.0)
    seen = len(stalling.calls)
    clock.now += 61
    look(site)
    site.until(lambda: len(stalling.calls) == seen + desk.MAX_DOUBTFUL)
    quick = receive()
    add(site, *(quick.url(f"/{n}") for n in range(20)))
    site.until(lambda: len(quick.calls) == 20)
    assert len(stalling.calls) == seen + desk.MAX_DOUBTFUL


def test_dead_receiver_is_asked_once_for_many(
    site: Site, receive: MakeReceiver, clock: Clock
) -> None:
    dead = receive()
    url = dead.url()
    dead.close()
    ids = add(site, *[url] * 250)
    quick = receive()
    add(site, quick.url())
    site.start()
    site.until(lambda: len(quick.calls) == 1)
    result = last(site, ids[0])
    assert "refused" in result.error
    site.until(lambda: sum(hook.attempts for hook in hooks(site).hooks()) == 1 + caller.SHARED)
    # After a pause the next ones.
    clock.now += 2
    look(site)
    site.until(
        lambda: sum(hook.attempts for hook in hooks(site).hooks()) == 2 * (1 + caller.SHARED)
    )


def test_call_that_is_superseded_in_flight_tells_its_result(
    site: Site, receive: MakeReceiver
) -> None:
    go = threading.Event()

    def answer(call: object) -> bytes:
        go.wait(10)
        return OK

    receiver = receive(answer)
    site.start()
    [first] = add(site, receiver.url(), msg_id=7)
    site.until(lambda: len(receiver.calls) == 1)
    [second] = add(site, receiver.url(), msg_id=7)
    go.set()
    site.until(lambda: not hooks(site).count())
    assert [call.id for call in receiver.calls] == [first, second]
    site.until(lambda: len(hooks(site).retired()) == 2)
    old, new = hooks(site).retired()
    assert (old.superseded_by_id, old.success, new.success) == (second, False, True)
    assert [result.error for result in old.results] == ["(superseded)"]


def test_call_that_is_superseded_behind_others_is_not_made(
    site: Site, receive: MakeReceiver
) -> None:
    hold, go = threading.Event(), threading.Event()

    def answer(call: object) -> bytes:
        # The eighth is one of several that were recorded as begun.
        if len(receiver.calls) == 8:
            hold.set()
            go.wait(10)
        return OK

    receiver = receive(answer)
    ids = [add(site, receiver.url(), msg_id=n)[0] for n in range(1, 16)]
    site.start()
    site.until(hold.is_set)
    [newer] = add(site, receiver.url(), msg_id=12)
    go.set()
    site.until(lambda: not hooks(site).count())
    assert [call.id for call in receiver.calls] == [*ids[:11], *ids[12:], newer]
    superseded = hooks(site).get_retired(ids[11])
    assert superseded is not None
    assert (superseded.attempts, superseded.results) == (0, ())


def test_shutdown_waits_for_the_call_in_flight_and_gives_the_others_back(
    site: Site, receive: MakeReceiver
) -> None:
    hold, go = threading.Event(), threading.Event()

    def answer(call: object) -> bytes:
        if len(receiver.calls) == 8:
            hold.set()
            go.wait(10)
        return OK

    receiver = receive(answer)
    add(site, *[receiver.url()] * 20)
    site.start()
    site.until(hold.is_set)
    threading.Timer(0.1, go.set).start()
    found: list[Hook] = []
    # The store closes with the site, so look just before.
    close = site.ctx.close
    site.ctx.close = lambda: (found.extend(hooks(site).hooks()), close())  # type: ignore[assignment]
    site.stop()
    assert len(receiver.calls) == 8
    assert len(found) == 12
    assert {(hook.attempts, hook.results) for hook in found} == {(0, ())}


def test_shutdown_does_not_wait_for_ever(
    site: Site, receive: MakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.queue.worker.GRACE_S", 0.1)
    receiver = receive(Stall())
    add(site, receiver.url())
    site.start()
    site.until(lambda: len(receiver.calls) == 1)
    found: list[Hook] = []
    close = site.ctx.close
    site.ctx.close = lambda: (found.extend(hooks(site).hooks()), close())  # type: ignore[assignment]
    site.stop()
    # It may have arrived: it is made again at its next time.
    assert [(hook.attempts, hook.results[-1].error) for hook in found] == [(1, DELIVERING)]


def test_full_disk_repeats_no_call(
    site: Site, receive: MakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "RETRY_S", 0.01)
    receiver = receive()
    record = hooks(site).record
    failures = []

    def failing(outcomes: object, *rest: object) -> object:
        if outcomes and len(failures) < 3:
            failures.append(1)
            raise StoreError(ErrorKind.DISK_FULL, "no space left")
        return record(outcomes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(hooks(site), "record", failing)
    site.start()
    add(site, receiver.url())
    site.until(lambda: not hooks(site).count())
    assert (len(receiver.calls), len(failures)) == (1, 3)


def test_certificate_must_be_good(
    make_site: MakeSite, receive: MakeReceiver, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    site = make_site(
        static="TLS:\n\tCA:\n\t\tAdditionalToSystem: true\n\t\tCertFiles:\n\t\t\t- ca.pem\n"
    )
    good = receive(tls=server_context(tmp_path, signed=True))
    stranger = receive(tls=server_context(tmp_path, signed=False))
    site.start()
    [_, bad] = add(site, good.url(), stranger.url())
    site.until(lambda: len(good.calls) == 1)
    assert "TLS" in last(site, bad).error
    assert stranger.calls == []


def server_context(directory: Path, *, signed: bool) -> ssl.SSLContext:
    own = identity("localhost", signed=signed)
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(own.chain_pem)
    key.write_bytes(own.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


def test_name_without_address_is_a_failure(site: Site) -> None:
    site.start()
    [id] = add(site, "http://nowhere.example/")
    assert "nowhere.example has no address" in last(site, id).error


def test_name_is_found_in_dns(make_site: MakeSite, receive: MakeReceiver) -> None:
    receiver = receive()
    site = make_site(names={("app.example", "A"): ("127.0.0.1",)})
    site.start()
    add(site, f"http://app.example:{receiver.port}/x")
    site.until(lambda: not hooks(site).count())
    assert receiver.calls[0].header("host") == f"app.example:{receiver.port}"


def test_large_body_arrives_whole(site: Site, receive: MakeReceiver) -> None:
    receiver = receive()
    site.start()
    add(site, receiver.url())
    site.until(lambda: len(receiver.calls) == 1)
    when = datetime.now(UTC)
    payload = Outgoing(event="failed", error="é<" * 1_000_000, webhook_queued=when)
    hook = Hook(account="mjl", url=receiver.url(), submitted=0.0, next_attempt=0.0)
    new = OutgoingHook(hook, payload)
    site.ctx.store.write(lambda txn: hooks_txn.add_outgoing(txn, new, suppressing=False))
    site.until(lambda: not hooks(site).count())
    assert receiver.calls[1].json["Error"] == "é<" * 1_000_000


def test_gone_accounts_calls_are_remembered_for_a_week(
    site: Site, receive: MakeReceiver, clock: Clock
) -> None:
    receiver = receive()
    [id] = add(site, receiver.url())
    hook = hooks(site).get(id)
    assert hook is not None
    moved = structs.replace(hook, account="gone")
    site.ctx.store.write(lambda txn: hooks_txn.replace(txn, hook, moved))
    site.start()
    site.until(lambda: not hooks(site).count())
    [retired] = hooks(site).retired()
    assert retired.keep_until == clock.now + 7 * 24 * 3600
