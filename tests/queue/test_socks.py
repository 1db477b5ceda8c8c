"""Delivery through a SOCKS5 proxy: a small one, in greenlets of the test's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

import gevent
import gevent.socket
import pytest
from gevent.server import StreamServer

from mox.store import tls_results
from tests.queue.peer import Peer
from tests.queue.site import Site, mx

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]


class Proxy:
    """Connects where it is asked to; `reply` other than 0 refuses, `stall` says nothing."""

    def __init__(self) -> None:
        self.reply = 0
        self.stall = False
        self.method = 0
        self.asked: list[str] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: gevent.socket.socket, address: object) -> None:
        try:
            with sock:
                self._dialogue(sock)
        except OSError:
            return

    def _dialogue(self, sock: gevent.socket.socket) -> None:
        assert sock.recv(3) == b"\x05\x01\x00"
        sock.sendall(bytes((5, self.method)))
        if self.method:
            return
        version, command, _, kind = sock.recv(4)
        assert (version, command) == (5, 1)
        ip = ip_address(sock.recv(4 if kind == 1 else 16))
        port = int.from_bytes(sock.recv(2), "big")
        self.asked.append(f"{ip} {port}")
        if self.stall:
            gevent.sleep(3600)
        sock.sendall(bytes((5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0)))
        if self.reply:
            return
        with gevent.socket.create_connection((str(ip), port)) as other:
            gevent.joinall(
                [gevent.spawn(_copy, sock, other), gevent.spawn(_copy, other, sock)], count=1
            )


def _copy(source: gevent.socket.socket, target: gevent.socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


@pytest.fixture
def through(make_site: MakeSite) -> Callable[..., Site]:
    """A site whose mail goes through a proxy at `address`."""

    def make(address: str, peer: Peer, *ips: str, **options: object) -> Site:
        static = (
            "Transports:\n\tproxy:\n\t\tSocks:\n"
            f"\t\t\tAddress: {address}\n\t\t\tRemoteIPs:\n\t\t\t\t- 192.0.2.9\n"
            "\t\t\tRemoteHostname: out.example\n"
        )
        names = mx(*(ips or ("127.0.0.1",))) | {("proxy.example", "A"): ("127.0.0.1",)}
        dynamic = "Routes:\n\t-\n\t\tTransport: proxy\n"
        return make_site(names=names, port=peer.port, static=static, dynamic=dynamic, **options)

    return make


def attempt(site: Site, *recipients: str) -> None:
    site.submit(*(recipients or ("you@there.example",)))
    site.start()
    site.until_attempted()


@pytest.mark.parametrize("host", ["proxy.example", "127.0.0.1"])
def test_message_goes_through_the_proxy(
    through: Callable[..., Site], make_peer: MakePeer, proxy: Proxy, host: str
) -> None:
    peer = make_peer()
    site = through(f"{host}:{proxy.port}", peer)
    attempt(site)
    assert [mail.recipients for mail in peer.mails] == [["you@there.example"]]
    assert peer.lines[0] == "EHLO out.example"
    assert proxy.asked == [f"127.0.0.1 {peer.port}"]
    site.until_empty()
    [retired] = site.retired()
    # The server, and not the proxy.
    assert retired.dialed_ips == {"h1.there.example": ("127.0.0.1",)}
    site.until(lambda: tls_results.of_day(site.ctx.store, ""))
    [record] = [r for r in tls_results.of_day(site.ctx.store, "") if not r.is_host]
    [detail] = record.results[0].details
    assert (detail.sending_ip, detail.receiving_ip) == ("192.0.2.9", "127.0.0.1")


def test_only_families_of_the_proxy_are_used(
    through: Callable[..., Site], make_peer: MakePeer, proxy: Proxy
) -> None:
    peer = make_peer()
    site = through(f"127.0.0.1:{proxy.port}", peer, "::1 127.0.0.1")
    attempt(site)
    assert proxy.asked == [f"127.0.0.1 {peer.port}"]
    assert len(peer.mails) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"reply": 5}, "SOCKS proxy: connection refused"),
        ({"reply": 2}, "SOCKS proxy: not allowed by its rules"),
        ({"method": 255}, "SOCKS proxy wants a login"),
    ],
)
def test_proxy_that_does_not_connect(
    through: Callable[..., Site],
    make_peer: MakePeer,
    proxy: Proxy,
    change: dict[str, int],
    error: str,
) -> None:
    for name, value in change.items():
        setattr(proxy, name, value)
    site = through(f"127.0.0.1:{proxy.port}", make_peer())
    attempt(site)
    [msg] = site.queued()
    assert error in msg.results[-1].error
    assert not msg.results[-1].success


def test_proxy_that_is_silent(
    through: Callable[..., Site],
    make_peer: MakePeer,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mox.queue.connect.DIAL_TIMEOUT_S", 0.2)
    proxy.stall = True
    site = through(f"127.0.0.1:{proxy.port}", make_peer())
    attempt(site)
    [msg] = site.queued()
    assert msg.results[-1].error


def test_proxy_that_is_not_there(
    through: Callable[..., Site], make_peer: MakePeer, proxy: Proxy
) -> None:
    proxy.stop()
    site = through(f"127.0.0.1:{proxy.port}", make_peer())
    attempt(site)
    [msg] = site.queued()
    assert "refused" in msg.results[-1].error


def test_proxy_without_address(through: Callable[..., Site], make_peer: MakePeer) -> None:
    site = through("nowhere.example:1080", make_peer())
    attempt(site)
    [msg] = site.queued()
    assert "SOCKS proxy of transport proxy: nowhere.example has no address" in (
        msg.results[-1].error
    )


def test_own_mailboxes_need_no_proxy(
    through: Callable[..., Site], make_peer: MakePeer, proxy: Proxy
) -> None:
    site = through(f"127.0.0.1:{proxy.port}", make_peer())
    attempt(site, "mjl@example.org")
    site.until_empty()
    assert len(site.mailbox()) == 1
    assert proxy.asked == []
