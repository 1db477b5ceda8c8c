"""The web of a whole server: TLS, many connections, and ends of processes."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.server import Server, eventually, is_alive
from tests.tlsio.identities import identity

REQUEST = b"GET /webapi/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


def curl(*words: str) -> str:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection(host, port, timeout=30)
    try:
        yield client
    finally:
        client.close()


def ask(client: http.client.HTTPConnection, path: str = "/webapi/") -> tuple[int, str]:
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    return answer.status, answer.getheader("Connection") or ""


def is_read(sock: socket.socket) -> bool:
    """Whether the server has accepted a connection, and read all that was sent on it."""
    pair = (sock.getpeername()[1], sock.getsockname()[1])
    # proc_net_tcp: addresses, then queues, and the inode, which is 0 until it is accepted.
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if tuple(int(field.rpartition(":")[2], 16) for field in fields[1:3]) == pair:
            return fields[9] != "0" and int(fields[4].rpartition(":")[2], 16) == 0
    return False


def leaf_name(port: int, server_name: str | None) -> str:
    """The common name of the certificate that a client gets who asks for this name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as sock,
        context.wrap_socket(sock, server_hostname=server_name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        tls.sendall(REQUEST)
        assert tls.recv(100).startswith(b"HTTP/1.1 303 ")
    name = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name[0].value)


def test_curl_speaks_with_every_port(shared: Server) -> None:
    ca = str(shared.certificate)
    plain = curl(f"http://localhost:{shared.http}/webapi/")
    assert plain.startswith("HTTP/1.1 303 See Other")
    assert "Location: /webapi/v0/" in plain
    assert "303 See Other" in curl("--cacert", ca, f"https://localhost:{shared.https}/webapi/")
    assert "303 See Other" in curl("--http1.0", f"http://127.0.0.1:{shared.http}/webapi")
    assert "404 Not Found" in curl(f"http://localhost:{shared.http}/")
    forged = curl("--header", "Host: evil.example", f"http://localhost:{shared.http}/webapi/")
    assert forged.startswith("HTTP/1.1 404 ")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_both_versions_of_tls_are_spoken(shared: Server, version: str) -> None:
    ca = str(shared.certificate)
    url = f"https://localhost:{shared.https}/webapi/"
    words = ("--cacert", ca, f"--tlsv{version}", "--tls-max", version)
    assert curl(*words, url).startswith("HTTP/1.1 303 ")


def test_a_client_of_http_2_alone_is_refused(shared: Server) -> None:
    context = shared.tls()
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("localhost", shared.https), timeout=30) as sock,
        pytest.raises(ssl.SSLError),
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        tls.recv(1)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("localhost", shared.https), timeout=30) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        assert tls.selected_alpn_protocol() == "http/1.1"


def test_requests_are_counted_and_logged(shared: Server) -> None:
    curl("--header", "X-Test: 1", f"http://localhost:{shared.http}/webapi/?secret=1")
    with urllib.request.urlopen(f"http://localhost:{shared.metrics}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    labels = 'code="303",handler="webapi",method="GET",proto="http"'
    for name in ("request", "response"):
        assert f"mox_httpserver_{name}_duration_seconds_count{{{labels}}}" in text
    line = r'm="http request" pkg=http method=GET path=/webapi/ status=303 .* cid=[0-9a-f]+'
    assert re.search(line, shared.log)
    assert "secret=1" not in shared.log


def test_a_thousand_connections_are_served_side_by_side(shared: Server) -> None:
    with ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", shared.http), timeout=60))
            for _ in range(1000)
        ]
        for _ in range(2):
            for sock in socks:
                sock.sendall(REQUEST)
            for sock in socks:
                assert sock.recv(4096).startswith(b"HTTP/1.1 303 ")


def two_names(server: Server) -> None:
    """Give the listener a second certificate, for other.example."""
    other = identity("other.example")
    (server.directory / "other.crt").write_bytes(other.chain_pem)
    (server.directory / "other.key").write_bytes(other.key_pem)
    second = "\t\t\t\t-\n\t\t\t\t\tCertFile: other.crt\n\t\t\t\t\tKeyFile: other.key\n"
    first = "\t\t\t\t\tKeyFile: localhost.key\n"
    server.edit("mox.conf", first, first + second)


def hang_up(server: Server) -> None:
    """SIGHUP, and wait until the new workers serve."""
    before = server.log.count("ready to serve")
    server.signal(signal.SIGHUP)
    eventually(lambda: server.log.count("ready to serve") > before, 30)


