"""How calls are made over HTTP: paths, logins, forms, errors."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlencode

import pytest

from tests.support.server import USER, Server
from tests.web.webapi.calls import FORM, Upload, Webapi, multipart

pytestmark = pytest.mark.e2e

LIST = b"request=%7B%7D"
PRESENT = {"EmailAddress": "nobody@calls.example"}


@pytest.mark.parametrize(
    ("verb", "path", "status", "text"),
    [
        ("GET", "/webapi", 303, None),
        ("GET", "/webapi/", 303, None),
        ("POST", "/webapi/", 405, b"405 - method not allow\n"),
        ("GET", "/webapi/v0/", 200, None),
        ("POST", "/webapi/v0/", 200, None),
        ("GET", "/webapi/v0", 404, b"404 page not found\n"),
        ("GET", "/webapi/v1/Send", 404, b"404 page not found\n"),
        ("GET", "/webapi/v0/Send", 200, None),
        ("GET", "/webapi/v0/send", 404, b"404 page not found\n"),
        ("POST", "/webapi/v0/NoSuchMethod", 404, b"404 page not found\n"),
        ("PUT", "/webapi/v0/Send", 405, b"405 - method not allowed - use get or post\n"),
        ("OPTIONS", "/webapi/v0/Send", 405, b"405 - method not allowed - use get or post\n"),
        ("HEAD", "/webapi/v0/Send", 405, None),
    ],
)
def test_paths_without_login(
    webapi: Webapi, verb: str, path: str, status: int, text: bytes | None
) -> None:
    answer = webapi.http(verb, path)
    assert answer.status == status
    assert text in (None, answer.body)
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_the_top_leads_to_the_version(webapi: Webapi) -> None:
    assert webapi.http("GET", "/webapi").headers["Location"] == "/webapi/"
    assert webapi.http("GET", "/webapi/").headers["Location"] == "/webapi/v0/"


def test_answers_carry_headers_for_browsers(webapi: Webapi) -> None:
    bad = webapi.call("SuppressionPresent", {"EmailAddress": "x"})
    assert bad.code == "badAddress"
    refused = Webapi(webapi.port, USER, "wrong password").call("SuppressionList")
    for answer in (webapi.call("SuppressionList"), bad, refused):
        assert answer.headers["Content-Security-Policy"] == (
            "default-src 'self' 'unsafe-inline' data:"
        )
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "deny"


@pytest.mark.parametrize(
    "authorization",
    [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic " + base64.b64encode(b"nobody@localhost:moxmoxmox").decode()},
    ],
)
def test_without_a_good_login_the_answer_is_401(
    webapi: Webapi, authorization: dict[str, str]
) -> None:
    headers = {"Content-Type": FORM, **authorization}
    answer = webapi.http("POST", "/webapi/v0/SuppressionList", LIST, headers)
    assert answer.status == 401
    assert answer.headers["Www-Authenticate"] == "Basic realm=webapi"
    assert (
        answer.body == b"401 - unauthorized - use http basic auth with email address as username\n"
    )


def test_other_addresses_of_the_account_log_in_as_well(webapi: Webapi) -> None:
    assert Webapi(webapi.port, "MOX+tag@localhost").ok("SuppressionPresent", PRESENT)


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (LIST, "", "unknown content-type "),
        (LIST, "text/plain", "missing/empty request"),
        (b"", FORM, "missing/empty request"),
        (b"other=1", FORM, "missing/empty request"),
        (b"request=", FORM, "missing/empty request"),
        (b"request=%zz", FORM, "parsing form: invalid url escape"),
        (b"", "application/json", "missing/empty request"),
        (
            b"x",
            "multipart/form-data",
            "parsing form: no multipart boundary param in Content-Type",
        ),
        (b"request=%7B", FORM, None),
        (b"{", "application/json", None),
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b", None),
        (b"request=" + b"x" * (10 << 20), FORM, "parsing form: http: POST too large"),
        (b" " * ((10 << 20) + 1), "application/json", "parsing form: http: POST too large"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_protocol_error(
    webapi: Webapi, body: bytes, content_type: str, message: str | None
) -> None:
    answer = webapi.post("SuppressionList", body, content_type)
    assert answer.code == "protocol"
    assert message in (None, answer.json["Message"])


def test_the_request_is_not_taken_from_the_query(webapi: Webapi) -> None:
    query = urlencode({"request": json.dumps(PRESENT)})
    answer = webapi.post(f"SuppressionPresent?{query}", b"")
    assert answer.json == {"Code": "protocol", "Message": "missing/empty request"}


def test_the_request_is_no_file(webapi: Webapi) -> None:
    field = b'Content-Disposition: form-data; name="request"; filename="x"'
    body = b"--b\r\n%b\r\n\r\n{}\r\n--b--\r\n" % field
    answer = webapi.post("SuppressionList", body, "multipart/form-data; boundary=b")
    assert answer.json == {"Code": "protocol", "Message": "missing/empty request"}


def test_too_much_in_a_field_is_refused(webapi: Webapi) -> None:
    body, content_type = multipart("x" * (11 << 20), [])
    answer = webapi.post("SuppressionList", body, content_type)
    assert answer.json == {
        "Code": "protocol",
        "Message": "parsing form: multipart: message too large",
    }


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"request=" + quote(json.dumps(PRESENT)).encode(), FORM),
        (b"a=b&request=" + quote(json.dumps(PRESENT)).encode() + b"&request=x", FORM),
        (b"request=" + json.dumps(PRESENT).replace(" ", "+").encode(), FORM + "; charset=utf-8"),
        (json.dumps(PRESENT).encode(), "application/json"),
        (json.dumps(PRESENT).encode() + b" trailing", "application/json; charset=utf-8"),
        multipart(PRESENT, []),
        multipart(PRESENT, [Upload("attachedfile", b"of no use here")]),
    ],
)
def test_a_request_comes_in_any_of_the_forms(
    webapi: Webapi, body: bytes, content_type: str
) -> None:
    answer = webapi.post("SuppressionPresent", body, content_type)
    assert answer.body == b'{"Present":false}\n'


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ('{"Foo":1}', 'parsing request: unknown field "Foo" - at `$`'),
        ('{"To":[{"Foo":1}]}', 'parsing request: unknown field "Foo" - at `$.To[0]`'),
        ('{"Text":1}', "parsing request: Expected `str`, got `int` - at `$.Text`"),
    ],
)
def test_an_error_in_the_json_says_where(webapi: Webapi, request_: str, message: str) -> None:
    answer = webapi.post("Send", request_.encode(), "application/json")
    assert answer.json == {"Code": "protocol", "Message": message}


def test_calls_are_counted(webapi: Webapi, server: Server) -> None:
    webapi.call("SuppressionPresent", PRESENT)
    webapi.call("SuppressionPresent", {"EmailAddress": "?"})
    metrics = Webapi(server.metrics).metrics()
    assert 'mox_webapi_results_total{method="SuppressionPresent",result="ok"}' in metrics
    assert 'mox_webapi_results_total{method="SuppressionPresent",result="badAddress"}' in metrics
    assert 'mox_webapi_duration_seconds_count{method="SuppressionPresent"}' in metrics
