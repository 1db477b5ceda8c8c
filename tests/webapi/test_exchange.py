"""Connections that are lost, that stall, or that are not with a webapi."""

from __future__ import annotations

import io
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from mox.webapi.client import Client, Refused, Unreachable, Upload
from mox.webapi.exchange import _has_ended
from mox.webapi.types import NameAddress, SendRequest
from tests.support.server import eventually
from tests.webapi.fakeserver import raw_server, read_request

PRESENT = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"Present":true}'
SENT = b'{"MessageID":"<a@b>","Submissions":[]}'
MESSAGE = SendRequest(to=(NameAddress(address="mox@localhost"),), text="x")


def lost(connection: socket.socket) -> None:
    """End without an answer."""
    read_request(connection)


def reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def present(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(PRESENT)


def sent(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(SENT), SENT))


def client_of(url: str, **kwargs: int) -> Client:
    return Client(url, "mox@localhost", "moxmoxmox", timeout_s=10, **kwargs)


@pytest.mark.parametrize("ends", [lost, reset])
def test_what_does_no_harm_is_called_again(ends: object) -> None:
    with raw_server(ends, ends, present) as url:  # type: ignore[arg-type]
        assert client_of(url).suppression_present("a@b.example")


def test_a_closed_connection_is_not_used_again() -> None:
    with raw_server(present, present) as url:
        client = client_of(url, retries=0)
        assert client.suppression_present("a@b.example")
        [kept] = client._exchanges._idle
        eventually(lambda: _has_ended(kept))
        assert client.suppression_present("a@b.example")


def test_send_is_called_again_with_the_same_key() -> None:
    heads: list[bytes] = []

    def first(connection: socket.socket) -> None:
        heads.append(read_request(connection))

    def second(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(SENT), SENT))
        heads.append(read_request(connection))

    with raw_server(first, second) as url:
        client_of(url).send(MESSAGE, attached=[Upload(b"x" * 200_000, "file")])
    keys = [
        line for head in heads for line in head.split(b"\r\n") if line.startswith(b"Idempotency")
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_what_is_not_to_be_done_twice_is_not() -> None:
    with raw_server(lost) as url, pytest.raises(Unreachable, match="lost") as caught:
        client_of(url).message_delete(7)
    assert caught.value.may_have_happened


@pytest.mark.parametrize("retries", [0, 1])
def test_tries_are_counted(retries: int) -> None:
    with raw_server(*[lost] * (retries + 1)) as url, pytest.raises(Unreachable, match="lost"):
        client_of(url, retries=retries).suppression_list()


def test_an_answer_before_everything_is_sent() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        body = b'{"Code":"messageTooLarge","Message":"message too large"}'
        connection.sendall(b"HTTP/1.1 400 no\r\nConnection: close\r\nContent-Length: 56\r\n\r\n")
        connection.sendall(body)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with raw_server(refuse) as url, pytest.raises(Refused, match="message too large"):
        client_of(url).send(MESSAGE, attached=[Upload(bytes(3_000_000), "file")])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_breaks_off(answer: bytes) -> None:
    def broken(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    for _ in range(2):
        with raw_server(broken) as url, pytest.raises(Unreachable, match="middle of the answer"):
            client_of(url).message_raw_get(7, io.BytesIO())
        with raw_server(broken) as url, pytest.raises(Unreachable, match="middle of the answer"):
            client_of(url).suppression_list()


def test_something_else_than_http() -> None:
    def ssh(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with raw_server(ssh) as url, pytest.raises(Unreachable, match="does not speak HTTP"):
        client_of(url).suppression_list()


def test_no_answer_in_time() -> None:
    done = threading.Event()

    def silent(connection: socket.socket) -> None:
        read_request(connection)
        done.wait(30)

    with raw_server(silent) as url:
        client = Client(url, "mox@localhost", "moxmoxmox", timeout_s=0.2)
        try:
            with pytest.raises(Unreachable, match=r"no answer within 0.2 seconds") as caught:
                client.send(MESSAGE)
        finally:
            done.set()
    assert caught.value.may_have_happened


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match=f"no connection to 127.0.0.1 port {port}") as caught:
        client_of(f"http://127.0.0.1:{port}/webapi/").suppression_list()
    assert not caught.value.may_have_happened
    with pytest.raises(Unreachable, match="no connection"):
        client_of(f"http://{'a' * 70}.example/").suppression_list()


def test_an_error_of_the_writer_is_its_own() -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    with raw_server(present) as url, pytest.raises(OSError, match="No space"):
        client_of(url).message_raw_get(7, Full())


def test_certificates_are_verified(tmp_path: Path) -> None:
    from tests.tlsio.identities import identity

    known = identity("localhost")
    pem = tmp_path / "both.pem"
    pem.write_bytes(known.key_pem + known.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def over_tls(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                present(secure)
        except (OSError, ValueError):
            return  # the client does not want to talk

    with raw_server(over_tls, over_tls) as url:
        url = url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(Unreachable, match="certificate verify failed") as caught:
            client_of(url).suppression_present("a@b.example")
        assert not caught.value.may_have_happened
        trusted = ssl.create_default_context(cadata=known.chain_pem.decode())
        client = Client(url, "mox@localhost", "moxmoxmox", tls=trusted, timeout_s=10)
        assert client.suppression_present("a@b.example")
