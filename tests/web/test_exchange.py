"""HTTP on real connections: framing, limits, errors of applications, keeping alive."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import gevent
import pytest
from gunicorn.http.errors import ParseException

from mox.serving.context import Listen
from mox.web.exchange import Http
from mox.web.wire import Patience
from tests.serving.harness import (
    FakeContext,
    Running,
    connect,
    in_thread,
    listen_on,
    read_all,
    running,
    say,
    until,
)

SHORT = Patience(head_s=0.3, body_s=0.3, idle_s=0.3)


def application(environ, start_response) -> Iterable[bytes]:
    """Does what the path says."""
    path, body = environ["PATH_INFO"], environ["wsgi.input"]
    match path:
        case "/echo":
            data = body.read()
        case "/environ":
            names = ("REQUEST_METHOD", "QUERY_STRING", "HTTP_X_A", "CONTENT_TYPE", "SERVER_PORT")
            data = "\n".join(f"{n}={environ.get(n)}" for n in names).encode()
        case "/boom":
            raise RuntimeError("broken on purpose")
        case "/short":
            start_response("200 OK", [("Content-Length", "10")])
            return [b"123"]
        case "/parts" | "/half":
            start_response("200 OK", [])
            return parts(breaks=path == "/half")
        case _:
            data = path.encode("latin-1")
    start_response("200 OK", [("Content-Length", str(len(data)))])
    return [data]


def parts(*, breaks: bool) -> Iterator[bytes]:
    yield b"one"
    if breaks:
        raise RuntimeError("broken in the middle on purpose")
    yield b""
    yield b"two"


@contextmanager
def serving(
    app=application, patience: Patience | None = None, listen: Listen | None = None
) -> Iterator[Running]:
    ctx = FakeContext([listen or listen_on("http")])
    http = Http(app, ctx.cids, ctx.stopping.is_set, patience or Patience())
    with running(http.handle, ctx) as run:  # type: ignore[arg-type]
        yield run


@pytest.fixture
def port() -> Iterator[int]:
    with serving() as run:
        yield run.port


def ask(port: int, *requests: bytes) -> bytes:
    """Send requests at once and return all that is answered until the connection ends."""
    return in_thread(say, port, b"".join(requests))


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


LAST = "Connection: close"


def status_of(answer: bytes) -> int:
    match = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", answer)
    assert match is not None, answer
    return int(match[1])


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def test_a_request_is_answered(port: int) -> None:
    answer = ask(port, get("/hello", LAST))
    assert status_of(answer) == 200
    assert body_of(answer) == b"/hello"
    assert b"\r\nConnection: close\r\n" in answer
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", answer)


def test_nothing_is_told_of_the_program(port: int) -> None:
    assert b"\r\nServer:" not in ask(port, get("/", LAST))


def test_requests_follow_each_other_on_a_connection(port: int) -> None:
    answer = ask(port, get("/1"), get("/2"), get("/3", LAST))
    assert re.findall(rb"\r\n\r\n/([0-9])", answer) == [b"1", b"2", b"3"]


def test_every_octet_may_come_alone(port: int) -> None:
    post = get("/echo", "Content-Length: 5", method="POST") + b"hello"

    def client() -> bytes:
        with connect(port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in post + get("/end", LAST):
                sock.sendall(bytes((octet,)))
            return read_all(sock)

    answer = in_thread(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"\r\n\r\nhelloHTTP/1.1 200" in answer
    assert answer.endswith(b"/end")


def test_environ_has_what_the_request_says(port: int) -> None:
    request = get("/environ?a=b%20c", "X-A: 1", "X-A: 2", "Content-Type: text/x", "X_B: no", LAST)
    lines = body_of(ask(port, request)).decode().splitlines()
    assert lines == [
        "REQUEST_METHOD=GET",
        "QUERY_STRING=a=b%20c",
        "HTTP_X_A=1,2",
        "CONTENT_TYPE=text/x",
        f"SERVER_PORT={port}",
    ]


def test_fields_with_underscores_do_not_pass_for_others(port: int) -> None:
    lines = body_of(ask(port, get("/environ", "X_A: forged", LAST))).decode().splitlines()
    assert "HTTP_X_A=None" in lines


def test_a_body_of_unknown_length_is_sent_in_chunks(port: int) -> None:
    answer = ask(port, get("/parts", LAST))
    assert b"Transfer-Encoding: chunked" in answer
    assert body_of(answer) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_http_1_0_gets_no_chunks_and_an_end(port: int) -> None:
    answer = ask(port, get("/parts", version="1.0"))
    assert body_of(answer) == b"onetwo"
    assert b"Connection: close" in answer


def test_http_1_0_may_keep_a_connection(port: int) -> None:
    keep = "Connection: keep-alive"
    answer = ask(port, get("/1", keep, version="1.0"), get("/2", version="1.0"))
    assert answer.count(b"200 OK") == 2


def test_head_has_no_body(port: int, capsys) -> None:
    answer = ask(port, get("/hello", LAST, method="HEAD"))
    assert b"Content-Length: 6" in answer
    assert body_of(answer) == b""
    assert "body" not in capsys.readouterr().err


def test_a_chunked_body_is_read(port: int) -> None:
    request = get("/echo", "Transfer-Encoding: chunked", LAST, method="POST")
    chunks = b"3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"
    assert body_of(ask(port, request + chunks)) == b"abc0123456789"


def test_a_body_that_is_not_read_is_skipped(port: int) -> None:
    answer = ask(
        port,
        get("/ignored", "Content-Length: 200000", method="POST"),
        b"x" * 200000,
        get("/2", LAST),
    )
    assert answer.count(b"200 OK") == 2
    assert answer.endswith(b"/2")


def test_a_body_that_is_not_read_and_too_large_ends_the_connection(port: int) -> None:
    size = 50 << 20

    def client() -> bytes:
        with connect(port) as sock:
            sock.sendall(get("/ignored", f"Content-Length: {size}", method="POST"))
            answer = b""
            while b"/ignored" not in answer:
                answer += sock.recv(65536)
            try:
                for _ in range(size >> 16):
                    sock.sendall(bytes(1 << 16))
            except OSError:
                return answer
            return b""

    assert status_of(in_thread(client)) == 200


def test_the_body_of_an_expectant_client_is_asked_for_when_it_is_read(port: int) -> None:
    def client() -> bytes:
        with connect(port) as sock:
            fields = ("Expect: 100-Continue", "Content-Length: 5", LAST)
            sock.sendall(get("/echo", *fields, method="POST"))
            interim = sock.recv(1000)
            assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"hello")
            return read_all(sock)

    assert body_of(in_thread(client)) == b"hello"


def test_an_expectant_client_is_spared_a_body_that_nobody_reads(port: int) -> None:
    def client() -> bytes:
        with connect(port) as sock:
            fields = ("Expect: 100-continue", "Content-Length: 5000000")
            sock.sendall(get("/ignored", *fields, method="POST"))
            return read_all(sock)

    answer = in_thread(client)
    assert status_of(answer) == 200
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        # RFC 9112 §6.3: two lengths, or one that is none, must not be guessed at.
        (get("/echo", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (get("/echo", "Content-Length: 5", "Content-Length: 6"), 400),
        (get("/echo", "Content-Length: 5, 5"), 400),
        (get("/echo", "Content-Length: +5"), 400),
        (get("/echo", "Content-Length: 0x5"), 400),
        (get("/echo", "Transfer-Encoding: chunked, chunked"), 400),
        (get("/echo", "Transfer-Encoding: chunked, gzip"), 400),
        (get("/echo", "Transfer-Encoding: xchunked"), 501),
        (get("/echo", "Transfer-Encoding: \x0bchunked"), 400),
        (get("/echo", "Transfer-Encoding: chunked", version="1.0"), 400),
        (get("/echo", "Transfer-Encoding : chunked"), 400),
        # RFC 9112 §5.2: no folded lines. §2.2: lines end with CRLF.
        (get("/echo", "X-A: 1", " 2"), 400),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400),
        (get("/", "X-A: a\x00b"), 400),
        (get("/", "No colon"), 400),
        (get("/", ": empty name"), 400),
        (get("/", "Host: other"), 400),
        (get("/ two"), 400),
        (get("/\x01"), 400),
        (b"GET /\r\n\r\n", 400),
        (get("/", version="2.0"), 400),
        (get("/", version="0.9"), 400),
        (get("/", "Expect: something"), 417),
        (get("/" + "x" * 9000), 414),
        (get("/", "X-A: " + "x" * 9000), 431),
        (get("/", *(f"X-{i}: 1" for i in range(101))), 431),
        (get("/", *(f"X-{i}: {'x' * 5000}" for i in range(20))), 431),
    ],
)
def test_what_is_no_request_is_refused(port: int, request_: bytes, status: int) -> None:
    answer = ask(port, request_)
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5" * 10000,
    ],
)
def test_malformed_chunks_are_refused_and_nothing_after_them_is_read(
    port: int, chunks: bytes
) -> None:
    request = get("/echo", "Transfer-Encoding: chunked", method="POST")
    answer = ask(port, request, chunks, get("/smuggled", LAST))
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"/smuggled" not in answer


def test_a_body_that_is_cut_short_is_not_taken_for_whole() -> None:
    seen: list[bytes | BaseException] = []

    def app(environ, start_response):
        try:
            seen.append(environ["wsgi.input"].read())
        except BaseException as e:
            seen.append(e)
            raise
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app) as run:
        length = get("/", "Content-Length: 10", method="POST")
        chunked = get("/", "Transfer-Encoding: chunked", method="POST")
        assert ask(run.port, length, b"12345") == b""
        assert ask(run.port, chunked, b"5\r\n123") == b""
        until(lambda: len(seen) == 2)
    assert not any(isinstance(one, bytes) for one in seen)


def test_a_failing_application_is_answered_for(port: int, capsys) -> None:
    answer = ask(port, get("/boom"), get("/never"))
    assert status_of(answer) == 500
    assert b"broken on purpose" not in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "broken on purpose" in capsys.readouterr().err


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(port: int, capsys) -> None:
    assert body_of(ask(port, get("/half"))) == b"3\r\none\r\n"
    assert body_of(ask(port, get("/short"), get("/never"))) == b"123"


def test_tls_on_a_plain_port_gets_no_answer(port: int) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)
    assert ask(port, hello) == b""


def test_a_silent_client_is_let_go() -> None:
    with serving(patience=SHORT) as run:
        assert in_thread(lambda: read_all(connect(run.port))) == b""


def test_a_slow_head_is_cut_off() -> None:
    def client(port: int) -> bytes:
        with connect(port) as sock:
            try:
                for octet in get("/", "X: " + "x" * 1000):
                    sock.sendall(bytes((octet,)))
                    sock.settimeout(0.01)
                    try:
                        if sock.recv(100) == b"":
                            return b"closed"
                    except TimeoutError:
                        continue
            except OSError:
                return b"closed"
        return b"served"

    with serving(patience=SHORT) as run:
        assert in_thread(client, run.port) == b"closed"


def test_a_slow_body_is_cut_off() -> None:
    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.sendall(get("/echo", "Content-Length: 1000", method="POST"))
            sock.settimeout(0.01)
            for _ in range(1000):
                try:
                    sock.sendall(b"x")
                    if sock.recv(100) == b"":
                        return b"closed"
                except TimeoutError:
                    continue
                except OSError:
                    return b"closed"
        return b"served"

    with serving(patience=SHORT) as run:
        assert in_thread(client, run.port) == b"closed"


def test_an_idle_connection_is_kept_for_a_while_then_ended() -> None:
    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.sendall(get("/1"))
            return read_all(sock)

    with serving(patience=SHORT) as run:
        assert body_of(in_thread(client, run.port)) == b"/1"


def test_an_idle_connection_wakes_up() -> None:
    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.sendall(get("/1"))
            first = sock.recv(1000)
            # Longer than a connection keeps its greenlet.
            sock.settimeout(1.3)
            try:
                sock.recv(1)
            except TimeoutError:
                sock.settimeout(10)
            sock.sendall(get("/2", LAST))
            return first + read_all(sock)

    with serving() as run:
        assert in_thread(client, run.port).endswith(b"/2")


def test_a_stopping_process_finishes_and_says_close() -> None:
    begun, go_on = gevent.event.Event(), gevent.event.Event()

    def app(environ, start_response):
        begun.set()
        go_on.wait()
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    with serving(app) as run:
        answer = gevent.spawn(ask, run.port, get("/"))
        begun.wait(10)
        run.ctx.stopping.set()
        go_on.set()
        assert body_of(answer.get(timeout=10)) == b"done"


def test_exceptions_of_framing_are_what_applications_may_rely_on() -> None:
    caught: list[type[BaseException]] = []

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except ParseException as e:
            caught.append(type(e))
            raise
        return []

    with serving(app) as run:
        ask(run.port, get("/", "Transfer-Encoding: chunked", method="POST"), b"zz\r\n")
    assert len(caught) == 1


def test_environ_namespace_is_the_connection() -> None:
    seen: list[SimpleNamespace] = []

    def app(environ, start_response):
        arrival = environ["mox.connection"]
        seen.append(SimpleNamespace(cid=arrival.cid, ip=str(arrival.conn.remote_ip)))
        start_response("204 No Content", [])
        return []

    with serving(app) as run:
        ask(run.port, get("/"), get("/", LAST))
    assert len({one.cid for one in seen}) == 2
    assert {one.ip for one in seen} == {"127.0.0.1"}
