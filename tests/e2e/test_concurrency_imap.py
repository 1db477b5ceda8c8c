"""Sessions on different workers that change the same mailboxes: all of them see the same."""

from __future__ import annotations

import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mox.store import open_store
from tests.support.accounts import look, recover
from tests.support.server import Server, running
from tests.support.strictimap import StrictClient

BOXES = ("One", "Two")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "\\Draft", "todo", "$Forwarded", "$Junk")


def message(token: str) -> bytes:
    return b"X-Token: %s\r\n\r\nbody\r\n" % token.encode()


def worker_of(server: Server, client: StrictClient) -> int:
    """The pid of the worker at the other end of a connection."""
    (inode,) = (
        fields[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(f":{server.imap:04X}")
        and fields[2].endswith(f":{client.local_port:04X}")
    )
    for pid in server.workers("imap"):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(fd) == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:
                continue
    raise AssertionError("nobody has this connection")


class Player(threading.Thread):
    """Random commands in one session."""

    def __init__(self, client: StrictClient, number: int, seed: int, steps: int) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.rng = random.Random(f"{seed}.{number}")
        self.number = number
        self.steps = steps
        self.made = 0
        self.box = BOXES[0]
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for _ in range(self.steps):
                self.step()
        except BaseException as e:
            self.error = e

    def step(self) -> None:
        client, rng = self.client, self.rng
        actions: list[tuple[Callable[[], object], int]] = [
            (self.append, 6),
            (self.store, 8),
            (self.fetch, 4),
            (self.search, 3),
            (self.expunge, 2),
            (self.transfer, 4),
            (lambda: client.ok("NOOP"), 2),
            (self.idle, 1),
            (self.switch, 1),
        ]
        rng.choices([action for action, _ in actions], [weight for _, weight in actions])[0]()
        if client.qresync:
            client.learn()

    def numbers(self) -> str:
        """Some sequence numbers or uids, for a command with or without UID."""
        first, last = sorted(self.rng.randrange(len(self.client.uids)) for _ in range(2))
        last = min(last, first + 5)
        return f"{first + 1}:{last + 1}"

    def some(self) -> tuple[str, str] | None:
        """("", numbers) or ("UID ", uids)."""
        self.client.learn()
        if not self.client.uids:
            return None
        if self.rng.random() < 0.5:
            return "", self.numbers()
        count = min(len(self.client.uids), self.rng.randrange(1, 5))
        return "UID ", ",".join(map(str, self.rng.sample(self.client.uids, count)))

    def append(self) -> None:
        self.made += 1
        token = f"{self.number}.{self.made}"
        flags = " ".join(self.rng.sample(FLAGS, self.rng.randrange(3)))
        box = self.rng.choice(BOXES)
        self.client.ok(f"APPEND {box} ({flags})", message(token))

    def store(self) -> None:
        some = self.some()
        if some is None:
            return
        op = self.rng.choice(("+", "-", ""))
        silent = self.rng.choice(("", ".SILENT"))
        flags = " ".join(self.rng.sample(FLAGS, self.rng.randrange(1, 4)))
        # NO is for messages that are gone, which this session has not been told of yet.
        self.client.command(f"{some[0]}STORE {some[1]} {op}FLAGS{silent} ({flags})")
        if silent:
            # What a client knows after .SILENT is its own business: ask.
            self.client.command(f"{some[0]}FETCH {some[1]} (UID FLAGS)")

    def fetch(self) -> None:
        some = self.some()
        if some is not None:
            items = self.rng.choice(("FLAGS", "BODY.PEEK[HEADER.FIELDS (X-Token)]", "ENVELOPE"))
            self.client.command(f"{some[0]}FETCH {some[1]} (UID {items})")

    def search(self) -> None:
        uid = self.rng.choice(("", "UID "))
        self.client.ok(f"{uid}SEARCH {self.rng.choice(('ALL', 'UNSEEN', 'KEYWORD todo'))}")

    def expunge(self) -> None:
        if self.rng.random() < 0.5:
            self.client.ok("EXPUNGE")
            return
        some = self.some()
        if some is not None and some[0]:
            self.client.ok(f"UID EXPUNGE {some[1]}")

    def transfer(self) -> None:
        some = self.some()
        if some is not None:
            verb = self.rng.choice(("COPY", "MOVE", "MOVE"))
            target = self.rng.choice([box for box in BOXES if box != self.box])
            self.client.command(f"{some[0]}{verb} {some[1]} {target}")

    def idle(self) -> None:
        self.client.idle_begin()
        self.client.idle_end()

    def switch(self) -> None:
        if self.rng.random() < 0.3:
            self.box = self.rng.choice(BOXES)
            self.client.select(self.box)


def settle(client: StrictClient, box: str) -> tuple[list[int], dict[int, frozenset[str]]]:
    """What a session has seen once it has been told everything."""
    client.ok("NOOP")
    client.learn()
    client.ok("NOOP")
    known = {uid: client.flags[uid] for uid in client.uids}
    client.ok("UID FETCH 1:* (FLAGS)")
    assert {uid: client.flags[uid] for uid in client.uids} == known, f"{box}: flags were not told"
    return client.uids, known


@pytest.fixture
def clients(server: Server) -> Iterator[Callable[[int], list[StrictClient]]]:
    made: list[StrictClient] = []

    def make(count: int) -> list[StrictClient]:
        """Sessions of all kinds, on both workers."""
        workers: set[int] = set()
        while len(made) < count or len(workers) < 2:
            number = len(made)
            made.append(StrictClient(server.imap, qresync=number % 3 == 2, rev2=number % 2 == 1))
            workers.add(worker_of(server, made[-1]))
            assert number < 50, "all connections go to one worker"
        return made

    yield make
    for client in made:
        client.close()


def play(server: Server, sessions: list[StrictClient], seed: int, steps: int) -> None:
    for client in sessions:
        client.select(BOXES[0])
    players = [Player(client, n, seed, steps) for n, client in enumerate(sessions)]
    for player in players:
        player.start()
    for player in players:
        player.join(300)
        assert not player.is_alive(), "hangs"
    for player in players:
        if player.error is not None:
            raise player.error
    fresh = {}
    for box in BOXES:
        client = StrictClient(server.imap)
        client.select(box)
        fresh[box] = settle(client, box)
        client.close()
    for player in players:
        assert settle(player.client, player.box) == fresh[player.box]


def setup(server: Server) -> None:
    client = StrictClient(server.imap)
    for box in BOXES:
        client.ok(f"CREATE {box}")
        for number in range(20):
            client.ok(f"APPEND {box} ()", message(f"{box}.{number}"))
    client.close()


def check_store(server: Server) -> None:
    server.stop()
    store = open_store(server.directory)
    try:
        recover(store)
        account = store.find_account("mox")
        assert account is not None
        look(account)
    finally:
        store.close()
    assert "Traceback" not in server.log
    assert not re.search("SERVERBUG", server.log)


def test_two_sessions_on_two_workers_end_with_the_same_view(
    server: Server, clients: Callable[[int], list[StrictClient]]
) -> None:
    setup(server)
    play(server, clients(2), 1, 150)
    check_store(server)


def test_many_sessions_end_with_the_same_view(
    server: Server, clients: Callable[[int], list[StrictClient]]
) -> None:
    setup(server)
    play(server, clients(6), 2, 80)
    check_store(server)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10, 20))
def test_sessions_end_with_the_same_view_again_and_again(tmp_path: Path, seed: int) -> None:
    with running(tmp_path / "mox") as server:
        setup(server)
        sessions = [
            StrictClient(server.imap, qresync=n % 3 == 2, rev2=n % 2 == 1) for n in range(8)
        ]
        play(server, sessions, seed, 400)
        for client in sessions:
            client.close()
        check_store(server)
