"""Sockets for questions: used again where nobody else can send to them, and only there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rrset
import pytest

from mox.dns import Resolver, Status, sockets
from mox.dns.sockets import Server, Sockets
from tests.support.fakedns import FakeDNS

NAMES = ("a.example", "b.example")


class Listener:
    """A name server that answers each question twice, and notes from which port it came."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address: Server = self.sock.getsockname()
        self.ports: list[int] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            wire, client = self.sock.recvfrom(4096)
            if not wire:
                return
            self.ports.append(client[1])
            query = dns.message.from_wire(wire)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{name}"'))
            for _ in range(2):
                self.sock.sendto(answer.to_wire(), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self.thread.join(10)
        self.sock.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def resolver(listener: Listener) -> Resolver:
    return Resolver(server=f"127.0.0.1:{listener.address[1]}", timeout_s=10)


def ask(resolver: Resolver) -> list[tuple[str, ...]]:
    return [tuple(map(str, resolver.query(name, "TXT").records)) for name in NAMES]


def test_a_server_on_this_machine_is_asked_from_one_port(
    listener: Listener, resolver: Resolver
) -> None:
    found = ask(resolver)
    assert len(set(listener.ports)) == 1
    # The second answer to the first question was there before that to the second.
    assert [name in records[0] for name, records in zip(NAMES, found, strict=True)] == [True] * 2


def test_another_machine_is_asked_from_a_port_of_its_own_each_time(
    listener: Listener, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "is_loopback", lambda _: False)
    opened: list[socket.socket] = []
    real = sockets.connected

    def connected(server: Server, kind: socket.SocketKind) -> socket.socket:
        opened.append(real(server, kind))
        return opened[-1]

    monkeypatch.setattr(sockets, "connected", connected)
    ask(resolver)
    assert [sock.fileno() for sock in opened] == [-1, -1]
    assert len(listener.ports) == 2


def test_a_socket_belongs_to_one_question_at_a_time(listener: Listener) -> None:
    kept = Sockets()
    first, second = kept.take(listener.address), kept.take(listener.address)
    assert first is not second
    kept.give_back(listener.address, first)
    assert kept.take(listener.address) is first
    for sock in (first, second):
        sock.close()


def test_no_more_than_some_are_kept_and_none_for_servers_of_before(listener: Listener) -> None:
    kept = Sockets()
    taken = [kept.take(listener.address) for _ in range(sockets._KEPT + 1)]
    for sock in taken:
        kept.give_back(listener.address, sock)
    assert [sock.fileno() == -1 for sock in taken] == [False] * sockets._KEPT + [True]
    kept.close()
    assert all(sock.fileno() == -1 for sock in taken)


def test_a_question_without_answer_leaves_no_socket_behind() -> None:
    zone = {("a.example", "TXT"): ["DROP"], ("b.example", "TXT"): ['"b"']}
    with FakeDNS(zone) as server:
        resolver = Resolver(server=server.server, timeout_s=10)
        assert resolver.query("a.example", "TXT", 0.2).status is Status.TEMPORARY
        assert not any(resolver._sockets._kept.values())
        assert resolver.query("b.example", "TXT").status is Status.OK
