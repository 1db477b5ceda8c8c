"""`mox localserve` as a whole: what it prints, its metrics, stop, reload, upgrade."""

from __future__ import annotations

import contextlib
import http.client
import imaplib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import MOX, Server, eventually, running

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("localserve") / "server") as server:
        eventually(lambda: "ready to serve" in server.log)
        yield server


def get(server: Server, path: str, method: str = "GET") -> tuple[int, str, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.metrics)) as client:
        client.request(method, path)
        response = client.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()


def test_the_summary_names_what_is_there(server: Server) -> None:
    text = server.log
    assert "user mox@localhost, password moxmoxmox" in text
    for port in (server.smtp, server.submission, server.submissions, server.imap, server.imaps):
        assert f"localhost:{port} " in text
    assert f"http://localhost:{server.metrics}/metrics" in text
    assert str(server.certificate) in text
    assert "queue" in text
    assert "serving from newly created config dir" in text
    assert "admin/" not in text


def test_every_process_has_its_name(server: Server) -> None:
    count = len(os.sched_getaffinity(0))
    for kind in ("smtp worker", "submission worker", "imap worker"):
        assert len(server.workers(kind)) == count
    for kind in ("queue", "keeper"):
        assert len(server.workers(kind)) == 1
    assert len(server.workers("web")) == 2


def test_metrics_are_of_all_processes(server: Server) -> None:
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login("mox@localhost", "moxmoxmox")
    status, kind, text = get(server, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain")
    assert "mox_imap_connection_total" in text
    assert "mox_authentication_total{" in text


def test_the_index_leads_to_the_metrics(server: Server) -> None:
    status, kind, text = get(server, "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert 'href="metrics"' in text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("POST", "/metrics", 405)]
)
def test_other_requests(server: Server, method: str, path: str, status: int) -> None:
    assert get(server, path, method)[0] == status


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000,
        b"GET /" + b"x" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X%d: y\r\n" % n for n in range(1000))
        + b"\r\n",
        b"\x16\x03\x01" * 10_000,
    ],
)
def test_a_request_that_is_too_big_is_cut_off(server: Server, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.metrics), timeout=30) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(request_bytes)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(10000):
                answer += data
        assert b" 200 " not in answer


def test_a_second_server_names_the_port(server: Server, tmp_path: Path) -> None:
    words = ["localserve", "-dir", str(tmp_path / "other"), "-port-offset", str(server.offset)]
    result = subprocess.run([MOX, *words], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f":{server.smtp} (smtp of listener local): another program uses" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_password_can_be_set_while_it_runs(server: Server) -> None:
    config = str(server.directory / "mox.conf")

    def set_password(password: str) -> None:
        words = [MOX, "-config", config, "setaccountpassword", "mox"]
        subprocess.run(words, input=password, text=True, check=True, capture_output=True)

    def can_log_in(password: str) -> bool:
        with imaplib.IMAP4("127.0.0.1", server.imap) as client:
            try:
                return client.login("mox@localhost", password)[0] == "OK"
            except imaplib.IMAP4.error:
                return False

    set_password("another password")
    try:
        assert can_log_in("another password")
        assert not can_log_in("moxmoxmox")
    finally:
        set_password("moxmoxmox")


def test_reload_and_upgrade(server: Server) -> None:
    assert server.process is not None
    for count, number in ((2, signal.SIGHUP), (3, signal.SIGUSR2)):
        old = set(server.workers())
        server.process.send_signal(number)
        eventually(lambda count=count: server.log.count("ready to serve") == count, 30)
        eventually(lambda old=old: old.isdisjoint(server.workers()), 60)
        server.imap_client().logout()
        server.imap_client(tls=True).logout()
        assert get(server, "/metrics")[0] == 200


def test_a_bad_configuration_is_not_taken(server: Server) -> None:
    assert server.process is not None
    path = server.directory / "mox.conf"
    before = path.read_text()
    try:
        path.write_text(before.replace("Hostname:", "Hostnam:"))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "unknown field" in server.log or "Hostnam" in server.log)
    finally:
        path.write_text(before)
    server.imap_client().logout()


def test_stop_ends_all(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    server.start()
    words = [MOX, "-config", str(server.directory / "mox.conf"), "stop"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert server.process is not None
    assert server.process.wait(10) == signal.SIGTERM
    assert "Traceback" not in server.log
    # And again, from what is there.
    server.start()
    assert server.stop() == signal.SIGTERM
    assert "serving from existing config dir" in server.log
