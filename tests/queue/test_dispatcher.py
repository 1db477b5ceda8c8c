"""Who gets a connection when: live and dead destinations, limits, stopping, other processes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import gevent
import pytest
from msgspec import structs

from mox.config import load
from mox.queue import dispatcher, hop
from mox.store.outgoing_records import DELIVERING, QueueMessage
from tests.queue.peer import STALL, Peer
from tests.queue.site import Site, mx

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


def test_dead_destinations_do_not_hold_up_live_ones(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = make_peer()
    dead = [
        make_peer(ip=f"127.0.1.{n}", port=live.port, script={"": [STALL]}) for n in range(1, 21)
    ]
    names = mx("127.0.0.1")
    for peer in dead:
        names |= mx(peer.ip, domain=f"d{peer.ip}.example")
    site = make_site(names=names, port=live.port)
    for peer in dead:
        for _ in range(5):
            site.submit(f"you@d{peer.ip}.example")
    site.start()
    site.until(lambda: all(peer.open_sessions for peer in dead))
    for _ in range(30):
        site.submit("you@there.example")
    site.until(lambda: len(live.mails) == 30)
    # One at a time finds out whether there is anybody.
    assert [peer.sessions for peer in dead] == [1] * 20
    give_up_silent(site, monkeypatch)


def give_up_silent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the queue without waiting long for servers that do not answer."""
    monkeypatch.setattr("mox.queue.worker.GRACE_S", 0.1)
    site.stop()


