"""The client with a whole server: over TLS, with files, at once, and with wrong passwords."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mox.webapi.client import Client, Refused, TooManyAttempts, Unauthorized, Unreachable, Upload
from mox.webapi.types import ErrorCode, NameAddress, SendRequest
from tests.support.server import PASSWORD, USER, Server, eventually

TO = (NameAddress("Rcpt", "ok1@ok1.example"),)


def client_of(server: Server, username: str = USER, password: str = PASSWORD) -> Client:
    url = f"https://localhost:{server.https}/webapi/"
    return Client(url, username, password, tls=server.tls(), timeout_s=30)


def test_a_message_from_sending_to_removal(server: Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    path = tmp_path / 'Ünïcode "1".bin'
    path.write_bytes(content)
    with client_of(server, "mox+tx@localhost") as client:
        sent = client.send(
            SendRequest(
                to=TO,
                subject="Grüße aus Köln",
                text="Hallo ☺\n",
                html='<img src="cid:hi">',
                headers=(("X-Order", "42"),),
            ),
            inline=[Upload(b"\x89PNG\r\n\x1a\n", "hi.png", content_id="<hi>")],
            attached=[Upload(path)],
        )
        assert [(each.address, each.from_id) for each in sent.submissions] == [(TO[0].address, "")]
        eventually(lambda: server.count() == 1)
        found = client.message_get(1)
        assert found.message.message_id == sent.message_id
        assert found.message.from_[0].address == "mox+tx@localhost"
        assert (found.message.subject, found.message.text) == ("Grüße aus Köln", "Hallo ☺\n")
        assert found.meta.mailbox_name == "Inbox"
        related, attached = found.structure.parts
        assert (attached.filename, attached.decoded_size) == (path.name, len(content))
        assert related.parts[1].content_id == "<hi>"
        part, raw = io.BytesIO(), io.BytesIO()
        assert client.message_part_get(1, [1], part) == len(content)
        assert part.getvalue() == content
        assert client.message_raw_get(1, raw) == found.meta.size
        assert b"\r\nX-Order: 42\r\n" in raw.getvalue()
        client.message_flags_add(1, ["\\Seen", "Answered-by-robot"])
        client.message_flags_remove(1, ["\\Seen"])
        client.message_move(1, "Archive")
        assert client.message_get(1).meta.flags == ("$notjunk", "answered-by-robot")
        assert (server.count(), server.count("Archive")) == (0, 1)
        client.message_delete(1)
        with pytest.raises(Refused) as caught:
            client.message_get(1)
        assert caught.value.code == ErrorCode.MESSAGE_NOT_FOUND
        assert server.count("Archive") == 0


def test_the_suppression_list(server: Server) -> None:
    with client_of(server) as client:
        assert not client.suppression_present("new@example.org")
        client.suppression_add("First.Last+tag@Example.ORG", reason="asked")
        with pytest.raises(Refused) as caught:
            client.suppression_add("firstlast-x@example.org")
        assert caught.value.code == ErrorCode.ERROR
        [found] = client.suppression_list()
        assert (found.base_address, found.account) == ("firstlast@example.org", "mox")
        assert (found.original_address, found.manual) == ("First.Last+tag@example.org", True)
        assert client.suppression_present("f.i.r.s.t.last@example.org")
        client.suppression_remove("firstlast@example.org")
        assert not client.suppression_present("f.i.r.s.t.last@example.org")
        with pytest.raises(Refused) as caught:
            client.suppression_remove("firstlast@example.org")
        assert caught.value.code == ErrorCode.ERROR


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (SendRequest(to=(NameAddress(address="nonsense"),), text="x"), ErrorCode.BAD_ADDRESS),
        (SendRequest(to=TO), ErrorCode.MISSING_BODY),
        (SendRequest(text="x"), ErrorCode.NO_RECIPIENTS),
        (SendRequest(from_=TO * 2, to=TO, text="x"), ErrorCode.MULTIPLE_FROM),
        (SendRequest(from_=TO, to=TO, text="x"), ErrorCode.BAD_FROM),
        (SendRequest(message_id="abc", to=TO, text="x"), ErrorCode.MALFORMED_MESSAGE_ID),
        (SendRequest(subject="a\tb", to=TO, text="x"), ErrorCode.USER),
    ],
)
def test_errors_have_their_codes(shared: Server, request_: SendRequest, code: ErrorCode) -> None:
    with client_of(shared) as client, pytest.raises(Refused) as caught:
        client.send(request_)
    assert caught.value.code == code


def test_a_message_that_is_too_large_is_told(shared: Server, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(110_000_000)
    with client_of(shared) as client:
        with pytest.raises(Refused) as caught:
            client.send(SendRequest(to=TO, text="x"), attached=[Upload(path)])
        assert caught.value.code == ErrorCode.MESSAGE_TOO_LARGE
        assert not client.suppression_present("new@example.org")


def test_many_at_once_send_one_message_for_one_key(shared: Server) -> None:
    """Two clients, from eight threads each."""
    answers: list[str] = []
    message = SendRequest(to=TO, text="x", subject="once")
    with client_of(shared) as first, client_of(shared) as second:

        def send(client: Client) -> None:
            for key in ("a", "b"):
                answers.append(client.send(message, idempotency_key=f"once-{key}").message_id)

        threads = [threading.Thread(target=send, args=(c,)) for c in (first, second) * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 32
        assert len({*answers}) == 2
        with pytest.raises(Refused) as caught:
            client_of(shared).send(
                SendRequest(to=TO, text="other", subject="once"), idempotency_key="once-a"
            )
        assert caught.value.code == ErrorCode.IDEMPOTENCY_KEY_REUSED
    eventually(lambda: shared.queue_is_empty and shared.count() == 2)


def test_killed_workers_make_no_message_twice_and_lose_none(server: Server) -> None:
    """Calls that are cut off are made again, with the key that they had."""

    def kill() -> None:
        for pid in server.workers("web"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    later = datetime.now(UTC) + timedelta(days=7)
    url = f"http://localhost:{server.http}/webapi/"
    with Client(url, USER, PASSWORD, timeout_s=30) as client:
        client.suppression_list()
        for number in range(30):
            # Somewhere in the middle of a call, a little later each time.
            killer = threading.Timer(0.001 * number, kill)
            if number % 5 == 4:
                killer.start()
            to = (NameAddress(address=f"once-{number}@ok1.example"),)
            send_until_answered(client, SendRequest(to=to, text="x", future_release=later))
            killer.cancel()
            if killer.ident is not None:
                killer.join()
    listed = server.run("queue", "list").stdout
    assert sorted(map(int, re.findall(r"to:once-(\d+)@", listed))) == [*range(30)]


def send_until_answered(client: Client, message: SendRequest) -> None:
    key = f"key for {message.to[0].address}"
    deadline = time.monotonic() + 60
    while True:
        try:
            client.send(message, idempotency_key=key)
            return
        except Unreachable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_certificate_that_nobody_signed_is_not_trusted(shared: Server) -> None:
    client = Client(f"https://localhost:{shared.https}/webapi/", USER, PASSWORD)
    with pytest.raises(Unreachable, match="certificate verify failed"):
        client.suppression_list()


@pytest.mark.parametrize(
    ("username", "password"),
    [(USER, "wrong"), ("nobody@localhost", PASSWORD), ("mox@nowhere.example", PASSWORD)],
)
def test_wrong_credentials(shared: Server, username: str, password: str) -> None:
    with client_of(shared, username, password) as client, pytest.raises(Unauthorized):
        client.suppression_list()
    assert not client_of(shared).suppression_present("new@example.org")


def test_guessing_passwords_is_stopped(server: Server) -> None:
    """Also for the right one, for the rest of the minute: no attempt tells anything."""
    refused = False
    while not refused:
        minute = time.time() // 60
        guess(server)
        try:
            client_of(server).suppression_list()
        except TooManyAttempts:
            refused = True
        else:
            assert time.time() // 60 > minute


def guess(server: Server) -> None:
    """Try a wrong password until that is not allowed any more."""
    with client_of(server, USER, "wrong") as client:
        for _ in range(25):  # ten a minute, and the minute may end meanwhile
            try:
                client.suppression_list()
            except Unauthorized:
                continue
            except TooManyAttempts:
                return
    raise AssertionError("guesses are not limited")
