"""Receiving webhooks: who may call, what is read, and the WSGI application."""

from __future__ import annotations

import io
from wsgiref.types import WSGIEnvironment
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import msgspec
import pytest

from mox.webapi.hooks import Incoming, Outgoing, encode
from mox.webapi.receiver import MAX_BODY, BadCall, Call, Receiver, decode_payload
from tests.webapi.test_hooks import INCOMING, SUPPRESSED, incoming, suppressed

HEADER = {
    "Content-Type": "application/json; charset=utf-8",
    "X-Mox-Webhook-Attempt": "2",
    "X-Mox-Webhook-Id": "7",
    "Authorization": "Bearer secret",
}


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        {name.lower(): value for name, value in HEADER.items()},
        {name.upper(): value for name, value in HEADER.items()},
        {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADER.items()},
    ],
)
def test_a_call_is_read_whatever_the_server_makes_of_its_header(header: dict[str, str]) -> None:
    call = Receiver("Bearer secret").receive(header, SUPPRESSED)
    assert call == Call(7, 2, suppressed())
    payload = Receiver().receive(header, INCOMING).payload
    assert isinstance(payload, Incoming)
    assert payload.meta.msg_id == 71


@pytest.mark.parametrize("given", [None, "", "Bearer wrong", "Bearer secret ", "bearer secret"])
def test_strangers_are_not_let_in(given: str | None) -> None:
    header = {name: value for name, value in HEADER.items() if name != "Authorization"}
    if given is not None:
        header["Authorization"] = given
    with pytest.raises(BadCall, match="Authorization") as caught:
        Receiver("Bearer secret").receive(header, SUPPRESSED)
    assert caught.value.status == 401


@pytest.mark.parametrize("number", [None, "", "x", "-1", "1.0", "٣", "9" * 30])
@pytest.mark.parametrize("name", ["X-Mox-Webhook-Id", "X-Mox-Webhook-Attempt"])
def test_numbers_have_to_be_there(name: str, number: str | None) -> None:
    header = {key: value for key, value in HEADER.items() if key != name}
    if number is not None:
        header[name] = number
    with pytest.raises(BadCall, match=f"{name} is not a number"):
        Receiver().receive(header, SUPPRESSED)


def test_what_newer_and_other_servers_send_is_read() -> None:
    newer = SUPPRESSED[:-1] + b',"New":{"a":[1]}}'
    assert decode_payload(newer) == suppressed()
    of_go = SUPPRESSED.replace(b'"Extra":{}', b'"Extra":null')
    assert decode_payload(of_go) == suppressed()
    unknown = decode_payload(SUPPRESSED.replace(b"suppressed", b"vanished"))
    assert isinstance(unknown, Outgoing)
    assert unknown.event == "vanished"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"nonsense",
        b'{"Event":3}',
        b'{"Event":"failed"}',
        b'{"Event":"failed","Extra":{"a":1}}',
        SUPPRESSED[:-1],
        SUPPRESSED.replace(b"sup", b"\xff"),
        INCOMING.replace(b'"Parts":[]', b'"Parts":' + b'[{"Parts":' * 5000),
        b'{"Event":' + b"[" * 100_000,
    ],
)
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(BadCall, match="not the payload") as caught:
        decode_payload(body)
    assert caught.value.status == 400


# ---- the WSGI application


def call_application(
    calls: list[Call], method: str = "POST", body: bytes = SUPPRESSED, **environ: str
) -> str:
    """Return the status."""
    env: WSGIEnvironment = {}
    setup_testing_defaults(env)
    header = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADER.items()}
    length = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": header.pop("HTTP_CONTENT_TYPE")}
    env |= {
        "QUERY_STRING": "",
        "REQUEST_METHOD": method,
        "wsgi.input": io.BytesIO(body),
        **header,
        **length,
        **environ,
    }
    statuses: list[str] = []

    def start(status: str, headers: object, exc_info: object = None) -> object:
        statuses.append(status)
        return lambda _: None

    result = validator(Receiver("Bearer secret").application(calls.append))(env, start)
    b"".join(result)
    result.close()  # type: ignore[attr-defined]
    return statuses[0]


def test_the_application_hands_calls_over() -> None:
    calls: list[Call] = []
    assert call_application(calls) == "200 OK"
    assert call_application(calls, body=encode(incoming())) == "200 OK"
    assert [type(call.payload) for call in calls] == [Outgoing, Incoming]


def test_the_application_refuses() -> None:
    calls: list[Call] = []
    wrong = {"HTTP_AUTHORIZATION": "Bearer wrong"}
    assert call_application(calls, method="GET") == "405 Method Not Allowed"
    assert call_application(calls, **wrong) == "401 Unauthorized"
    assert call_application(calls, body=b"{}") == "400 Bad Request"
    assert call_application(calls, CONTENT_LENGTH="") == "400 Bad Request"
    assert call_application(calls, CONTENT_LENGTH=str(MAX_BODY + 1)) == "413 Content Too Large"
    assert call_application(calls, CONTENT_LENGTH="9" * 4000) == "413 Content Too Large"
    assert calls == []


def test_an_error_of_the_program_is_not_answered_with_success() -> None:
    def fail(call: Call) -> None:
        raise RuntimeError("database is away")

    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADER.items()}
    environ |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(SUPPRESSED))}
    environ["wsgi.input"] = io.BytesIO(SUPPRESSED)
    statuses: list[object] = []
    application = Receiver().application(fail)
    with pytest.raises(RuntimeError):
        application(environ, lambda *args: statuses.append(args) or (lambda _: None))  # type: ignore[func-returns-value]
    assert statuses == []


def test_the_largest_texts_fit() -> None:
    text = "<" * (1 << 20)
    body = encode(incoming(text=text, html=text, subject="x" * 100_000))
    assert len(body) < MAX_BODY
    payload = decode_payload(body)
    assert msgspec.structs.astuple(payload)[-4:-2] == (text, text)
