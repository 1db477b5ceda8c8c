"""From requests to applications."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.web.request import request_of
from mox.web.request_limit import RequestLimit
from mox.web.router import Arrival, Router, clean_path, put_arrival
from tests.web.configs import WEBAPI, Peer, config_of

CLIENT = ip_address("192.0.2.7")


class Site:
    """A router over one listener, and an application that tells what it got."""

    def __init__(self, directory: Path, listener: str, limit: object = None) -> None:
        self.ctx = SimpleNamespace(config=config_of(directory, listener))
        self.got: list[tuple[str, str]] = []
        apps = {"webapi": self.app, "metrics": self.app}
        self.router = Router(self.ctx, apps, limit or RequestLimit(None))  # type: ignore[arg-type]
        self.arrival = Arrival(Peer(CLIENT), 17)  # type: ignore[arg-type]

    def app(self, environ, start_response):
        self.request = request_of(environ)
        self.got.append((environ["SCRIPT_NAME"], environ["PATH_INFO"]))
        self.environ = environ
        start_response("200 OK", [])
        return [b"app"]

    def get(self, path: str, host: str | None = "localhost", **more: str) -> tuple[int, dict]:
        environ = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": path,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "127.0.0.1",
            "REMOTE_ADDR": str(CLIENT),
            "wsgi.url_scheme": "http",
            **more,
        }
        if host is not None:
            environ["HTTP_HOST"] = host
        put_arrival(environ, self.arrival)
        answers: list[tuple[str, list]] = []
        b"".join(self.router(environ, lambda status, headers: answers.append((status, headers))))
        ((status, headers),) = answers
        return int(status[:3]), dict(headers)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, WEBAPI)


def test_an_application_gets_its_part_of_the_path(site: Site) -> None:
    assert site.get("/webapi/v0/Send")[0] == 200
    assert site.get("/webapi/")[0] == 200
    assert site.got == [("/webapi", "/v0/Send"), ("/webapi", "/")]
    assert site.arrival.handler == "webapi"


def test_an_application_gets_typed_facts(site: Site) -> None:
    site.get("/webapi/")
    request = site.request
    assert (request.cid, request.remote_ip) == (17, CLIENT)
    assert (request.listener, request.service) == ("local", "webapi")
    assert not request.is_https
    assert request.tls is None


def test_the_path_without_slash_leads_to_the_one_with(site: Site) -> None:
    status, headers = site.get("/webapi", QUERY_STRING="a=b")
    assert (status, headers["Location"]) == (303, "/webapi/?a=b")
    assert site.arrival.handler == "(redirect)"
    assert site.got == []


@pytest.mark.parametrize("path", ["/", "/other", "/webapiv0/", "/../webapi", "/webapi/../x"])
def test_other_paths_are_not_found(site: Site, path: str) -> None:
    assert site.get(path)[0] in (303, 404)
    assert site.got == []


def test_a_foreign_host_is_not_found(site: Site) -> None:
    assert site.get("/webapi/", "evil.example")[0] == 404
    assert site.get("/webapi/", "MAIL.mox.example:1080")[0] == 200


def test_http_1_1_needs_a_host(site: Site) -> None:
    assert site.get("/webapi/", None)[0] == 400
    assert site.get("/webapi/", "a b")[0] == 400
    assert site.get("/webapi/", None, SERVER_PROTOCOL="HTTP/1.0")[0] == 200


def test_the_host_of_an_absolute_target_counts(site: Site) -> None:
    ours, theirs = "http://localhost:1080/webapi/", "http://evil.example/webapi/"
    assert site.get("/webapi/", "evil.example", RAW_URI=ours)[0] == 200
    assert site.get("/webapi/", "localhost", RAW_URI=theirs)[0] == 404


def test_without_forwarded_nobody_is_believed(site: Site) -> None:
    site.get("/webapi/", HTTP_X_FORWARDED_FOR="198.51.100.1", HTTP_X_FORWARDED_PROTO="https")
    assert site.request.remote_ip == CLIENT
    assert not site.request.is_https


FORWARDED = f"{WEBAPI}\tForwarded: true\n"


@pytest.mark.parametrize(
    ("field", "ip"),
    [
        ("198.51.100.1", "198.51.100.1"),
        (" 198.51.100.1 , 192.0.2.1", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_a_reverse_proxy_tells_the_client(tmp_path: Path, field: str, ip: str) -> None:
    site = Site(tmp_path, FORWARDED)
    status, _ = site.get("/webapi/", HTTP_X_FORWARDED_FOR=field, HTTP_X_FORWARDED_PROTO="https")
    assert status == 200
    assert site.request.remote_ip == ip_address(ip)
    assert site.request.is_https
    assert site.environ["REMOTE_ADDR"] == ip
    assert site.environ["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("field", [None, "", "unknown", "198.51.100.1:80x", "a, 198.51.100.1"])
def test_a_reverse_proxy_that_does_not_tell_is_an_error(tmp_path: Path, field: str | None) -> None:
    site = Site(tmp_path, FORWARDED)
    more = {} if field is None else {"HTTP_X_FORWARDED_FOR": field}
    assert site.get("/webapi/", **more)[0] == 500
    assert site.got == []


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    asked: list[object] = []
    limit = SimpleNamespace(admits=lambda ip: asked.append(ip))
    site = Site(tmp_path, FORWARDED, limit)
    assert site.get("/webapi/", HTTP_X_FORWARDED_FOR="198.51.100.1")[0] == 429
    assert asked == [ip_address("198.51.100.1")]
    assert site.arrival.handler == "(ratelimited)"


def test_a_changed_configuration_is_taken_over(site: Site, tmp_path: Path) -> None:
    assert site.get("/webapi/", "new.mox.example")[0] == 404
    domain = "ClientSettingsDomain: new.mox.example"
    site.ctx.config = config_of(tmp_path, WEBAPI, domain)
    assert site.get("/webapi/", "new.mox.example")[0] == 200


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b//", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/../../a", "/a"),
        ("", "/"),
        ("*", "/*"),
        ("/.well-known/x", "/.well-known/x"),
    ],
)
def test_clean_paths(path: str, clean: str) -> None:
    assert clean_path(path) == clean


@given(st.text(st.sampled_from("/.ab")))
def test_a_clean_path_has_no_way_up(path: str) -> None:
    clean = clean_path(path)
    assert clean.startswith("/")
    assert "//" not in clean
    assert not {".", ".."}.intersection(clean.split("/"))
    assert clean_path(clean) == clean
