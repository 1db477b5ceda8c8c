"""URLs of webapis, with and without credentials."""

from __future__ import annotations

import base64

import pytest

from mox.errors import UserError
from mox.webapi.endpoint import parse_endpoint


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path"),
    [
        ("https://mail.example.org/webapi/", "https", "mail.example.org", 443, "/webapi/v0/"),
        ("https://mail.example.org/webapi", "https", "mail.example.org", 443, "/webapi/v0/"),
        ("https://mail.example.org/webapi/v0", "https", "mail.example.org", 443, "/webapi/v0/"),
        ("http://localhost:1080/webapi/v0/", "http", "localhost", 1080, "/webapi/v0/"),
        ("http://[::1]:1080/webapi/", "http", "::1", 1080, "/webapi/v0/"),
        ("https://api.example.org", "https", "api.example.org", 443, "/v0/"),
        ("https://api.example.org/a/b/", "https", "api.example.org", 443, "/a/b/v0/"),
    ],
)
def test_where_it_is(url: str, scheme: str, host: str, port: int, path: str) -> None:
    endpoint = parse_endpoint(url, "user@example.org", "secret")
    found = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.path)
    assert found == (scheme, host, port, path)


@pytest.mark.parametrize(
    ("url", "username", "password", "pair"),
    [
        ("http://u%40d.example:p%2Fw@localhost/", "", "", "u@d.example:p/w"),
        ("http://u@d.example:p:w@localhost/", "", "", "u@d.example:p:w"),
        ("http://u%40d.example@localhost/", "", "geheim-ß", "u@d.example:geheim-ß"),
        ("http://x:y@localhost/", "u@d.example", "z", "u@d.example:z"),
    ],
)
def test_who_calls(url: str, username: str, password: str, pair: str) -> None:
    endpoint = parse_endpoint(url, username, password)
    kind, _, value = endpoint.authorization.partition(" ")
    assert (kind, base64.b64decode(value).decode()) == ("Basic", pair)
    assert endpoint.password not in repr(endpoint)


@pytest.mark.parametrize(
    ("url", "username", "says"),
    [
        ("mail.example.org/webapi/", "u@d.example", "begins with https://"),
        ("ftp://mail.example.org/", "u@d.example", "begins with https://"),
        ("https:///webapi/", "u@d.example", "host name"),
        ("https://h:99999/", "u@d.example", "not a URL"),
        ("https://[::1/", "u@d.example", "not a URL"),
        ("https://h/webapi/?x=y", "u@d.example", "ends with its path"),
        ("https://h/webäpi/", "u@d.example", "percent-encoding"),
        ("https://h/web api/", "u@d.example", "percent-encoding"),
        ("https://h/webapi/", "", "address and the password"),
        ("https://h/webapi/", "u:v@d.example", "colon"),
    ],
)
def test_what_cannot_be_used(url: str, username: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_endpoint(url, username, "secret")
