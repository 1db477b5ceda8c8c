"""Connections between workers: real sockets, several workers in one process."""

from __future__ import annotations

import _socket
import array
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest

from mox.serving.connection import Connection
from mox.serving.sharing import Sharing
from mox.serving.tally import Tally, size_bytes
from tests.serving.harness import (
    ADMISSION,
    FakeContext,
    Running,
    connect,
    echo,
    in_thread,
    listen_on,
    logged,
    running,
    say,
    until,
)


class Crew:
    """What workers share, with the ends of their inboxes."""

    def __init__(self, members: int) -> None:
        self.tally = Tally(memoryview(bytearray(size_bytes(members))), members)
        self.ends = [
            _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET) for _ in range(members)
        ]
        for end in (end for pair in self.ends for end in pair):
            end.setblocking(False)
        self.taken: dict[int, list[tuple[int, int]]] = {m: [] for m in range(members)}

    def sharing(self, me: int) -> Sharing:
        outboxes = {n: writer for n, (_, writer) in enumerate(self.ends) if n != me}
        return Sharing(self.tally, me, self.ends[me][0], outboxes)

    def take(self, me: int) -> Callable[[int, int], None]:
        def take(fd: int, door: int) -> None:
            self.taken[me].append((fd, door))

        return take

    def send(self, to: int, text: bytes, fds: list[int]) -> None:
        """As no worker does."""
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))
        self.ends[to][1].sendmsg([text], [rights] if fds else [])

    def close(self) -> None:
        for end in (end for pair in self.ends for end in pair):
            end.close()
        for fd in (fd for taken in self.taken.values() for fd, _ in taken):
            os.close(fd)


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(2)
    yield crew
    crew.close()


@pytest.fixture
def pair() -> Iterator[tuple[_socket.socket, _socket.socket]]:
    ends = _socket.socketpair()
    yield ends
    for end in ends:
        end.close()


Pair = tuple[_socket.socket, _socket.socket]


def copy_of(sock: _socket.socket) -> _socket.socket:
    return _socket.socket(fileno=os.dup(sock.fileno()))


def copies(sock: _socket.socket) -> int:
    """How many descriptors this process has of it."""
    link = os.readlink(f"/proc/self/fd/{sock.fileno()}")
    return sum(_link(path) == link for path in Path("/proc/self/fd").iterdir())


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # the directory's own
        return ""


def test_a_connection_arrives_with_its_door_and_not_for_programs_we_start(
    crew: Crew, pair: Pair
) -> None:
    crew.sharing(1).join(crew.take(1))
    giver = crew.sharing(0)
    giver.set_open(1)
    assert giver.give(pair[0], 300, 1)
    assert pair[0].fileno() == -1
    assert crew.tally.load(1) == 1
    crew.sharing(1).leave(crew.take(1))
    ((fd, door),) = crew.taken[1]
    assert door == 300
    assert not os.get_inheritable(fd)
    os.write(fd, b"hello")
    assert pair[1].recv(100) == b"hello"


def test_nobody_there_means_serving_it_here(crew: Crew, pair: Pair) -> None:
    giver = crew.sharing(0)
    giver.set_open(5)
    assert not giver.give(pair[0], 0, 1)
    assert not Sharing.alone().give(pair[0], 0, 1)
    assert pair[0].fileno() >= 0
    crew.sharing(1).join(crew.take(1))
    assert not giver.give(pair[0], 0, 6)
    crew.sharing(1).leave(crew.take(1))
    assert not giver.give(pair[0], 0, 1)


def test_a_full_inbox_means_serving_it_here(crew: Crew, pair: Pair) -> None:
    crew.sharing(1).join(crew.take(1))
    giver = crew.sharing(0)
    giver.set_open(100_000)
    given = 0
    while given < 5000 and giver.give(copy := copy_of(pair[0]), 0, 1):
        given += 1
    assert 10 < given < 5000
    assert copy.fileno() >= 0
    copy.close()
    assert crew.tally.load(1) == given
    assert copies(pair[0]) == 1
    crew.sharing(1).leave(crew.take(1))
    assert len(crew.taken[1]) == given
    assert copies(pair[0]) == 1 + given


def test_a_closed_inbox_means_serving_it_here(crew: Crew, pair: Pair) -> None:
    """The last one looked a moment before the other left for good."""
    crew.sharing(1).join(crew.take(1))
    crew.tally.set_ending(True)
    crew.sharing(1).leave(crew.take(1))
    crew.tally.set_available(1, True)
    giver = crew.sharing(0)
    giver.set_open(5)
    assert not giver.give(pair[0], 0, 1)
    crew.ends[1][0].close()
    assert not giver.give(pair[0], 0, 1)
    assert crew.tally.load(1) == 0
    assert pair[0].fileno() >= 0


