"""The client: what it sends, and what it makes of answers."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from mox.errors import UserError
from mox.webapi import types
from mox.webapi.client import (
    Busy,
    Client,
    Refused,
    TooManyAttempts,
    Unauthorized,
    UnexpectedAnswer,
    Upload,
)
from mox.webapi.decoding import decode_request
from mox.webapi.methods import METHODS
from mox.webapi.types import ErrorCode, NameAddress, SendRequest
from mox.webapi.upload import MultipartForm
from tests.webapi.fakeserver import JSON, FakeServer, fake_server

SENT = b"""{"MessageID":"<DiBw5UrJ114AgAqkGoCyNw@localhost>","Submissions":[{"Address":\
"mox@localhost","QueueMsgID":2,"FromID":"euSvcsknhPHGvRJfjNdhFA"}],"New":{"later":true}}\n"""
TO = (NameAddress(address="mox@localhost"),)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


@pytest.fixture
def client(fake: FakeServer) -> Iterator[Client]:
    with Client(fake.url, "mox@localhost", "moxmoxmox", timeout_s=20) as client:
        yield client


def test_send(fake: FakeServer, client: Client) -> None:
    fake.answers = [(200, JSON, SENT)]
    message = SendRequest(
        to=TO,
        subject="hi ☺",
        text="a & b = c + d\n",
        headers=(("X-A", "1"),),
        extra={"order": "42"},
        require_tls=True,
        future_release=datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC),
    )
    result = client.send(message)
    assert result.message_id == "<DiBw5UrJ114AgAqkGoCyNw@localhost>"
    assert result.submissions == (
        types.Submission(address="mox@localhost", queue_msg_id=2, from_id="euSvcsknhPHGvRJfjNdhFA"),
    )
    [call] = fake.calls
    assert call.path == "/webapi/v0/Send"
    assert call.headers["Authorization"] == "Basic bW94QGxvY2FsaG9zdDptb3htb3htb3g="
    assert call.headers["User-Agent"].startswith("mox-webapi/")
    [(field, content)] = call.fields
    assert field == {"name": "request"}
    assert decode_request(content, SendRequest) == message


def test_each_send_has_a_key_of_its_own_or_the_callers(fake: FakeServer, client: Client) -> None:
    fake.answers = [(200, JSON, SENT)]
    message = SendRequest(to=TO, text="x")
    client.send(message)
    client.send(message)
    client.send(message, idempotency_key="order-42")
    keys = [call.headers["Idempotency-Key"] for call in fake.calls]
    assert keys[2] == "order-42"
    assert len({*keys}) == 3
    assert all(20 <= len(key) <= 255 for key in keys[:2])
    client.suppression_list()
    assert fake.calls[-1].headers["Idempotency-Key"] is None


def test_files_are_uploaded(fake: FakeServer, client: Client, tmp_path: Path) -> None:
    fake.answers = [(200, JSON, SENT)]
    large = tmp_path / 'näme "1"\\.pdf'
    large.write_bytes(bytes(range(256)) * 4096)
    files = [Upload(large), Upload(b"\0\1\2", name="doc.bin")]
    image = Upload(b"\x89PNG\r\n", "hi.png", content_id="<hi>")
    event = Upload(b"BEGIN:VCALENDAR\r\n", "c.ics", "text/calendar; charset=utf-8")
    message = SendRequest(to=TO, text="x", html='<img src="cid:hi">')
    client.send(message, attached=files, inline=[image], alternative=[event])
    [call] = fake.calls
    request, *sent = call.fields
    assert request[0]["name"] == "request"
    assert decode_request(request[1], SendRequest) == message
    found = {fields["name"] + ":" + fields["filename"]: (fields, data) for fields, data in sent}
    assert [*found] == [
        "alternativefile:c.ics",
        "inlinefile:hi.png",
        f"attachedfile:{large.name}",
        "attachedfile:doc.bin",
    ]
    assert found["inlinefile:hi.png"][0]["Content-ID"] == "<hi>"
    assert found["inlinefile:hi.png"][0]["Content-Type"] == "image/png"
    assert b"\r\nContent-Type: text/calendar; charset=utf-8\r\n" in call.body
    assert found[f"attachedfile:{large.name}"][1] == large.read_bytes()
    assert found[f"attachedfile:{large.name}"][0]["Content-Type"] == "application/pdf"


def test_a_long_request_is_not_escaped(fake: FakeServer, client: Client) -> None:
    fake.answers = [(200, JSON, SENT)]
    message = SendRequest(to=TO, text="%&=+ß\r\n--x\r\n" * 10_000)
    client.send(message)
    [call] = fake.calls
    [(field, content)] = call.fields
    assert field["name"] == "request"
    assert decode_request(content, SendRequest) == message
    assert len(call.body) < len(content) + 300


def test_a_large_file_is_not_held_in_memory(fake: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    upload = Upload(path)
    form = MultipartForm(b"{}", {"attachedfile": [upload]})
    assert form.octets > 1 << 30
    pieces = form.pieces()
    next(pieces), next(pieces)
    assert max(len(next(pieces)) for _ in range(100)) <= 64 * 1024


def test_a_file_that_changes_is_not_sent(fake: FakeServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for before, after in ((b"12345", b"123"), (b"12345", b"1234567")):
        path.write_bytes(before)
        form = MultipartForm(b"{}", {"attachedfile": [Upload(path)]})
        path.write_bytes(after)
        with pytest.raises(UserError, match="file was changed"):
            list(form.pieces())
    with pytest.raises(OSError, match="missing"):
        client.send(SendRequest(to=TO, text="x"), attached=[Upload(tmp_path / "missing")])
    with pytest.raises(UserError, match="control characters"):
        client.send(SendRequest(to=TO, text="x"), attached=[Upload(b"", "a\r\nX: y")])
    with pytest.raises(UserError, match="control characters"):
        client.send(SendRequest(to=TO, text="x"), attached=[Upload(b"", "a", content_id="<\n>")])
    with pytest.raises(UserError, match="needs a name"):
        client.send(SendRequest(to=TO, text="x"), attached=[Upload(b"x")])
    assert fake.calls == []


def test_every_method_can_be_called(fake: FakeServer, client: Client) -> None:
    created = "2026-11-23T12:55:40.401313523Z"
    suppression = (
        b'{"Suppressions":[{"ID":5,"Created":"%b","Account":"mox","BaseAddress":"firstlast@a.org",'
        b'"OriginalAddress":"First.Last+tag@a.org","Manual":true,"Reason":"asked"}]}'
    ) % created.encode()
    message = msgspec.json.encode(
        types.MessageGetResult(
            types.Message(subject="hi", date=datetime(2026, 11, 23, tzinfo=UTC)),
            types.Structure(content_type="text/plain"),
            types.Meta(size=7),
        )
    )
    binary = "application/octet-stream"
    fake.answers = [(200, JSON, SENT), (200, JSON, suppression), (200, JSON, b'{"Present":true}')]
    fake.answers += [(200, JSON, message), (200, "text/plain", b"a\r\n"), (200, binary, b"\0" * 9)]
    fake.answers += [(200, JSON, b"{}\n")]
    raw, part = io.BytesIO(), io.BytesIO()
    client.send(SendRequest(to=TO, text="x"))
    [found] = client.suppression_list()
    assert (found.id, found.base_address, found.created.second) == (5, "firstlast@a.org", 40)
    assert client.suppression_present("a@a.org") is True
    assert client.message_get(7).message.subject == "hi"
    assert client.message_raw_get(7, raw) == 3
    assert client.message_part_get(7, [0, 1], part) == 9
    assert (raw.getvalue(), part.getvalue()) == (b"a\r\n", b"\0" * 9)
    client.suppression_add("a@a.org", reason="asked")
    client.suppression_remove("a@a.org")
    client.message_delete(7)
    client.message_flags_add(7, [r"\Seen", "mine"])
    client.message_flags_remove(7, ["mine"])
    client.message_move(7, "Archive")
    called = {call.path.rpartition("/")[2]: call.fields[0][1] for call in fake.calls}
    assert called.keys() == METHODS.keys()
    for name, content in called.items():
        decode_request(content, METHODS[name].request)
    assert msgspec.json.decode(called["MessagePartGet"]) == {"MsgID": 7, "PartPath": [0, 1]}
    assert msgspec.json.decode(called["MessageMove"]) == {"MsgID": 7, "DestMailboxName": "Archive"}
    assert msgspec.json.decode(called["SuppressionAdd"]) == {
        "EmailAddress": "a@a.org",
        "Manual": True,
        "Reason": "asked",
    }


@pytest.mark.parametrize("code", [*ErrorCode, "newCode"])
def test_errors_of_the_server(fake: FakeServer, client: Client, code: str) -> None:
    fake.answers = [(400, JSON, msgspec.json.encode({"Code": code, "Message": "because"}))]
    with pytest.raises(Refused, match="because") as caught:
        client.message_get(7)
    assert (caught.value.code, caught.value.message) == (code, "because")
    assert isinstance(caught.value.code, ErrorCode) == (code != "newCode")


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (401, b"401 - unauthorized", Unauthorized, "401 - unauthorized"),
        (429, b"429 - too many auth attempts", TooManyAttempts, "too many"),
        (404, b"404 page not found", UnexpectedAnswer, "status 404, so is this a webapi"),
        (500, b"\xff" * 2000, UnexpectedAnswer, "status 500"),
        (303, b"", UnexpectedAnswer, "points to https://new.example/"),
        (400, b"nonsense", UnexpectedAnswer, "without an error: nonsense"),
        (200, b"nonsense", UnexpectedAnswer, "not what the method returns"),
        (200, b'{"Present":3}', UnexpectedAnswer, r"Expected `bool`.*\$.Present"),
        (200, b"", UnexpectedAnswer, "not what the method returns"),
    ],
)
def test_other_answers(
    fake: FakeServer, client: Client, status: int, body: bytes, error: type, says: str
) -> None:
    fake.answers = [(status, "text/plain", body)]
    fake.extra = {"Location": "https://new.example/"}
    with pytest.raises(error, match=says):
        client.suppression_present("a@a.example")
    assert len(fake.calls) == 1


@pytest.mark.parametrize(("given", "wait"), [("30", 30), ("Thu, 26 Nov 2026 02:00:00 GMT", 5)])
def test_a_busy_server_says_when(fake: FakeServer, client: Client, given: str, wait: int) -> None:
    fake.answers = [(503, "text/plain", b"503 - try again later")]
    fake.extra = {"Retry-After": given}
    with pytest.raises(Busy, match="try again later") as caught:
        client.suppression_list()
    assert caught.value.retry_after_s == wait


def test_connections_are_kept(fake: FakeServer, client: Client) -> None:
    fake.answers = [
        (200, JSON, b'{"Present":true}'),
        (400, JSON, b'{"Code":"user","Message":"m"}'),
        (200, JSON, b'{"Present":true}'),
    ]
    client.suppression_present("a@a.example")
    with pytest.raises(Refused):
        client.suppression_present("a@a.example")
    client.message_raw_get(3, io.BytesIO())
    client.close()
    client.suppression_present("a@a.example")
    assert [call.connection for call in fake.calls] == [0, 0, 0, 1]


def test_several_threads_may_call(fake: FakeServer, client: Client) -> None:
    fake.answers = [(200, JSON, b'{"Present":true}')]
    found: list[bool] = []

    def call() -> None:
        for _ in range(20):
            found.append(client.suppression_present("a@a.example"))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 160
    assert len({call.connection for call in fake.calls}) <= 20


def test_any_method_by_name(fake: FakeServer, client: Client) -> None:
    fake.answers = [(200, JSON, b'{"Answer":1}')]
    pieces: list[bytes] = []
    assert client.call_json("NewMethod", b'{"A":1}', pieces.append) == JSON
    assert b"".join(pieces) == b'{"Answer":1}'
    client.call_json("Send", b"{}", pieces.append, files={"attachedfile": [Upload(b"x", "y")]})
    assert [fields["name"] for fields, _ in fake.calls[1].fields] == ["request", "attachedfile"]
    assert fake.calls[0].path == "/webapi/v0/NewMethod"


def test_the_client_needs_little() -> None:
    """Programs that use it have no part in the server."""
    code = (
        "import sys, mox.webapi.client, mox.webapi.receiver\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    servers = {"bottle", "cryptography", "dns", "gevent", "gunicorn", "lmdb", "prometheus_client"}
    assert servers & {*done.stdout.split()} == set()
    assert "msgspec" in done.stdout
