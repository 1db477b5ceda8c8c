"""What the supervisor makes for workers to share, and that it outlives each of them."""

from __future__ import annotations

import _socket
import gc
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mox.supervisor.errors import StartError
from mox.supervisor.inboxes import Inboxes, close_all, make_inboxes
from mox.supervisor.kinds import Kind
from tests.supervisor.supervised import Server, eventually

MakeServer = Callable[..., Server]
SMTP = Kind("smtp", "", ("smtp",), per_core=True)
IMAP = Kind("imap", "", ("imap",), per_core=True)
QUEUE = Kind("queue", "", exclusive=True)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_kinds_with_several_workers_get_inboxes() -> None:
    before = descriptors()
    made = make_inboxes([(SMTP, 0), (IMAP, 0), (IMAP, 1), (IMAP, 2), (QUEUE, 0)])
    assert list(made) == ["imap"]
    assert descriptors() == before + 6
    close_all(made.values())
    assert descriptors() == before


def test_too_few_descriptors_are_named_and_none_is_lost() -> None:
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 5, hard))
    try:
        with pytest.raises(StartError, match="between workers: Too many open files"):
            make_inboxes([(SMTP, 0), (SMTP, 1), (IMAP, 0), (IMAP, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors() == before


def in_child(work: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def give(inboxes: Inboxes, sock: _socket.socket, door: int) -> None:
    """In the first worker."""
    sharing = inboxes.sharing(0)
    sharing.set_open(1)
    assert sharing.give(sock, door, 1)


def test_counts_and_connections_go_between_forked_workers() -> None:
    inboxes = Inboxes(2)
    ours, theirs = _socket.socketpair()

    def taker(expected: list[int]) -> None:
        taken: list[int] = []

        def take(fd: int, door: int) -> None:
            taken.append(door)
            os.write(fd, b"taken")

        inboxes.sharing(1).join(take)
        assert taken == expected

    in_child(lambda: taker([]))
    in_child(lambda: give(inboxes, ours, 7))
    ours.close()
    # Both have ended meanwhile; what was sent waits for the next one.
    in_child(lambda: taker([7]))
    assert theirs.recv(100) == b"taken"
    assert theirs.recv(100) == b""
    theirs.close()
    inboxes.close()


def test_the_end_of_inboxes_closes_what_nobody_took() -> None:
    inboxes = Inboxes(2)
    ours, theirs = _socket.socketpair()
    in_child(lambda: inboxes.sharing(1).join(lambda fd, door: None))
    in_child(lambda: give(inboxes, ours, 0))
    ours.close()
    inboxes.close()
    assert theirs.recv(100) == b""
    theirs.close()


# In a whole server.


def shared(server: Server) -> None:
    server.write(kinds=["imap"], endpoints=[["127.0.0.1", server.port, "imap", "local"]])


def hold(server: Server, stack: ExitStack, count: int) -> list[int]:
    """Connect one after the other and stay; returns the pids that serve.

    Of those that come at the same moment workers may keep one too many each.
    """
    return [server.facts(stack.enter_context(server.connect())).pid for _ in range(count)]


@pytest.mark.e2e
def test_connections_are_even_before_and_after_a_crash(make_server: MakeServer) -> None:
    server = make_server(workers=3)
    shared(server)
    server.start()
    with ExitStack() as stack:
        pids = hold(server, stack, 12)
        assert sorted(Counter(pids).values()) == [4, 4, 4]
        victim = pids[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in server.workers())
        alive = set(pids) - {victim}
        served = [pid for pid in pids if pid != victim]
        while set(served) == alive:
            served += hold(server, stack, 1)
        served += hold(server, stack, 12 + len(served))
        counts = Counter(served)
        assert len(counts) == 3
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.e2e
def test_a_worker_told_to_stop_on_its_own_has_a_successor_with_the_same_inbox(
    make_server: MakeServer,
) -> None:
    server = make_server()
    shared(server)
    server.start()
    first = server.ask().pid
    os.kill(first, signal.SIGTERM)
    server.wait_line("worker died")
    eventually(lambda: len(server.workers()) == 2)
    with ExitStack() as stack:
        served: list[int] = []
        while len(set(served)) < 2:
            served += hold(server, stack, 1)
        served += hold(server, stack, len(served))
        counts = Counter(served)
        assert set(counts) == set(server.workers())
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.e2e
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_it_works_after_root_was_given_up(make_server: MakeServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = make_server(identity=[65534, 65534])
    shared(server)
    server.start()
    with ExitStack() as stack:
        facts = [server.facts(stack.enter_context(server.connect())) for _ in range(8)]
        assert sorted(Counter(fact.pid for fact in facts).values()) == [4, 4]
        assert {fact.uid for fact in facts} == {65534}


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_the_next_generation_has_inboxes_of_its_own(
    make_server: MakeServer, number: signal.Signals
) -> None:
    server = make_server()
    shared(server)
    server.start()
    with ExitStack() as stack:
        old = set(hold(server, stack, 6))
        server.signal(number)
        server.wait_line("ready to serve", 2)
        eventually(lambda: old.isdisjoint(server.workers()))
        new = hold(server, stack, 6)
        assert sorted(Counter(new).values()) == [3, 3]
        assert old.isdisjoint(new)
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == signal.SIGTERM