def test_what_was_sent_before_the_end_is_taken_and_listening_ends(crew: Crew, pair: Pair) -> None:
    taker = crew.sharing(1)
    taker.join(crew.take(1))
    listening = gevent.spawn(taker.listen, crew.take(1), lambda: False)
    giver = crew.sharing(0)
    giver.set_open(5)
    for _ in range(5):
        assert giver.give(copy_of(pair[0]), 1, 1)
    crew.tally.set_ending(True)
    taker.leave(crew.take(1))
    assert [door for _, door in crew.taken[1]] == [1] * 5
    listening.join(5)
    assert listening.successful()


def test_a_successor_reads_on(crew: Crew, pair: Pair) -> None:
    crew.sharing(1).join(crew.take(1))
    giver = crew.sharing(0)
    giver.set_open(9)
    for _ in range(3):
        assert giver.give(copy_of(pair[0]), 2, 1)
    # It was killed before it read them, the giver between counting and sending.
    crew.tally.forget(1)
    crew.tally.add_sent(0, 1, 1)
    assert not giver.give(pair[0], 2, 1)
    crew.sharing(1).join(crew.take(1))
    assert len(crew.taken[1]) == 3
    assert crew.tally.load(1) == 0
    assert crew.tally.is_available(1)


def test_a_full_worker_leaves_them_in_its_inbox(crew: Crew, pair: Pair) -> None:
    full = True
    taker = crew.sharing(1)
    taker.join(crew.take(1))
    listening = gevent.spawn(taker.listen, crew.take(1), lambda: full)
    giver = crew.sharing(0)
    giver.set_open(5)
    assert giver.give(pair[0], 0, 1)
    gevent.sleep(0)
    assert not crew.taken[1]
    full = False
    until(lambda: crew.taken[1])
    listening.kill()


@pytest.mark.parametrize(("text", "fds"), [(b"\0\0", 0), (b"\0", 1), (b"\0\0\0", 1), (b"\0\0", 3)])
def test_what_is_no_connection_is_closed_and_said(
    crew: Crew, pair: Pair, text: bytes, fds: int
) -> None:
    crew.send(1, text, [pair[0].fileno()] * fds)
    with logged() as log:
        crew.sharing(1).leave(crew.take(1))
    assert not crew.taken[1]
    assert copies(pair[0]) == 1
    assert len(log.containing("l=error")) == 1