def test_the_certificate_is_the_one_for_the_name_and_changes_without_a_restart(
    server: Server,
) -> None:
    assert leaf_name(server.https, "other.example") == "localhost"
    two_names(server)
    hang_up(server)
    pid = server.pid
    assert leaf_name(server.https, "localhost") == "localhost"
    assert leaf_name(server.https, "other.example") == "other.example"
    assert leaf_name(server.https, "unknown.example") == "localhost"
    assert leaf_name(server.https, None) == "localhost"
    renewed = identity("other.example", "renewed.example")
    (server.directory / "other.crt").write_bytes(renewed.chain_pem)
    (server.directory / "other.key").write_bytes(renewed.key_pem)
    hang_up(server)
    assert leaf_name(server.https, "renewed.example") == "other.example"
    assert server.pid == pid


def test_a_request_under_way_is_answered_when_the_server_stops(server: Server) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.http), timeout=30) as busy,
        socket.create_connection(("127.0.0.1", server.http), timeout=30) as idle,
    ):
        idle.sendall(REQUEST)
        assert b"keep-alive" in idle.recv(4096)
        busy.sendall(REQUEST[:20])
        eventually(lambda: is_read(busy))
        server.signal(signal.SIGTERM)
        assert idle.recv(4096) == b""
        busy.sendall(REQUEST[20:])
        answer = busy.recv(4096)
        assert answer.startswith(b"HTTP/1.1 303 ")
        assert b"Connection: close" in answer
        assert busy.recv(4096) == b""
    assert server.stop() == signal.SIGTERM


def test_a_killed_worker_takes_only_its_own_connections(server: Server) -> None:
    eventually(lambda: len(server.workers("web worker")) == len(os.sched_getaffinity(0)))
    victim, *others = sorted(server.workers("web worker"))
    clients = [http.client.HTTPConnection("127.0.0.1", server.http, timeout=30) for _ in range(40)]
    assert {ask(client)[0] for client in clients} == {303}
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not is_alive(victim))
    lost = 0
    for client in clients:
        try:
            assert ask(client)[0] == 303
        except (OSError, http.client.HTTPException):
            lost += 1
        client.close()
    assert 0 < lost < len(clients) if others else lost == len(clients)
    for _ in range(40):
        with connected(server.http) as client:
            assert ask(client)[0] == 303
    eventually(lambda: len(server.workers("web worker")) == len(others) + 1)


class Callers:
    """Threads that ask all the time, over connections that they keep as long as they may."""

    def __init__(self, server: Server, threads: int = 4) -> None:
        self._server = server
        self._stop = threading.Event()
        self.answered = [0] * threads
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(threads)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, index: int) -> None:
        try:
            while not self._stop.is_set():
                with connected(self._server.http) as client:
                    self._ask_on(client, index)
        except (OSError, http.client.HTTPException, AssertionError) as exc:
            self.errors.append(repr(exc))

    def _ask_on(self, client: http.client.HTTPConnection, index: int) -> None:
        says = "keep-alive"
        while says == "keep-alive" and not self._stop.is_set():
            status, says = ask(client)
            assert status == 303
            self.answered[index] += 1


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGHUP])
def test_no_request_is_lost_when_workers_are_replaced(
    server: Server, number: signal.Signals
) -> None:
    old = set(server.workers("web worker"))
    with Callers(server) as callers:
        server.signal(number)
        eventually(lambda: not any(is_alive(pid) for pid in old), 60)
        before = list(callers.answered)
        eventually(lambda: all(now > b for now, b in zip(callers.answered, before, strict=True)))
    assert callers.errors == []


def test_a_load_balancer_tells_the_client(server: Server) -> None:
    proxy = "\t\tProxyProtocol:\n\t\t\tNetworks:\n\t\t\t\t- 127.0.0.1/32\n"
    marker = "\t\t# For Prometheus.\n"
    server.edit("mox.conf", marker, proxy + marker)
    hang_up(server)
    header = b"PROXY TCP4 192.0.2.77 192.0.2.1 4711 80\r\n"
    with socket.create_connection(("127.0.0.1", server.http), timeout=30) as sock:
        sock.sendall(header + REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 303 ")
    eventually(lambda: "remote_ip=192.0.2.77" in server.log)
    with socket.create_connection(("127.0.0.1", server.http), timeout=30) as sock:
        sock.sendall(REQUEST)
        assert not sock.recv(4096)
