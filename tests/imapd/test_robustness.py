"""Clients that are no clients, errors of ours, and the end of connections."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

import gevent
import pytest
from greenlet import greenlet

from mox.imapd.session import Session
from mox.store.errors import ErrorKind, StoreError
from tests.imapd.harness import Client, Site, message
from tests.serving.harness import logged


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n", b"\r\n", b"\x16\x03\x01\x02\x00\x01\r\n", b"a\r\n", b"* OK hi\r\n"],
)
def test_first_line_that_is_not_imap(site: Site, garbage: bytes) -> None:
    client = site.connect()
    client.send(garbage)
    assert client.line() == "* BYE please try again speaking imap"
    assert client.is_closed()


def test_too_many_bad_commands(site: Site) -> None:
    client = site.login()
    for _ in range(19):
        client.bad("nonsense")
    client.ok("noop")
    for _ in range(20):
        client.bad("nonsense")
    assert client.line() == "* BYE too many bad commands"
    assert client.is_closed()


def test_line_too_long(site: Site) -> None:
    client = site.login()
    client.send(b"a search subject " + b"x" * 70_000)
    assert client.line() == "* BYE [ALERT] line too long"
    assert client.is_closed()


def test_literal_too_large(site: Site) -> None:
    client = site.login()
    client.send(b"a list {200000}\r\n")
    assert client.line().startswith("a BAD [TOOBIG]")
    client.send(b"a list {200000+}\r\n")
    assert client.line().startswith("* BYE [ALERT]")
    assert client.line().startswith("a BAD")
    assert client.is_closed()


def test_pipelined_commands_are_answered_in_order(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    client.send("a select inbox\r\nb fetch 1 uid\r\nc noop\r\nd logout\r\n")
    lines = []
    while not (line := client.line()).startswith("d "):
        lines.append(line)
    tagged = [line for line in lines if not line.startswith("* ")]
    assert [line[:4] for line in tagged] == ["a OK", "b OK", "c OK"]


def test_command_byte_by_byte(site: Site) -> None:
    client = site.login()
    for octet in b"a status inbox (messages)\r\n":
        client.send(bytes([octet]))
        gevent.sleep(0)
    assert client.line() == "* STATUS INBOX (MESSAGES 0)"
    assert client.line() == "a OK status done"


def test_unexpected_error_is_logged_and_the_session_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    client = site.login()
    with logged() as lines, monkeypatch.context() as patch:
        patch.setattr("mox.store.account.Account.mailboxes", broken)
        assert client.no('list "" *') == "[SERVERBUG] internal error"
    assert lines.containing("boom")
    client.ok('list "" *')


def test_an_error_amid_a_response_ends_the_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tagged answer after half a response would be read as a part of it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    site.add(message(1))
    client = site.login("inbox")
    with logged() as lines, monkeypatch.context() as patch:
        patch.setattr("mox.imapd.octets.render", broken)
        client.send("a fetch 1 (uid body.peek[])\r\n")
        assert client.is_closed()
    assert lines.containing("boom")
    site.login("inbox").ok("fetch 1 body.peek[]")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ErrorKind.INTERNAL, "SERVERBUG"),
        (ErrorKind.DISK_FULL, "UNAVAILABLE"),
        (ErrorKind.OVER_QUOTA, "OVERQUOTA"),
        (ErrorKind.LIMIT, "LIMIT"),
    ],
)
def test_errors_of_the_store(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: ErrorKind, code: str
) -> None:
    def broken(*_: object) -> None:
        raise StoreError(kind, "cannot do it", "details for the log")

    client = site.login()
    with monkeypatch.context() as patch:
        patch.setattr("mox.store.account.Account.create_mailbox", broken)
        assert client.no("create x") == f"[{code}] cannot do it"
    client.ok("create x")


def test_silence_before_login(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.imapd.session.LOGIN_TIMEOUT_S", 0.05)
    client = site.connect()
    assert client.line() == "* BYE inactive for too long"
    assert client.is_closed()


@pytest.mark.parametrize("shrink_after_s", [0.05, 5.0])
def test_silence_after_login(
    site: Site, monkeypatch: pytest.MonkeyPatch, shrink_after_s: float
) -> None:
    client = site.login("inbox")
    monkeypatch.setattr("mox.imapd.session.COMMAND_TIMEOUT_S", 0.1)
    monkeypatch.setattr("mox.imapd.idling._AWAKE_S", 0.01)
    monkeypatch.setattr("mox.imapd.idling._SHRINK_AFTER_S", shrink_after_s)
    client.ok("noop")
    assert client.line() == "* BYE inactive for too long"


def test_silence_within_a_literal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.imapd.session.LITERAL_TIMEOUT_S", 0.05)
    client = site.login()
    client.send(b"a append inbox {100+}\r\nhalf")
    assert client.line() == "* BYE inactive for too long"


def test_silence_in_idle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.imapd.idling.COMMAND_TIMEOUT_S", 0.05)
    client = site.login("inbox")
    client.idle()
    assert client.line() == "* BYE idle for too long, renew idle earlier"


def test_draining_says_goodbye(site: Site) -> None:
    waiting, idling = site.login("inbox"), site.login("inbox")
    idling.idle()
    site.ctx.stopping.set()
    for client in (waiting, idling):
        assert client.line() == "* BYE [UNAVAILABLE] shutting down"
        assert client.is_closed()


def test_client_that_goes_away_in_the_middle(site: Site) -> None:
    site.add(*[message(n) for n in range(200)])
    for data in (b"a fetch 1:* (body[])\r\n", b"a append inbox {100+}\r\nx", b"a idle\r\n"):
        client = site.login("inbox")
        client.send(data)
        client.close()
    survivor = site.login("inbox")
    survivor.ok("noop")


def test_feeds_and_watches_end_with_their_sessions(site: Site) -> None:
    client = site.login("inbox")
    client.idle()
    assert site.ctx.store.notifier._watchers
    client.close()
    with gevent.Timeout(5):
        while site.ctx.store.notifier._watchers:
            gevent.sleep(0.001)
    assert not site.ctx.store.file_watcher._watched


def test_traces_hide_passwords_and_messages(make_site: Callable[..., Site]) -> None:
    site = make_site()
    from mox import logfmt

    with logged() as lines:
        logfmt.configure("trace", stream=lines)
        client = site.login("inbox")
        client.append("inbox", message(1, "private matter"))
        client.ok("fetch 1 body[]")
        client.ok("logout")
        text = "".join(lines.lines)
        logfmt.configure()
    assert "test1234" not in text
    assert "private matter" not in text
    assert "Fetch(tag=" in text
    assert "BODY[]" in text


_WORDS = (
    *("a", "1", "*", "1:*", "(", ")", "[", "]", '"', "{3+}\r\nabc", "{9999}", "~{2+}\r\nab", "\\"),
    *("select", "inbox", "fetch", "store", "search", "uid", "flags", "body[]", "not", "or", "$"),
    *("append", "list", "status", "copy", "enable", "idle", "done", "return", "$", "NIL", "\0"),
    *("append inbox catenate (", 'url "/INBOX/;UID=1"', "text {2+}\r\nab", "uid replace 1 inbox"),
    *(
        "notify set (personal (messagenew messageexpunge flagchange))",
        "notify none",
        "uidbatches 500",
    ),
    *(
        "getmetadata inbox",
        "setmetadata inbox (/private/a {1+}\r\nx)",
        "/private/a",
        "myrights inbox",
    ),
    *(
        "enable qresync uidonly",
        "unauthenticate",
        'login mjl@example.org "test1234-ä"',
        "uid store 1",
    ),
    *(
        "select inbox (qresync (1 1))",
        "esearch in (personal) return (count) all",
        "uid move 1 Sent",
    ),
    *(
        "uid sort (date) utf-8 all",
        "uid thread references utf-8 all",
        "compress deflate",
        "create x/y",
    ),
    *("body.peek[1.2.mime]", "+flags", "(\\Seen)", "header", "binary[1]<0.5>", "close", "%", "&-"),
)


@pytest.mark.parametrize("seed", range(3))
def test_random_words_never_break_the_session_border(site: Site, seed: int) -> None:
    """Whatever comes, each connection ends in good order and nothing unexpected is logged."""
    rng = random.Random(seed)
    site.add(message(1))

    def converse() -> None:
        client = Client(site.port())
        client.send('x login mjl@example.org "test1234-ä"\r\ny select inbox\r\n')
        for _ in range(30):
            words = rng.choices(_WORDS, k=rng.randint(1, 7))
            client.send("t " + " ".join(words) + "\r\n")
        client.send("DONE\r\n\r\nz logout\r\n")
        client.sock.shutdown(1)
        while client.sock.recv(65536):
            pass
        client.close()

    with logged() as lines, gevent.Timeout(10):
        for _ in range(5):
            converse()
    assert not lines.containing("unexpected")


def test_a_parked_session_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mox.imapd.idling._AWAKE_S", 0.001)
    shrunk: list[Session] = []
    real = Session.shrink

    def shrink(session: Session) -> None:
        shrunk.append(session)
        real(session)

    monkeypatch.setattr(Session, "shrink", shrink)
    client = site.login("inbox")
    for _ in range(3):
        gevent.sleep(0.02)
        client.ok("noop")
    assert not shrunk
    monkeypatch.setattr("mox.imapd.idling._SHRINK_AFTER_S", 0.01)
    client.ok("noop")
    with gevent.Timeout(10):
        while not shrunk:
            gevent.sleep(0.01)
    client.ok("noop")
    site.ctx.stopping.set()
    assert client.line() == "* BYE [UNAVAILABLE] shutting down"


def test_sessions_between_commands_have_no_greenlet(site: Site) -> None:
    before = greenlets()
    clients = [site.login("inbox") for _ in range(20)]
    with gevent.Timeout(10):
        while greenlets() > before + 2:
            gevent.sleep(0.02)
    for client in clients:
        client.ok("noop")


def greenlets() -> int:
    gc.collect()
    return sum(isinstance(each, greenlet) and not each.dead for each in gc.get_objects())
