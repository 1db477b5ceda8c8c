"""Several IMAP sessions, on different workers, in one mailbox under load."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import psutil
import pytest

from tests.support.server import Server
from tests.support.strictimap import StrictIMAP

SESSIONS = 4
ROUNDS = 120
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "todo")


def workers_of(server: Server, clients: list[StrictIMAP]) -> set[int]:
    """The worker processes that serve these clients."""
    ports = {client.sock.getsockname()[1] for client in clients}
    return {
        pid
        for pid in server.workers("imap")
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.raddr and connection.raddr.port in ports
    }


def sessions_on_all_workers(server: Server) -> list[StrictIMAP]:
    clients = [StrictIMAP(server.imap) for _ in range(SESSIONS)]
    while len(workers_of(server, clients)) < len(server.workers("imap")):
        clients.pop(0).close()
        clients.append(StrictIMAP(server.imap))
    return clients


def work(client: StrictIMAP, chance: random.Random) -> None:
    """Random commands; StrictIMAP checks every response on the way."""
    for round_ in range(ROUNDS):
        choose(client, chance, round_)()


def choose(client: StrictIMAP, chance: random.Random, round_: int) -> Callable[[], object]:
    count = len(client.uids)
    number = chance.randint(1, count) if count else 0
    low, high = sorted((number, chance.randint(1, count) if count else 0))
    flag, sign = chance.choice(FLAGS), chance.choice("+-")
    body = b"Subject: %d\r\n\r\n%d\r\n" % (round_, chance.getrandbits(60))
    choices: list[Callable[[], object]] = [
        lambda: client.command("APPEND INBOX", body),
        lambda: client.command("APPEND INBOX (\\Seen)", body),
    ]
    if count:
        choices += [
            lambda: client.command(f"STORE {low}:{high} {sign}FLAGS ({flag})"),
            lambda: client.command(f"STORE {low}:{high} {sign}FLAGS.SILENT ({flag})"),
            lambda: client.command(f"FETCH {low}:{high} (UID FLAGS)"),
            lambda: client.command("UID FETCH 1:* (FLAGS)"),
            lambda: client.command(f"SEARCH {low}:{high} UNSEEN"),
            lambda: client.command(f"STORE {number} +FLAGS.SILENT (\\Deleted)"),
            lambda: client.command("EXPUNGE"),
            lambda: client.command(f"COPY {number} INBOX"),
            lambda: client.command(f"MOVE {number} Archive"),
            lambda: client.command("NOOP"),
        ]
    return chance.choice(choices)


@pytest.mark.parametrize("seed", [1, 2])
def test_all_sessions_end_with_the_same_view(server: Server, seed: int) -> None:
    clients = sessions_on_all_workers(server)
    assert len(workers_of(server, clients)) >= min(2, len(server.workers("imap")))
    errors: list[BaseException] = []

    def run(client: StrictIMAP, number: int) -> None:
        try:
            work(client, random.Random(seed * 100 + number))
        except BaseException as e:
            errors.append(e)

    threads = [
        threading.Thread(target=run, args=(client, number)) for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not errors, errors
    assert not any(thread.is_alive() for thread in threads)
    views = [client.view() for client in clients]
    fresh = StrictIMAP(server.imap)
    assert fresh.uids, "something is left"
    for view in views:
        assert view == fresh.view()
    for client in (*clients, fresh):
        client.close()
