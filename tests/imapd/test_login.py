from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from mox.imap.capability import MAX_APPENDLIMIT
from mox.sasl.client import mechanism
from tests.imapd.harness import PASSWORD, Client, Literal, Site

USER = "mjl@example.org"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def plain(password: str = PASSWORD, user: str = USER, authzid: str = "") -> str:
    return b64(f"{authzid}\0{user}\0{password}")


def names(client: Client) -> list[str]:
    (line,) = client.ok("capability")
    return line.removeprefix("* CAPABILITY ").split()


def test_login_tells_what_it_can_do_then(site: Site) -> None:
    client = site.connect()
    answer = client.command(f"login {USER}", Literal(PASSWORD))
    assert answer.status == "OK"
    assert "MOVE" in answer.code.split()
    assert "AUTH=PLAIN" not in answer.code.split()
    assert set(answer.code.split()[1:]) == set(names(client))


def test_login_with_synchronising_literals(site: Site) -> None:
    client = site.connect()
    client.ok("login", Literal(USER, sync=True), Literal(PASSWORD, sync=True))


@pytest.mark.parametrize("user", [USER, "nobody@example.org", "nonsense"])
def test_wrong_password_and_unknown_user_look_alike(site: Site, user: str) -> None:
    client = site.connect()
    assert client.no(f"login {user} wrong").startswith("[AUTHENTICATIONFAILED] ")


def test_plain_with_initial_response(site: Site) -> None:
    site.connect().ok(f"authenticate plain {plain()}")


def test_plain_without_initial_response(site: Site) -> None:
    client = site.connect()
    client.send("a authenticate plain\r\n")
    assert client.line() == "+ "
    client.send(plain() + "\r\n")
    assert client.line().startswith("a OK [CAPABILITY ")


def test_plain_with_another_authorization_identity(site: Site) -> None:
    client = site.connect()
    text = client.no(f"authenticate plain {plain(authzid='small@example.org')}")
    assert text.startswith("[AUTHORIZATIONFAILED] ")


def test_cancelled_exchange(site: Site) -> None:
    client = site.connect()
    client.send("a authenticate plain\r\n")
    assert client.line() == "+ "
    client.send("*\r\n")
    assert client.line() == "a BAD authentication cancelled"
    client.ok("noop")


def test_bad_base64(site: Site) -> None:
    client = site.connect()
    client.send("a authenticate plain\r\n")
    assert client.line() == "+ "
    client.send("?!\r\n")
    assert client.line().startswith("a BAD ")
    assert client.bad("authenticate plain ?!")


def test_unknown_mechanism(site: Site) -> None:
    assert site.connect().no("authenticate gssapi")


def test_scram(site: Site) -> None:
    exchange = mechanism(
        "SCRAM-SHA-256", USER, PASSWORD, announced=(), binding=None, random=lambda n: b"x" * n
    )
    client = site.connect()
    first = base64.b64encode(exchange.initial() or b"").decode()
    client.send(f"a authenticate scram-sha-256 {first}\r\n")
    line = client.line()
    while line.startswith("+ "):
        answer = exchange.step(base64.b64decode(line[2:]))
        client.send(base64.b64encode(answer) + b"\r\n")
        line = client.line()
    assert line.startswith("a OK ")


def test_login_without_tls_is_refused(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True, plain_login=False)
    client = site.connect()
    found = names(client)
    assert "STARTTLS" in found
    assert "LOGINDISABLED" in found
    assert not [name for name in found if name.startswith("AUTH=")]
    assert client.no(f"login {USER} x").startswith("[PRIVACYREQUIRED] ")
    assert client.no(f"authenticate plain {plain()}").startswith("[PRIVACYREQUIRED] ")
    client.starttls()
    found = names(client)
    assert "STARTTLS" not in found
    assert "AUTH=PLAIN" in found
    client.ok("login", USER, Literal(PASSWORD))
    client.ok("select inbox")


def test_starttls_drops_what_was_sent_before_the_handshake(make_site: Callable[..., Site]) -> None:
    client = make_site(tls=True).connect()
    client.send("a starttls\r\nb noop\r\n")
    assert client.line().startswith("a OK ")
    assert client.is_closed()


def test_starttls_twice(make_site: Callable[..., Site]) -> None:
    client = make_site(tls=True).connect()
    client.starttls()
    assert client.bad("starttls")


def test_starttls_without_certificate(site: Site) -> None:
    assert site.connect().no("starttls")


def test_implicit_tls(make_site: Callable[..., Site]) -> None:
    client = make_site(tls=True).connect("imaps")
    assert "STARTTLS" not in client.greeting
    client.ok("login", USER, Literal(PASSWORD))


def test_suppressed_capabilities_are_not_announced_nor_enabled(site: Site) -> None:
    client = site.login(user="small")
    found = names(client)
    assert "MOVE" not in found
    assert "UIDPLUS" in found
    assert client.ok("enable condstore") == ["* ENABLED"]


@pytest.mark.parametrize(
    "command",
    ["select inbox", 'list "" *', "fetch 1 flags", "idle", "namespace", "enable imap4rev2"],
)
def test_commands_before_login(site: Site, command: str) -> None:
    client = site.connect()
    client.ok("noop")
    assert client.bad(command) == "command is not allowed in this state"


@pytest.mark.parametrize("command", ["login a b", "authenticate plain", "starttls"])
def test_commands_after_login(site: Site, command: str) -> None:
    client = site.login()
    assert client.bad(command) == "command is not allowed in this state"


@pytest.mark.parametrize("command", ["fetch 1 flags", "search all", "close", "uid expunge 1"])
def test_commands_without_a_mailbox(site: Site, command: str) -> None:
    assert site.login().bad(command) == "command is not allowed in this state"


def test_guessing_gets_slow_and_success_forgives(site: Site, fast_tarpit: None) -> None:
    client = site.connect()
    for _ in range(6):
        client.no(f"login {USER} wrong")
    client.ok("login", USER, Literal(PASSWORD))


def test_appendlimit_fits_32_bits(make_site: Callable[..., Site]) -> None:
    client = make_site(limit=1 << 40).login()
    assert f"APPENDLIMIT={MAX_APPENDLIMIT}" in names(client)


def test_id_tells_the_version_only_after_login(site: Site) -> None:
    client = site.connect()
    assert client.ok("id nil") == ['* ID ("name" "mox")']
    client = site.login()
    (line,) = client.ok('id ("name" "tester" "version" nil)')
    assert line.startswith('* ID ("name" "mox" "version" "')


def test_a_disabled_account_name_is_gone(site: Site) -> None:
    client = site.connect()
    assert client.no("login postmaster@example.org x")