def test_without_descriptors_left_the_connection_is_closed(crew: Crew) -> None:
    ours, theirs = socket.socketpair()
    crew.send(1, b"\0\0", [ours.fileno()])
    ours.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with logged() as log:
            crew.sharing(1).leave(crew.take(1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not crew.taken[1]
    assert log.containing("raise the limit on files")
    theirs.settimeout(5)
    assert theirs.recv(1) == b""
    theirs.close()


# Whole workers.


@contextmanager
def two_workers(
    handler: Callable[[Connection], None], crew: Crew, listens: int = 1, **context: object
) -> Iterator[tuple[Running, Running]]:
    """The first has the listening sockets that clients use; both know them."""
    doors = [listen_on(service) for service in ("smtp", "submission")[:listens]]
    copies = [listen_on(service) for service in ("smtp", "submission")[:listens]]
    contexts = [
        FakeContext(ours, slot=number + 1, sharing=crew.sharing(number), **context)  # type: ignore[arg-type]
        for number, ours in enumerate((doors, copies))
    ]
    with running(handler, contexts[0]) as first, running(handler, contexts[1]) as second:
        yield first, second


class Places:
    """A handler that notes in which worker and by which door each connection is."""

    def __init__(self) -> None:
        self.served: list[Connection] = []

    def __call__(self, conn: Connection) -> None:
        self.served.append(conn)
        echo(conn)

    def in_worker(self, slot: int) -> list[Connection]:
        return [conn for conn in self.served if conn.cid % 256 == slot]


def test_two_workers_have_equally_many(crew: Crew) -> None:
    places = Places()
    with two_workers(places, crew) as (first, _):
        clients = [connect(first.port) for _ in range(9)]
        until(lambda: len(places.served) == 9)
        assert [len(places.in_worker(slot)) for slot in (1, 2)] == [5, 4]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
            assert in_thread(client.recv, 10) == b"%d" % number
            client.close()
        until(lambda: crew.tally.load(0) == crew.tally.load(1) == 0)


def test_a_margin_keeps_a_few_where_they_are(crew: Crew) -> None:
    places = Places()
    admission = ADMISSION.__class__("smtp", ADMISSION.auth_services, ADMISSION.refuse, margin=4)
    contexts = [
        FakeContext([listen_on()], slot=number + 1, sharing=crew.sharing(number))
        for number in range(2)
    ]
    with (
        running(places, contexts[0], admission=admission) as first,
        running(places, contexts[1], admission=admission),
    ):
        clients = [connect(first.port) for _ in range(10)]
        until(lambda: len(places.served) == 10)
        assert [len(places.in_worker(slot)) for slot in (1, 2)] == [7, 3]
        for client in clients:
            client.close()


def test_the_door_goes_with_the_connection(crew: Crew) -> None:
    places = Places()
    with two_workers(places, crew, listens=2) as (first, _):
        clients = [connect(first.ctx.listens[1].port) for _ in range(4)]
        until(lambda: len(places.served) == 4)
        (one, two) = places.in_worker(2)
        assert {one.listen.service, two.listen.service} == {"submission"}
        # The address is the one that the client came to.
        assert one.local_port == first.ctx.listens[1].port
        for client in clients:
            client.close()


def test_a_header_of_a_proxy_is_read_by_the_one_who_serves(crew: Crew) -> None:
    def report(conn: Connection) -> None:
        conn.send(f"{conn.remote_ip} {conn.cid % 256}".encode())

    header = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 25\r\n"
    with (
        two_workers(report, crew, proxies=("127.0.0.1",)) as (first, _),
        connect(first.port) as waiting,
    ):
        until(lambda: crew.tally.load(0) == 1)
        assert in_thread(say, first.port, header) == b"192.0.2.1 2"
        waiting.sendall(header)
        assert in_thread(waiting.recv, 100) == b"192.0.2.1 1"


def test_the_gauge_counts_it_once_and_the_giver_says_that_it_gave(crew: Crew) -> None:
    from mox.serving.door import Door

    door = Door(FakeContext([]), listen_on())  # type: ignore[arg-type]
    opened, given = door.gauge._value.get(), door.handed_over._value.get()
    places = Places()
    with two_workers(places, crew) as (first, _):
        clients = [connect(first.port) for _ in range(4)]
        until(lambda: len(places.served) == 4)
        assert door.gauge._value.get() == opened + 4
        assert door.handed_over._value.get() == given + 2
        for client in clients:
            client.close()
        until(lambda: door.gauge._value.get() == opened)


def test_stopping_one_worker_loses_nobody(crew: Crew) -> None:
    places = Places()
    with two_workers(places, crew) as (first, second):
        clients = [connect(first.port) for _ in range(4)]
        until(lambda: len(places.served) == 4)
        crew.tally.set_ending(True)
        second.ctx.stopping.set()
        until(lambda: not crew.tally.is_available(1))
        clients += [connect(first.port) for _ in range(4)]
        until(lambda: len(places.served) == 8)
        assert len(places.in_worker(1)) == 6
        for client in clients:
            client.close()


def test_a_connection_that_came_too_late_to_be_read_is_taken_at_the_stop(crew: Crew) -> None:
    places = Places()
    with two_workers(places, crew) as (_, second):
        client = socket.create_connection(("127.0.0.1", second.port))
        accepted, _ = second.ctx.listens[0].sock.accept()
        crew.tally.add_sent(0, 1, 1)
        crew.send(1, b"\0\0", [accepted.fileno()])
        accepted.close()
        second.ctx.stopping.set()
        client.sendall(b"still")
        assert in_thread(client.recv, 100) == b"still"
        client.close()


def test_the_kernel_refuses_for_a_shut_inbox_and_gives_what_it_holds(crew: Crew) -> None:
    """What leaving relies on."""
    crew.send(1, b"ab", [0])
    crew.ends[1][0].shutdown(socket.SHUT_RD)
    with pytest.raises(OSError) as caught:
        crew.send(1, b"ab", [0])
    assert caught.value.errno == errno.EPIPE
    text, rights, _, _ = crew.ends[1][0].recvmsg(2, 100)
    assert text == b"ab"
    os.close(array.array("i", rights[0][2])[0])
    assert crew.ends[1][0].recvmsg(2, 100)[:2] == (b"", [])