def test_unreachable_destination_fails_many_messages_at_once(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.2"), port=peer.port)
    for _ in range(120):
        site.submit("you@there.example")
    site.start()
    site.until_attempted()
    assert all("refused" in msg.results[-1].error for msg in site.queued())
    # Not one look-up for each.
    assert len(site.names.queries) <= 20


def test_hop_that_comes_back_is_found(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hop, "PAUSE_S", 0.05)
    peer = make_peer()
    site = make_site(names=mx("127.0.0.2"), port=peer.port)
    site.submit("you@there.example")
    site.start()
    site.until_attempted()
    second = make_peer(ip="127.0.0.2", port=peer.port)
    site.outgoing.update([m.id for m in site.queued()], lambda m: due(m, site))
    site.until_empty()
    assert second.mails


def due(msg: QueueMessage, site: Site) -> QueueMessage:
    return structs.replace(msg, next_attempt=site.clock())


def test_connections_to_one_domain_are_limited(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    held: list[str] = []

    def slowly(line: str) -> None:
        if line.startswith("DATA"):
            held.append(line)
            gevent.sleep(0.02)

    peer.on_line = slowly
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    for _ in range(60):
        site.submit("you@there.example")
    site.start()
    site.until_empty()
    assert 2 <= peer.most_open <= hop.DIRECT_COURIERS
    assert len(peer.mails) == 60


def test_server_that_takes_one_connection_gets_all_over_it(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    peer = make_peer(script={"": ["220 hi", "421 4.7.0 one is enough"]})
    peer.on_line = lambda line: gevent.sleep(0.002)
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    for _ in range(30):
        site.submit("you@there.example")
    site.start()
    site.until_empty()
    assert {mail.session for mail in peer.mails} == {1}
    assert peer.sessions <= 3


def test_couriers_have_a_limit(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "MAX_COURIERS", 3)
    monkeypatch.setattr("mox.queue.courier.LINGER_S", 0.0)
    peer = make_peer()
    names = {}
    for n in range(30):
        names |= mx("127.0.0.1", domain=f"d{n}.example")
    site = make_site(names=names, port=peer.port)
    for n in range(30):
        site.submit(f"you@d{n}.example")
    site.start()
    site.until_empty()
    assert len(peer.mails) == 30
    assert peer.most_open <= 3


def test_more_flows_than_a_hop_remembers(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hop, "MAX_FLOWS", 3)
    monkeypatch.setattr(dispatcher, "_SLICE", 4)
    peer = make_peer()
    site = make_site(localserve=True, port=peer.port)
    for n in range(40):
        site.submit(f"you@d{n % 20}.example")
    site.start()
    site.until_empty()
    assert len(peer.mails) == 40


def test_held_messages_stay(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    [held] = site.submit("a@there.example", hold=True)
    site.submit("b@there.example")
    site.start()
    site.until(lambda: [msg.id for msg in site.queued()] == [held])
    assert peer.mails
    site.outgoing.update([held], lambda m: structs.replace(m, hold=False))
    site.until_empty()
    assert len(peer.mails) == 2


def test_message_for_later_waits_and_goes(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    began = site.clock()
    site.submit("a@there.example", next_attempt=began + 0.3)
    site.start()
    site.until_empty()
    assert site.clock() - began >= 0.3


def test_attempt_in_hand_is_not_begun_again(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = make_peer(script={".": [STALL]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    [id] = site.submit("a@there.example")
    site.start()
    site.until(lambda: peer.commands("DATA"))
    site.outgoing.update([id], lambda m: due(m, site))
    for _ in range(20):
        site.look()
        gevent.sleep(0.005)
    assert len(peer.commands("MAIL")) == 1
    assert site.queued()[0].attempts == 1
    assert site.queued()[0].results[-1].error == DELIVERING
    give_up_silent(site, monkeypatch)


def test_stop_lets_a_transaction_end(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer()

    def slowly(line: str) -> None:
        if line.startswith("DATA"):
            site.ctx.stopping.set()
            gevent.sleep(0.2)

    peer.on_line = slowly
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    for _ in range(20):
        site.submit("a@there.example")
    site.start()
    assert site._greenlet is not None
    site._greenlet.join(10)
    assert site._greenlet.dead
    assert 1 <= len(peer.mails) < 20
    assert len(peer.commands("QUIT")) == peer.sessions
    again = Site(
        site.config.dir, names=site.names.records, port=peer.port
    )  # the store has been closed
    try:
        assert len(again.queued()) == 20 - len(peer.mails)
        assert all(msg.attempts == 0 for msg in again.queued())
    finally:
        again.stop()


def test_dropped_message_is_no_harm(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"RCPT TO:<A@": ["450 4.2.0 later"]})
    site = make_site(names=mx("127.0.0.1"), port=peer.port)

    def drop(line: str) -> None:
        if line.startswith("RCPT TO:<a@"):
            from mox.store.outgoing import Outcome
            from mox.store.outgoing_records import AttemptResult

            site.outgoing.record([Outcome(id, AttemptResult(0.0), True)])

    peer.on_line = drop
    [id] = site.submit("a@there.example")
    site.start()
    site.until_empty()
    site.submit("b@there.example")
    site.until(lambda: len(peer.mails) == 1)


def test_changed_routes_count_for_what_is_queued(make_site: MakeSite, make_peer: MakePeer) -> None:
    transports = "Transports:\n\tlater:\n\t\tFail:\n\t\t\tSMTPCode: 450\n"
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port, static=transports)
    path = site.config.dir / "domains.conf"
    before = path.read_text()
    source: SimpleNamespace = site.ctx._config_source  # type: ignore[assignment]
    path.write_text(before + "Routes:\n\t-\n\t\tTransport: later\n")
    source.current = load(site.config.path, check_files=False)
    [id] = site.submit("a@there.example")
    site.start()
    site.until_attempted()
    assert site.queued()[0].results[-1].code == 450
    path.write_text(before)
    source.current = load(site.config.path, check_files=False)
    site.outgoing.update([id], lambda m: due(m, site))
    site.until_empty()
    assert peer.mails


def test_disk_that_takes_no_records_is_waited_for(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mox.store.errors import ErrorKind, StoreError

    monkeypatch.setattr("mox.queue.courier.RETRY_S", 0.01)
    peer = make_peer()
    site = make_site(names=mx("127.0.0.1"), port=peer.port)
    record = site.services.outgoing.record
    failures = [1, 1, 1]

    def full(outcomes: list[object], *rest: object) -> object:
        if outcomes and failures:
            failures.pop()
            raise StoreError(ErrorKind.DISK_FULL, "no space")
        return record(outcomes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(site.services.outgoing, "record", full)
    site.submit("a@there.example")
    site.start()
    site.until_empty()
    assert len(peer.mails) == 1
    assert not failures


def test_unexpected_errors_end_one_courier_only(
    make_site: MakeSite, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = make_peer()
    names = {**mx("127.0.0.1"), **mx("127.0.0.1", domain="bad.example")}
    site = make_site(names=names, port=peer.port)
    query = site.names.query

    def broken(name: str, rdtype: str) -> object:
        if name == "bad.example":
            raise RuntimeError("a bug")
        return query(name, rdtype)

    monkeypatch.setattr(site.names, "query", broken)
    site.submit("a@bad.example")
    site.submit("b@there.example")
    site.start()
    site.until(lambda: len(site.queued()) == 1)
    [msg] = site.queued()
    assert msg.recipient.ascii == "bad.example"
    assert msg.attempts == 1
