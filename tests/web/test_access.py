"""Basic authentication with a real store, real limits and real threads."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import logfmt, metrics
from mox.serving.context import Context
from mox.serving.login import LoginSession
from mox.store.credentials import make_credentials
from mox.web.access import Access, Login, Refused, parse_basic, refuse
from mox.web.request import Request, put_request
from tests.web.configs import WEBAPI, config_of

PASSWORD = "right pässword"
UNAUTHORIZED = "401 - unauthorized - use http basic auth with email address as username"


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Source:
    def __init__(self, directory: Path) -> None:
        self.current = config_of(directory, WEBAPI)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    directory = tmp_path_factory.mktemp("access")
    source = Source(directory)
    source.current.data_dir.mkdir()
    ctx = Context(kind="web", slot=1, config_source=source)
    for name in ("mox", "off"):
        ctx.store.account(name).set_credentials(make_credentials(PASSWORD))
    yield ctx
    ctx.close()


@pytest.fixture(scope="module")
def access(ctx: Context) -> Access:
    return Access(ctx)


def attempt(access: Access, authorization: str | None, ip: str = "192.0.2.1") -> Login | Refused:
    environ: dict[str, object] = {"HTTP_USER_AGENT": "test/1.0"}
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    request = Request(
        cid=1,
        remote_ip=ip_address(ip),
        listener="local",
        service="webapi",
        is_https=False,
        tls=None,
        log=logfmt.logger("webapi"),
    )
    put_request(environ, request)
    return access.authenticate(environ, "webapi")


@pytest.mark.parametrize("name", ["mox@mox.example", "mox+anything@mox.example"])
def test_an_address_and_the_password_let_in(ctx: Context, access: Access, name: str) -> None:
    login = attempt(access, basic(name, PASSWORD))
    assert login == Login(ctx.store.account("mox").id, "mox", name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic *",
        "Bearer abc",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    ],
)
def test_without_credentials_one_is_asked_for_them(
    access: Access, authorization: str | None
) -> None:
    for _ in range(15):
        refused = attempt(access, authorization, "192.0.2.20")
        assert isinstance(refused, Refused)
        assert refused.status == "401 Unauthorized"
        assert refused.headers == (("WWW-Authenticate", "Basic realm=webapi"),)
        assert refused.text == UNAUTHORIZED


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        ("mox@mox.example", "192.0.2.31"),
        ("nobody@mox.example", "192.0.2.32"),
        ("mox@foreign.example", "192.0.2.33"),
        ("no address", "192.0.2.34"),
        ("", "192.0.2.35"),
    ],
)
def test_wrong_credentials_look_like_none(access: Access, name: str, ip: str) -> None:
    refused = attempt(access, basic(name, "wrong"), ip)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.text) == ("401 Unauthorized", UNAUTHORIZED)


def test_a_disabled_account_is_told_so(access: Access) -> None:
    refused = attempt(access, basic("off@mox.example", PASSWORD))
    assert isinstance(refused, Refused)
    assert refused.status == "401 Unauthorized"
    assert refused.text.endswith("login is disabled for this account")


def test_after_ten_failures_a_minute_nobody_is_looked_at(access: Access) -> None:
    ip = "203.0.113.9"
    wrong, right = basic("mox@mox.example", "wrong"), basic("mox@mox.example", PASSWORD)
    refusals = [attempt(access, wrong, ip) for _ in range(11)]
    statuses = [refused.status[:3] for refused in refusals if isinstance(refused, Refused)]
    # The minute may change in between.
    assert statuses[:10] == ["401"] * 10
    if statuses[10] == "429":
        refused = attempt(access, right, ip)
        assert isinstance(refused, Refused)
        assert refused.text == "429 - too many auth attempts"
    assert isinstance(attempt(access, right, "203.0.114.200"), Login)


def test_attempts_are_counted_and_logged(access: Access, capsys) -> None:
    before = metrics.total("mox_authentication_total")
    attempt(access, basic("mox@mox.example", PASSWORD))
    attempt(access, basic("mox@mox.example", "wrong"), "192.0.2.41")
    assert metrics.total("mox_authentication_total") == before + 2
    line = capsys.readouterr().err.splitlines()[-1]
    for part in ("login failed", "mechanism=httpbasic", "protocol=webapi", "user_agent=test/1.0"):
        assert part in line
    assert "wrong" not in line


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_login_is_looked_at_again_when_its_grounds_change(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    access = Access(ctx, clock)
    looked: list[str] = []
    login = LoginSession.login

    def counting(self: LoginSession, username: str, *rest: str, variant: str):
        looked.append(username)
        return login(self, username, *rest, variant=variant)

    monkeypatch.setattr(LoginSession, "login", counting)
    right = basic("mox@mox.example", PASSWORD)
    for _ in range(3):
        assert isinstance(attempt(access, right, "192.0.2.51"), Login)
    assert len(looked) == 1
    # Another address, another second, a failure, a new password.
    attempt(access, right, "192.0.2.52")
    assert len(looked) == 2
    clock.now += 1
    attempt(access, right, "192.0.2.51")
    assert len(looked) == 3
    attempt(access, basic("mox@mox.example", "wrong"), "192.0.2.53")
    attempt(access, right, "192.0.2.51")
    assert len(looked) == 5
    ctx.store.account("mox").set_credentials(make_credentials("another password"))
    assert isinstance(attempt(access, right, "192.0.2.51"), Refused)
    ctx.store.account("mox").set_credentials(make_credentials(PASSWORD))


def test_a_disabled_account_is_out_at_once(tmp_path: Path, ctx: Context) -> None:
    access = Access(ctx, Clock())
    right = basic("mox@mox.example", PASSWORD)
    assert isinstance(attempt(access, right, "192.0.2.61"), Login)
    source = ctx._config_source
    assert isinstance(source, Source)
    before = source.current
    accounts = dict(before.dynamic.accounts)
    accounts["mox"] = replace(accounts["mox"], login_disabled="on leave")
    dynamic = replace(before.dynamic, accounts=accounts)
    source.current = replace(before, dynamic=dynamic)
    try:
        assert isinstance(attempt(access, right, "192.0.2.61"), Refused)
    finally:
        source.current = before


def test_a_refusal_is_an_answer() -> None:
    refused = Refused("401 Unauthorized", (("WWW-Authenticate", "Basic realm=x"),), "no")
    answer = refuse(refused, [("X", "y")])
    assert answer.body == b"no\n"
    assert answer.status == "401 Unauthorized"
    headers = dict(answer.headerlist)
    assert (headers["X"], headers["Www-Authenticate"]) == ("y", "Basic realm=x")


@pytest.mark.parametrize(
    ("field", "credentials"),
    [
        ("Basic dTpw", ("u", "p")),
        ("basic  dTpw ", ("u", "p")),
        ("BASIC dTpwOnE=", ("u", "p:q")),
        ("Basic Og==", ("", "")),
        ("Basic dTpw dTpw", None),
        ("Basic dQpwOg==", None),
        ("Digest dTpw", None),
        ("Basic " + "A" * 5000, None),
    ],
)
def test_basic(field: str, credentials: tuple[str, str] | None) -> None:
    assert parse_basic(field) == credentials


@given(st.text(st.characters(max_codepoint=255)))
def test_any_field_is_credentials_or_none(field: str) -> None:
    parse_basic(field)
    parse_basic(f"Basic {field}")
