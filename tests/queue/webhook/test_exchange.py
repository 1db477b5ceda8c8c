"""The HTTP of webhooks, without a network: what is sent, and what is made of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import __version__
from mox.queue.webhook.address import BadURL, parse_url
from mox.queue.webhook.exchange import (
    KEPT_OCTETS,
    MAX_BODY_OCTETS,
    MAX_HEAD_OCTETS,
    Answer,
    Exchange,
    NotHTTP,
    Request,
)

REQUEST = Request(id=7, attempt=2, body=b'{"Version":0}', authorization="Bearer s")
URL = "http://127.0.0.1:21090/out?a=b"


def begun(url: str = URL) -> Exchange:
    exchange = Exchange(parse_url(url))
    exchange.request(REQUEST)
    return exchange


def answer_to(data: bytes, *, eof: bool = False) -> Answer | None:
    exchange = begun()
    answer = exchange.receive(data) if data else None
    return exchange.receive(b"") if eof and answer is None else answer


def test_request_has_the_documented_form() -> None:
    assert Exchange(parse_url(URL)).request(REQUEST) == (
        b"POST /out?a=b HTTP/1.1\r\n"
        b"Host: 127.0.0.1:21090\r\n"
        b"User-Agent: mox/" + __version__.encode() + b" (webhook)\r\n"
        b"Content-Length: 13\r\n"
        b"Authorization: Bearer s\r\n"
        b"Content-Type: application/json; charset=utf-8\r\n"
        b"X-Mox-Webhook-Attempt: 2\r\n"
        b"X-Mox-Webhook-Id: 7\r\n"
        b"\r\n"
        b'{"Version":0}'
    )


def test_authorization_is_left_out_when_there_is_none() -> None:
    sent = Exchange(parse_url(URL)).request(Request(id=1, attempt=1, body=b"{}"))
    assert b"Authorization" not in sent


def test_user_of_the_url_authorizes_if_nothing_else_does() -> None:
    url = "http://me:p%40ss@a.example/"
    plain = Exchange(parse_url(url)).request(Request(id=1, attempt=1, body=b"{}"))
    assert b"Authorization: Basic bWU6cEBzcw==\r\n" in plain
    assert b"Host: a.example\r\n" in plain
    assert b"Authorization: Bearer s\r\n" in Exchange(parse_url(url)).request(REQUEST)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("http://a.example", "a.example", 80, "a.example", "/"),
        ("https://A.example:443/x", "a.example", 443, "a.example", "/x"),
        ("https://a.example:80/x?", "a.example", 80, "a.example:80", "/x"),
        ("http://[::1]:8080/", "::1", 8080, "[::1]:8080", "/"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/"),
        ("http://a.example/ü?q=ü#part", "a.example", 80, "a.example", "/%C3%BC?q=%C3%BC"),
        ("http://a.example/%2F%zz", "a.example", 80, "a.example", "/%2F%zz"),
    ],
)
def test_urls_are_taken_apart(url: str, host: str, port: int, authority: str, target: str) -> None:
    found = parse_url(url)
    assert (found.host, found.port) == (host, port)
    assert (found.authority, found.target) == (authority, target)
    assert found.is_tls == url.startswith("https")


@pytest.mark.parametrize("url", ["ftp://a.example", "http://", "http://a:x/", "http://[x", "x"])
def test_what_leads_nowhere_is_an_error(url: str) -> None:
    with pytest.raises(BadURL):
        parse_url(url)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("200 OK", ""),
        ("200 ", ""),
        ("204 No Content", 'http status "204 No Content", expected 200 ok'),
        ("302 Found", 'http status "302 Found", expected 200 ok'),
        ("500 Internal Server Error", 'http status "500 Internal Server Error", expected 200 ok'),
        ("410 ", 'http status "410 Gone", expected 200 ok'),
        ("299 ", 'http status "299", expected 200 ok'),
    ],
)
def test_only_200_is_success(line: str, error: str) -> None:
    answer = answer_to(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer is not None
    assert (answer.is_success, answer.error) == (not error, error)


def test_beginning_of_the_body_is_kept() -> None:
    body = b"x" * 2000
    answer = answer_to(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + body)
    assert answer == Answer(200, "OK", body[:KEPT_OCTETS], is_reusable=True)


def test_end_of_an_endless_body_is_not_waited_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange = begun()
    assert exchange.receive(head) is None
    assert exchange.partial() is None
    assert exchange.receive(b"200\r\n" + b"y" * 512 + b"\r\n") is None
    partial = exchange.partial()
    assert partial == Answer(200, "OK", b"y" * 512, is_reusable=False)
    for _ in range(MAX_BODY_OCTETS // 512):
        answer = exchange.receive(b"200\r\n" + b"y" * 512 + b"\r\n")
    assert answer == partial


def test_answer_until_the_end_of_the_connection() -> None:
    answer = answer_to(b"HTTP/1.0 200 OK\r\n\r\nfine", eof=True)
    assert answer == Answer(200, "OK", b"fine", is_reusable=False)


@pytest.mark.parametrize(
    "tail", [b"Connection: close\r\nContent-Length: 0\r\n\r\n", b"Content-Length: 0\r\n\r\nmore"]
)
def test_connection_that_cannot_be_trusted_is_not_used_again(tail: bytes) -> None:
    answer = answer_to(b"HTTP/1.1 200 OK\r\n" + tail)
    assert answer is not None
    assert (answer.is_success, answer.is_reusable) == (True, False)


def test_next_request_goes_over_the_same_connection() -> None:
    exchange = begun()
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for _ in range(3):
        answer = exchange.receive(ok)
        assert answer is not None
        assert answer.is_reusable
        assert exchange.request(REQUEST).startswith(b"POST ")
        assert not exchange.has_begun


def test_interim_answers_are_passed_over_but_not_for_ever() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    answer = answer_to(interim * 5 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert answer is not None
    assert answer.is_success
    with pytest.raises(NotHTTP, match="interim"):
        answer_to(interim * 100)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * (MAX_HEAD_OCTETS + 10),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"",
    ],
)
def test_garbage_is_no_answer(data: bytes) -> None:
    with pytest.raises(NotHTTP):
        assert answer_to(data, eof=True) is None


@given(st.binary(max_size=300), st.booleans())
def test_no_octets_do_more_than_fail(data: bytes, has_head: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\n" if has_head else b""
    try:
        answer_to(head + data, eof=True)
    except NotHTTP:
        return


def test_answer_may_come_octet_by_octet() -> None:
    exchange = begun()
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks"
    found = [exchange.receive(data[n : n + 1]) for n in range(len(data))]
    assert found[:-1] == [None] * (len(data) - 1)
    assert found[-1] == Answer(200, "OK", b"thanks", is_reusable=True)


@pytest.mark.parametrize("data", [b"220 smtp", b"S", b"HTTP/2"])
def test_what_does_not_begin_as_http_is_not_waited_for(data: bytes) -> None:
    exchange = begun()
    with pytest.raises(NotHTTP, match="not HTTP"):
        exchange.receive(data)
    # The receiver has got the request: it is not sent again over another connection.
    assert exchange.has_begun


def test_header_cannot_be_smuggled_in() -> None:
    with pytest.raises(NotHTTP):
        Exchange(parse_url(URL)).request(
            Request(id=1, attempt=1, body=b"", authorization="a\r\nX-Evil: 1")
        )
